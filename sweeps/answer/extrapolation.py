"""Extrapolation: learning curves beyond the largest size, in several forms (numpy).

Scores of one regime come in; per form a fit, its error on a size it did not see, and accuracies or
documents with intervals go out. No single form is trusted: what is said is the range over all forms
that the held-out size does not refute (Mahmood et al. 2022), and over a curve that levels off at
the largest size. Three sizes allow forms alone that rise for ever, and with more the one that
levels off is often refuted by its own miss (docs/statistics.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite

import numpy as np

from sweeps.answer.estimates import Estimate, Floats, Interval
from sweeps.answer.forms import FORMS, Fit, Form, fit_form
from sweeps.answer.scores import Point, Scores

NUM_DRAWS = 1000
REACH = 4.0  # nothing is said beyond this multiple of the largest measured size
TOLERANCE = 0.01  # a miss of up to a point of accuracy refutes no form
FEWEST_SIZES, FEWEST_SEEDS = 3, 2
LEVEL = "levels off"
ALL_REFUTED = "no form predicts its largest size from the smaller ones"


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
        miss: Accuracy predicted at the largest size, fitted without it, minus measured; None where
            too few sizes remain.
        is_refuted: Whether that is far above another form's, or surely more than `TOLERANCE`.
    """

    mean: Fit
    draws: Fit
    miss: Estimate | None
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
        last_mean: Accuracy measured at the largest size.
        last_draws: float [R], the draws of it that the forms were fitted to.
    """

    regime: str
    sizes: tuple[int, ...]
    num_seeds: int
    fitted: tuple[FittedForm, ...]
    last_mean: float
    last_draws: Floats

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

    def gain_at(self, size: float) -> tuple[Prediction, ...]:
        """Accuracy at a size minus that measured at the largest, by every form not refuted.

        Not minus that of the form itself: what it misses there is no gain.
        """
        return tuple(
            _prediction(
                found,
                found.mean.accuracy_at(size)[0] - self.last_mean,
                found.draws.accuracy_at(size) - self.last_draws,
            )
            for found in self.trusted
        )

    def accuracy_range(self, size: float) -> Interval:
        """What the accuracy at a size lies in, by these forms or where nothing more is gained."""
        level = Prediction(form=LEVEL, value=self.last_mean, interval=_middle(self.last_draws))
        return range_of([*self.accuracy_at(size), level])

    def gain_range(self, size: float) -> Interval:
        """The same of what is gained beyond the largest size: nothing is always possible."""
        level = Prediction(form=LEVEL, value=0.0, interval=Interval(low=0.0, high=0.0))
        return range_of([*self.gain_at(size), level])

    def documents_for(self, target: float) -> tuple[Prediction, ...]:
        """Documents that a target accuracy needs, by every form that is not refuted."""
        return tuple(
            _prediction(f, f.mean.documents_for(target)[0], f.draws.documents_for(target))
            for f in self.trusted
        )


def _prediction(fitted: FittedForm, value: float, draws: Floats) -> Prediction:
    return Prediction(form=fitted.form.name, value=float(value), interval=_middle(draws))


def _middle(draws: Floats) -> Interval:
    """What 95 % of the draws lie in."""
    low = np.quantile(draws, 0.025, method="lower")
    return Interval(low=float(low), high=float(np.quantile(draws, 0.975, method="higher")))


def range_of(predictions: Sequence[Prediction]) -> Interval:
    """From the lowest to the highest end of all forms' intervals."""
    return Interval(
        low=min(prediction.interval.low for prediction in predictions),
        high=max(prediction.interval.high for prediction in predictions),
    )


def why_not(scores: Scores, regime: str, sizes: Sequence[int]) -> str | None:
    """Why no form is fitted to a regime's curve; None where some are, if only to be refuted."""
    points = _points(scores, regime, sizes)
    if len(points) < FEWEST_SIZES or not scores.has(*points):
        return (
            "three sizes that the same seeds have finished are the fewest that tell how it goes on"
        )
    if scores.paired(*points).shape[1] < FEWEST_SEEDS:
        return "two seeds are the fewest that tell how much it varies"
    means = scores.means(*points)
    if means[-1] <= means[0]:
        return "its largest size scores no more than its smallest, and every form here rises"
    return None


def _points(scores: Scores, regime: str, sizes: Sequence[int]) -> list[Point]:
    return [(regime, size) for size in sizes if scores.has((regime, size))]


def extrapolate(
    scores: Scores, regime: str, sizes: Sequence[int], *, num_draws: int = NUM_DRAWS
) -> Extrapolation | None:
    """Fit every form to a regime's mean curve and to draws around it.

    Returns:
        None where `why_not` names a reason.
    """
    if why_not(scores, regime, sizes) is not None:
        return None
    points = _points(scores, regime, sizes)
    known = tuple(size for _, size in points if size is not None)
    places = np.array(known, dtype=np.float64)
    mean = 1 - scores.means(*points)[None, :]
    draws = 1 - scores.draws(points, num_draws)
    num_seeds = scores.paired(*points).shape[1]
    usable = [form for form in FORMS if len(known) > form.num_parameters]
    fitted = [
        FittedForm(
            mean=fit_form(form, places, mean),
            draws=fit_form(form, places, draws),
            miss=_miss(form, places, mean, draws, num_seeds),
        )
        for form in usable
    ]
    return Extrapolation(
        regime=regime,
        sizes=known,
        num_seeds=num_seeds,
        fitted=tuple(_judged(found, fitted) for found in fitted),
        last_mean=1 - float(mean[0, -1]),
        last_draws=np.clip(1 - draws[:, -1], 0.0, 1.0),
    )


def _miss(
    form: Form, sizes: Floats, mean: Floats, draws: Floats, num_seeds: int
) -> Estimate | None:
    if len(sizes) - 1 < form.num_parameters:
        return None
    found, drawn = (
        fit_form(form, sizes[:-1], errors[:, :-1]).accuracy_at(sizes[-1]) - (1 - errors[:, -1])
        for errors in (mean, draws)
    )
    return Estimate(value=float(found[0]), interval=_middle(drawn), num_seeds=num_seeds)


def _judged(found: FittedForm, every: Sequence[FittedForm]) -> FittedForm:
    """Refuted: off by more than a point, and surely so or by more than twice the best form."""
    known = [abs(f.miss.value) for f in every if f.miss is not None]
    if found.miss is None or found.miss.interval is None or not isfinite(found.miss.value):
        return found
    ends = found.miss.interval
    is_sure = ends.low > TOLERANCE or ends.high < -TOLERANCE
    is_far = abs(found.miss.value) > max(TOLERANCE, 2 * min(known))
    return replace(found, is_refuted=is_sure or is_far)
