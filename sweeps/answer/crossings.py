"""Crossings: the size at which a weighted sum of curves reaches zero (pure).

Scores and a `Balance` come in: regimes that grow with size, points that do not, a constant. The
first size at which their sum passes zero goes out, log-linear between measured sizes, with the
interval of the sizes around it at which the data cannot tell the sum from zero (inverting the t
interval point by point, Fieller 1954). Few seeds agree here and there by chance: a width along the
curve counts as at least the narrowest eighth of them, which simulated sweeps ask for (docs/
statistics.md). It serves targets, shares of the gain and regimes that meet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf, log

import numpy as np

from sweeps.answer.scores import Floats, Interval, Point, Scores

_STEPS = 64  # positions tested between two measured sizes
_LEAST_WIDTH = 0.125  # quantile of the widths along the curve below which none counts


@dataclass(frozen=True, kw_only=True, slots=True)
class Balance:
    """A weighted sum of accuracies that changes with size.

    Args:
        growing: (regime, weight), taken at each size.
        fixed: (point, weight), the same at every size.
        constant: Added to the sum.
    """

    growing: tuple[tuple[str, float], ...]
    fixed: tuple[tuple[Point, float], ...] = ()
    constant: float = 0.0

    def points_at(self, size: int) -> list[Point]:
        """The growing points at a size."""
        return [(regime, size) for regime, _ in self.growing]

    @property
    def standing(self) -> list[Point]:
        """The fixed points."""
        return [point for point, _ in self.fixed]


@dataclass(frozen=True, kw_only=True, slots=True)
class Crossing:
    """Where a balance passes zero from below.

    Args:
        documents: The size; the smallest measured one where the balance starts above zero; None
            where it is nowhere above.
        is_at_most: The balance starts above zero: `documents` is an upper limit.
        interval: Sizes around it at which the balance may be zero; an end is 0 or
            infinite where the crossing may lie outside the measured sizes.
        begins_below: At the smallest size the whole interval of the balance is below zero.
        ends_above: At the largest size the whole interval is above zero.
        num_seeds: Fewest seeds of any part of the curve.
        smallest: Smallest size that was looked at.
        largest: Largest size that was looked at.
    """

    documents: float | None
    is_at_most: bool
    interval: Interval | None
    begins_below: bool
    ends_above: bool
    num_seeds: int
    smallest: int
    largest: int

    @property
    def is_bracketed(self) -> bool:
        """Whether the data show, over two seeds or more, that it lies within the measured range."""
        return (
            self.documents is not None
            and self.begins_below
            and self.ends_above
            and self.num_seeds > 1
        )


def reaching(regime: str, target: float) -> Balance:
    """A regime's accuracy minus a target in [0, 1]."""
    return Balance(growing=((regime, 1.0),), constant=-target)


def passing(regime: str, point: Point) -> Balance:
    """A regime's accuracy minus that of a point without a size axis."""
    return Balance(growing=((regime, 1.0),), fixed=((point, -1.0),))


def overtaking(regime: str, other: str) -> Balance:
    """A regime's accuracy minus another's at the same size."""
    return Balance(growing=((regime, 1.0), (other, -1.0)))


def sharing(regime: str, base: Point, top: Point, share: float) -> Balance:
    """A regime's accuracy minus what a share of the gain from base to top makes it."""
    return Balance(growing=((regime, 1.0),), fixed=((base, share - 1.0), (top, -share)))


def find_crossing(scores: Scores, sizes: Sequence[int], balance: Balance) -> Crossing | None:
    """Where a balance first passes zero; None where no size has all its points at one seed.

    Args:
        scores: The scores; every stretch between two sizes uses the seeds that have all of it.
        sizes: Sizes, ascending.
        balance: What has to pass zero.
    """
    known = [n for n in sizes if scores.has(*balance.points_at(n), *balance.standing)]
    if not known:
        return None
    joined = [
        (low, high)
        for low, high in pairwise(known)
        if scores.has(*balance.points_at(low), *balance.points_at(high), *balance.standing)
    ]
    stretches = [_stretch(scores, balance, low, high) for low, high in joined]
    if not stretches:
        stretches = [_stretch(scores, balance, known[0], known[0])]
        joined = [(known[0], known[0])]
    places, values, halves = (np.concatenate([found[i] for found in stretches]) for i in (0, 1, 2))
    num_seeds = min(found[3] for found in stretches)
    return _crossing(places, values, halves, num_seeds, (joined[0][0], joined[-1][1]))


def _stretch(
    scores: Scores, balance: Balance, low: int, high: int
) -> tuple[Floats, Floats, Floats, int]:
    """Log sizes, values and half widths between two sizes, and the seeds behind them."""
    points = [*balance.points_at(low), *balance.points_at(high), *balance.standing]
    part = np.linspace(0.0, 1.0, _STEPS + 1)[:, None] if high > low else np.zeros((1, 1))
    growing = np.array([weight for _, weight in balance.growing])
    fixed = np.array([weight for _, weight in balance.fixed])
    weights = np.concatenate(
        [(1 - part) * growing, part * growing, np.ones_like(part) * fixed], axis=1
    )
    spread = scores.spread(*points)
    places = log(low) + part[:, 0] * (log(high) - log(low))
    values = weights @ scores.means(*points) + balance.constant
    return places, values, spread.half_widths(weights), spread.num_seeds


def _crossing(
    places: Floats, values: Floats, halves: Floats, num_seeds: int, ends: tuple[int, int]
) -> Crossing:
    above = np.flatnonzero(values >= 0)
    documents = None
    if above.size:
        documents = float(ends[0]) if above[0] == 0 else _zero(places, values, int(above[0]))
    halves = np.maximum(halves, np.quantile(halves, _LEAST_WIDTH, method="lower"))
    is_known = bool(np.isfinite(halves).all())
    return Crossing(
        documents=documents,
        is_at_most=bool(values[0] >= 0),
        interval=_unresolved(places, values, halves, ends) if is_known else None,
        begins_below=bool(values[0] + halves[0] < 0),
        ends_above=bool(values[-1] - halves[-1] > 0),
        num_seeds=num_seeds,
        smallest=ends[0],
        largest=ends[1],
    )


def _zero(places: Floats, values: Floats, index: int) -> float:
    """The size at which values pass zero, linear before the first index that is above."""
    part = -values[index - 1] / (values[index] - values[index - 1])
    return float(np.exp(places[index - 1] + part * (places[index] - places[index - 1])))


def _unresolved(places: Floats, values: Floats, halves: Floats, ends: tuple[int, int]) -> Interval:
    """The stretch around the crossing whose intervals hold zero, ends interpolated.

    It is open towards smaller sizes where it reaches the smallest, towards larger ones where it
    reaches the largest. Stretches apart from it are left out; with them it would hold the truth in
    98 % of simulated sweeps of three seeds and not in 95 %.
    """
    margin = np.abs(values) - halves
    above = np.flatnonzero(values >= 0)
    place = int(above[0]) if above.size else len(places)  # zero is passed just before it
    first, last = place, place - 1
    while first > 0 and margin[first - 1] <= 0:
        first -= 1
    while last + 1 < len(places) and margin[last + 1] <= 0:
        last += 1
    passed = float(ends[1])
    if above.size:
        passed = float(ends[0]) if place == 0 else _zero(places, values, place)
    low = passed if first == place else _edge(places, margin, first - 1, first)
    high = passed if last == place - 1 else _edge(places, margin, last + 1, last)
    return Interval(low=0.0 if first == 0 else low, high=inf if last == len(places) - 1 else high)


def _edge(places: Floats, margin: Floats, outside: int, inside: int) -> float:
    if not 0 <= outside < len(places):
        return float(np.exp(places[inside]))
    step = margin[outside] - margin[inside]
    part = margin[outside] / step if step > 0 else 0.0
    return float(np.exp(places[outside] + part * (places[inside] - places[outside])))
