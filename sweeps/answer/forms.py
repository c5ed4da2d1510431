"""Forms: the shapes a learning curve may have, fitted to many curves at once (numpy).

Sizes and errors come in, one fit per row of errors goes out. For each value of the one parameter
that enters a form non-linearly the others follow by least squares (variable projection, Golub &
Pereyra 1973), so that a thousand draws are fitted at once and none ends in a local minimum.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from sweeps.answer.estimates import Floats

_FIRST, _SECOND = 60, 31  # values tried of the non-linear parameter, then between the best two


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """error(n) = slope * shape(n, bend) + floor.

    Args:
        name: For people.
        formula: In text.
        shape: (sizes, bend) → decreasing values; bend is the non-linear parameter.
        inverse: (value of shape, bend) → size.
        bends: Sizes [P] → values to try of bend.
        has_floor: Whether a constant is fitted.
        is_floor_positive: Whether the constant is an error that more text cannot cross.
        num_parameters: Parameters fitted; one size more is needed.
    """

    name: str
    formula: str
    shape: Callable[[Floats, Floats], Floats]
    inverse: Callable[[Floats, Floats], Floats]
    bends: Callable[[Floats], Floats]
    has_floor: bool
    is_floor_positive: bool
    num_parameters: int


def _power(sizes: Floats, bend: Floats) -> Floats:
    return np.asarray(sizes**-bend)


def _power_inverse(value: Floats, bend: Floats) -> Floats:
    return np.asarray(value ** (-1 / bend))


def _exponents(sizes: Floats) -> Floats:
    return np.geomspace(0.01, 3.0, _FIRST)


FORMS = (
    Form(
        name="power law with floor",
        formula="D n^-a + C",
        shape=_power,
        inverse=_power_inverse,
        bends=_exponents,
        has_floor=True,
        is_floor_positive=True,
        num_parameters=3,
    ),
    Form(
        name="power law",
        formula="D n^-a",
        shape=_power,
        inverse=_power_inverse,
        bends=_exponents,
        has_floor=False,
        is_floor_positive=False,
        num_parameters=2,
    ),
    Form(
        name="logarithm",
        formula="C - D ln n",
        shape=lambda sizes, bend: -np.log(sizes) * np.ones_like(bend),
        inverse=lambda value, bend: np.exp(-value),
        bends=lambda sizes: np.ones(1),
        has_floor=True,
        is_floor_positive=False,
        num_parameters=2,
    ),
    Form(
        name="exponential with floor",
        formula="D exp(-n / B) + C",
        shape=lambda sizes, bend: np.exp(-sizes / bend),
        inverse=lambda value, bend: -bend * np.log(value),
        bends=lambda sizes: np.geomspace(sizes.min() / 3, 20 * sizes.max(), _FIRST),
        has_floor=True,
        is_floor_positive=True,
        num_parameters=3,
    ),
)
"""Power laws and logarithm: Mahmood 2022, table 1; exponential: Viering & Loog 2022, table 1."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Fit:
    """A form fitted to R curves at once; bend, slope and floor are float64 [R]."""

    form: Form
    bend: Floats
    slope: Floats
    floor: Floats

    def accuracy_at(self, size: float) -> Floats:
        """float64 [R], in [0, 1]."""
        shape = self.form.shape(np.asarray(float(size)), self.bend)
        return np.asarray(1 - np.clip(self.slope * shape + self.floor, 0.0, 1.0))

    def documents_for(self, target: float) -> Floats:
        """float64 [R]: the size at which the target accuracy is reached, infinite where never."""
        above_floor = (1 - target) - self.floor
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            documents = self.form.inverse(above_floor / self.slope, self.bend)
        never = (self.slope <= 0) & (above_floor < 0)
        if self.form.is_floor_positive or not self.form.has_floor:
            never |= above_floor <= 0
        always = (self.slope <= 0) & (above_floor >= 0)
        documents = np.where(always, 1.0, np.nan_to_num(documents, nan=1.0, posinf=inf))
        return np.where(never, inf, np.maximum(documents, 1.0))


def fit_form(form: Form, sizes: Floats, errors: Floats) -> Fit:
    """Least squares on every row of errors, slope never negative.

    Args:
        form: The form.
        sizes: float64 [P].
        errors: float64 [R, P], 1 - accuracy.
    """
    bends = np.broadcast_to(form.bends(sizes), (len(errors), len(form.bends(sizes))))
    best = _best_bend(form, sizes, errors, bends)
    if bends.shape[1] > 1:
        step = bends[0, 1] / bends[0, 0]
        finer = bends[0, best[0]][:, None] * step ** np.linspace(-1, 1, _SECOND)
        bends = np.clip(finer, bends[0, 0], bends[0, -1])
        best = _best_bend(form, sizes, errors, bends)
    rows = np.arange(len(errors))
    return Fit(form=form, bend=bends[rows, best[0]], slope=best[1], floor=best[2])


def _best_bend(
    form: Form, sizes: Floats, errors: Floats, bends: Floats
) -> tuple[NDArray[np.intp], Floats, Floats]:
    """Index of the best bend [R], its slope and its floor."""
    shape = form.shape(sizes, bends[:, :, None])  # [R, bends, P]
    targets = errors[:, None, :]
    slope = (shape * targets).sum(axis=2) / (shape**2).sum(axis=2)
    floor = np.zeros_like(slope)
    if form.has_floor:
        centred = shape - shape.mean(axis=2, keepdims=True)
        power = np.maximum((centred**2).sum(axis=2), 1e-300)
        free = (centred * targets).sum(axis=2) / power
        constant = targets.mean(axis=2) - free * shape.mean(axis=2)
        usable = (constant >= 0) if form.is_floor_positive else np.ones_like(free, dtype=bool)
        slope, floor = np.where(usable, free, slope), np.where(usable, constant, floor)
        rising = slope < 0
        slope = np.where(rising, 0.0, slope)
        floor = np.where(rising, targets.mean(axis=2), floor)
    squares = ((slope[:, :, None] * shape + floor[:, :, None] - targets) ** 2).sum(axis=2)
    index = squares.argmin(axis=1)
    rows = np.arange(len(errors))
    return index, slope[rows, index], floor[rows, index]
