"""Crossings: the size from which on a weighted sum of curves stays above zero (pure).

Scores and a `Balance` come in: regimes that grow with size, points that do not, a constant. Out
goes the last size at which their sum rises through zero, log-linear between measured sizes; an
early touch that does not last is none, nor is a tie. Its interval is the same read off the limits
of the sum's t interval at every size: from where the upper one stays above zero to where the lower
one does. Few seeds agree here and there by chance: a width along the curve counts as at least the
narrowest eighth of them, which simulated sweeps ask for (docs/statistics.md). It serves targets,
shares of the gain and regimes that meet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf

import numpy as np

from sweeps.answer.estimates import Floats, Interval
from sweeps.answer.scores import EQUAL, Point, Scores

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
    """Where a balance passes zero: from there to the largest size it stays above.

    Args:
        documents: The size; the smallest measured one where the balance is above from there on;
            None where it is below at the largest.
        is_at_most: The balance is above at every size: `documents` is an upper limit.
        interval: Of that size: 0 where no size is surely below, infinite where the largest is not
            surely above, so that it may not be passed within the measured sizes at all; None with
            one seed.
        for_one_run: The size from which on one run more is above with 97.5 %: infinite where it is
            not at the largest; None where there is no interval.
        begins_below: At the smallest size the whole interval of the balance is below zero.
        above: Sizes at which the mean of the balance is above.
        num_seeds: Fewest seeds of any part of the curve.
        smallest: Smallest size that was looked at.
        largest: Largest size that was looked at.
    """

    documents: float | None
    is_at_most: bool
    interval: Interval | None
    for_one_run: float | None
    begins_below: bool
    above: tuple[int, ...]
    num_seeds: int
    smallest: int
    largest: int

    @property
    def ends_above(self) -> bool:
        """Whether at the largest size the whole interval of the balance is above zero."""
        return self.interval is not None and self.interval.high < inf

    @property
    def is_beyond(self) -> bool:
        """Whether at the largest size the whole interval of the balance is below zero."""
        return self.interval is not None and self.interval.low >= self.largest

    @property
    def is_throughout(self) -> bool:
        """Whether at every size the whole interval of the balance is above zero."""
        return self.interval is not None and self.interval.high <= self.smallest

    @property
    def is_bracketed(self) -> bool:
        """Whether the data show that it lies within the measured range."""
        return self.ends_above and self.interval is not None and self.interval.low > 0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Trace:
    """A balance along sizes, K of them.

    Args:
        sizes: float64 [K], ascending.
        values: float64 [K], the balance.
        halves: float64 [K], half widths of its intervals.
        run_halves: float64 [K], those around it that hold one run more.
        num_seeds: Seeds that have all of it.
    """

    sizes: Floats
    values: Floats
    halves: Floats
    run_halves: Floats
    num_seeds: int


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
    """Where a balance passes zero for good; None where no size has all its points at one seed.

    Args:
        scores: The scores; every stretch between two sizes uses the seeds that have all of it, and
            a size that shares no seed with its neighbours stands by itself. A size that one seed
            has is left out where another has more.
        sizes: Sizes, ascending.
        balance: What has to pass zero.
    """
    seeds = {n: scores.count(*balance.points_at(n), *balance.standing) for n in sizes}
    fewest = min(2, max(seeds.values()))
    if fewest == 0:
        return None
    known = [n for n in sizes if seeds[n] >= fewest]
    stretches = [
        (low, high)
        for low, high in pairwise(known)
        if scores.has(*balance.points_at(low), *balance.points_at(high), *balance.standing)
    ]
    reached = {size for stretch in stretches for size in stretch}
    stretches = sorted([*stretches, *((n, n) for n in known if n not in reached)])
    traces = [_trace(scores, balance, low, high) for low, high in stretches]
    whole = _Trace(
        sizes=np.concatenate([trace.sizes for trace in traces]),
        values=np.concatenate([trace.values for trace in traces]),
        halves=np.concatenate([trace.halves for trace in traces]),
        run_halves=np.concatenate([trace.run_halves for trace in traces]),
        num_seeds=min(trace.num_seeds for trace in traces),
    )
    ends = [
        (size, trace.values[place])
        for stretch, trace in zip(stretches, traces, strict=True)
        for size, place in zip(stretch, (0, -1), strict=True)
    ]
    return _crossing(whole, tuple(dict.fromkeys(size for size, value in ends if value > 0)))


def _trace(scores: Scores, balance: Balance, low: int, high: int) -> _Trace:
    """The balance between two sizes."""
    points = [*balance.points_at(low), *balance.points_at(high), *balance.standing]
    part = np.linspace(0.0, 1.0, _STEPS + 1)[:, None]
    growing = np.array([weight for _, weight in balance.growing])
    fixed = np.array([weight for _, weight in balance.fixed])
    weights = np.concatenate(
        [(1 - part) * growing, part * growing, np.ones_like(part) * fixed], axis=1
    )
    spread, at = scores.spread(*points), part[:, 0]
    run = spread.run_variances(weights[[0, -1]])  # a run is at one size and no mixture of two
    values = weights @ scores.means(*points) + balance.constant
    return _Trace(
        sizes=np.geomspace(low, high, _STEPS + 1),
        values=np.where(np.abs(values) <= EQUAL, 0.0, values),
        halves=spread.half_widths(weights),
        run_halves=spread.half_widths(weights, run=(1 - at) * run[0] + at * run[1]),
        num_seeds=spread.num_seeds,
    )


def _crossing(trace: _Trace, above: tuple[int, ...]) -> Crossing:
    smallest, largest = round(trace.sizes[0]), round(trace.sizes[-1])
    halves, run_halves = _not_by_chance(trace.halves), _not_by_chance(trace.run_halves)
    highest, lowest = trace.values + halves, trace.values - halves
    documents = _stays_above(trace.sizes, trace.values)
    interval, for_one_run = None, None
    if trace.num_seeds > 1 and np.isfinite(halves).all():
        for_one_run = max(_stays_above(trace.sizes, trace.values - run_halves), float(smallest))
        interval = Interval(
            low=min(_stays_above(trace.sizes, highest), float(largest)),
            high=max(_stays_above(trace.sizes, lowest), float(smallest)),
        )
    return Crossing(
        documents=None if documents == inf else max(documents, float(smallest)),
        is_at_most=documents == 0,
        interval=interval,
        for_one_run=for_one_run,
        begins_below=bool(highest[0] < 0),
        above=above,
        num_seeds=trace.num_seeds,
        smallest=smallest,
        largest=largest,
    )


def _not_by_chance(halves: Floats) -> Floats:
    return np.asarray(np.maximum(halves, np.quantile(halves, _LEAST_WIDTH, method="lower")))


def _stays_above(sizes: Floats, values: Floats) -> float:
    """The size from which on values are above zero, linear in the logarithm.

    Returns:
        0 where all are above, infinity where the last one is not.
    """
    below = np.flatnonzero(values <= 0)
    if not below.size:
        return 0.0
    last = int(below[-1])
    if last + 1 == len(values):
        return inf
    part = values[last] / (values[last] - values[last + 1])
    return float(sizes[last] * (sizes[last + 1] / sizes[last]) ** part)
