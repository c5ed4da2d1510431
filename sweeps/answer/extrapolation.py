"""Extrapolation: learning curves beyond the largest size, in several forms (numpy).

Scores of one regime come in; per form a fit, its error on a size it did not see, and accuracies or
documents with intervals go out. No single form is trusted: what is said is the range over all forms
that the held-out size does not refute (Mahmood et al. 2022).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, isfinite

import numpy as np

from sweeps.answer.forms import FORMS, Fit, Form, fit_form
from sweeps.answer.scores import Floats, Interval, Point, Scores

NUM_DRAWS = 1000
REACH = 4.0  # nothing is said beyond this multiple of the largest measured size
TOLERANCE = 0.01  # a held-out error up to a point of accuracy refutes no form


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """What one form says, with the 95 % interval of its draws; infinite is never."""

    form: str
    value: float
    interval: Interval


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FittedForm:
    """A form fitted to the mean curve and to its draws.

    Args:
        mean: Fit of the mean curve, R = 1.
        draws: Fits of the draws.
        held_out_error: Accuracy predicted at the largest size, fitted without it, minus measured;
            None where too few sizes remain.
        is_refuted: Whether that error is far above another form's.
    """

    mean: Fit
    draws: Fit
    held_out_error: float | None
    is_refuted: bool = False

    @property
    def form(self) -> Form:
        """The form."""
        return self.mean.form

    def predict(self, size: float) -> Prediction:
        """Accuracy at a size."""
        return _prediction(self, self.mean.accuracy_at(size)[0], self.draws.accuracy_at(size))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Extrapolation:
    """A regime's curve in several forms.

    Args:
        regime: The regime.
        sizes: The sizes it was fitted to.
        num_seeds: Seeds that have all of them.
        fitted: Every form that the number of sizes allows.
    """

    regime: str
    sizes: tuple[int, ...]
    num_seeds: int
    fitted: tuple[FittedForm, ...]

    @property
    def limit(self) -> float:
        """The largest size anything is said about."""
        return REACH * self.sizes[-1]

    @property
    def trusted(self) -> tuple[FittedForm, ...]:
        """Forms that the held-out size does not refute."""
        return tuple(found for found in self.fitted if not found.is_refuted)

    def accuracy_at(self, size: float) -> tuple[Prediction, ...]:
        """Accuracy at a size, by every form that is not refuted."""
        return tuple(found.predict(size) for found in self.trusted)

    def documents_for(self, target: float) -> tuple[Prediction, ...]:
        """Documents that a target accuracy needs, by every form that is not refuted."""
        return tuple(
            _prediction(f, f.mean.documents_for(target)[0], f.draws.documents_for(target))
            for f in self.trusted
        )


def _prediction(fitted: FittedForm, value: float, draws: Floats) -> Prediction:
    ordered = np.sort(draws)
    low = float(ordered[int(0.025 * (len(ordered) - 1))])
    high = float(ordered[ceil(0.975 * (len(ordered) - 1))])
    return Prediction(
        form=fitted.form.name, value=float(value), interval=Interval(low=low, high=high)
    )


def range_of(predictions: Sequence[Prediction]) -> Interval:
    """From the lowest to the highest end of all forms' intervals."""
    return Interval(
        low=min(prediction.interval.low for prediction in predictions),
        high=max(prediction.interval.high for prediction in predictions),
    )


def extrapolate(
    scores: Scores, regime: str, sizes: Sequence[int], *, num_draws: int = NUM_DRAWS
) -> Extrapolation | None:
    """Fit every form to a regime's mean curve and to draws around it.

    Returns:
        None below three sizes that some seeds all have, or where nothing says how much the
        means vary.
    """
    known = tuple(size for size in sizes if scores.has((regime, size)))
    points: list[Point] = [(regime, size) for size in known]
    if len(known) < 3 or not scores.has(*points) or not scores.spread(*points).is_known:
        return None
    places = np.array(known, dtype=np.float64)
    mean = 1 - scores.means(*points)[None, :]
    draws = 1 - scores.draws(points, num_draws)
    usable = [form for form in FORMS if len(known) > form.num_parameters]
    fitted = [
        FittedForm(
            mean=fit_form(form, places, mean),
            draws=fit_form(form, places, draws),
            held_out_error=_held_out_error(form, places, mean),
        )
        for form in usable
    ]
    return Extrapolation(
        regime=regime,
        sizes=known,
        num_seeds=scores.paired(*points).shape[1],
        fitted=tuple(_judged(found, fitted) for found in fitted),
    )


def _held_out_error(form: Form, sizes: Floats, errors: Floats) -> float | None:
    if len(sizes) - 1 < form.num_parameters:
        return None
    predicted = fit_form(form, sizes[:-1], errors[:, :-1]).accuracy_at(sizes[-1])[0]
    return float(predicted - (1 - errors[0, -1]))


def _judged(found: FittedForm, every: Sequence[FittedForm]) -> FittedForm:
    """Refuted: off by more than a point and by more than twice the best form."""
    known = [abs(f.held_out_error) for f in every if f.held_out_error is not None]
    if found.held_out_error is None or not isfinite(found.held_out_error):
        return found
    refuted = abs(found.held_out_error) > max(TOLERANCE, 2 * min(known))
    return replace(found, is_refuted=refuted)
