"""Statistics: what the scores say, each number with its uncertainty (pure).

Scores come in; curves, differences and gains per doubling go out. Intervals
are those of `scores`: Student's t over paired seeds and a part for test documents. Formulas, their
sources and how often the intervals hold the truth are in docs/statistics.md.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import log2

import numpy as np
from scipy.special import betaincinv

from sweeps.answer.estimates import Estimate, Floats, Interval
from sweeps.answer.scores import Point, Scores

ERROR = 0.05  # chance that any comparison of a sweep is called a claim where nothing differs


@dataclass(frozen=True, kw_only=True, slots=True)
class CurvePoint:
    """Mean accuracy of one point.

    Args:
        accuracy: The mean over seeds.
        by_seed: (seed, accuracy) of every finished seed.
        one_run: Where one run more is; None with one seed.
    """

    regime: str
    size: int | None
    accuracy: Estimate
    by_seed: tuple[tuple[int, float], ...]
    one_run: Interval | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """First minus second point, paired by seed.

    Args:
        accuracy: Mean difference in accuracy.
        wins: Seeds at which the first is above.
        ties: Seeds at which both are equal.
        probability: P(first > second) over seeds, a tie counted half, with its exact
            (Clopper-Pearson) interval: 95 % for all comparisons of the sweep together.
        num_comparisons: How many these are.
    """

    first: Point
    second: Point
    accuracy: Estimate
    wins: int
    ties: int
    probability: Estimate
    num_comparisons: int

    @property
    def num_seeds(self) -> int:
        """Seeds that have both points."""
        return self.accuracy.num_seeds

    @property
    def is_above(self) -> bool:
        """Whether the whole interval of the accuracy, over two seeds or more, is above zero."""
        return self.accuracy.is_above()

    @property
    def is_below(self) -> bool:
        """Whether the whole interval of the accuracy, over two seeds or more, is below zero."""
        return self.accuracy.is_below()

    @property
    def is_better(self) -> bool:
        """Whether the seeds suffice to call the first better: P's interval is above 1/2."""
        interval = self.probability.interval
        return interval is not None and interval.low > 0.5

    @property
    def is_claimed(self) -> bool:
        """Whether the seeds suffice to call one of both better: P's interval is off 1/2."""
        interval = self.probability.interval
        return self.is_better or (interval is not None and interval.high < 0.5)

    @property
    def is_contradicted(self) -> bool:
        """Whether the mean is above, and more seeds are below than above: few lift it."""
        return self.accuracy.value > 0 and self.probability.value < 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Doubling:
    """What one doubling of the domain text adds, on average between two sizes.

    Args:
        regime: The regime.
        start: Smaller size.
        end: Larger size.
        accuracy: (acc(end) - acc(start)) / log2(end / start).
    """

    regime: str
    start: int
    end: int
    accuracy: Estimate

    @property
    def points(self) -> tuple[Point, Point]:
        """The points at both sizes."""
        return (self.regime, self.start), (self.regime, self.end)

    @property
    def weights(self) -> tuple[float, float]:
        """Their weights in it."""
        return _per_doubling(self.start, self.end)

    @property
    def is_rising(self) -> bool:
        """Whether the whole interval, over two seeds or more, is above zero."""
        return self.accuracy.is_above()

    def is_below(self, least: float) -> bool:
        """Whether the whole interval, over two seeds or more, is below a gain in accuracy."""
        return self.accuracy.is_below(least)


def curve_points(scores: Scores) -> tuple[CurvePoint, ...]:
    """Mean and interval of every point that has a finished seed."""
    return tuple(
        CurvePoint(
            regime=point[0],
            size=point[1],
            accuracy=scores.contrast([point], [1.0]),
            by_seed=scores.by_seed(point),
            one_run=scores.one_run(point),
        )
        for point in scores.points
    )


def num_comparisons(points: Iterable[Point]) -> int:
    """Comparisons of the regime that a sweep is about: every other regime, and its smaller size.

    Claims are made with an error of 5 % for all of them together, wherever they are made.
    """
    listed = list(points)
    regimes, sizes = {regime for regime, _ in listed}, {size for _, size in listed} - {None}
    return max(1, len(regimes) - 1 + (len(sizes) > 1))


def least_probability(wins: Floats, num_seeds: int, num_comparisons: int) -> Floats:
    """Lower end of the interval of a win probability; the upper is that of losses, turned round.

    Exact (Clopper & Pearson 1934), ties counted half, with an error of 5 % shared by so many
    comparisons (Bonferroni): an interval off 1/2 and a claim are then the same thing.

    Args:
        wins: float64 [K], up to `num_seeds`.
        num_seeds: Seeds.
        num_comparisons: Comparisons that the error is shared by.
    """
    tail = ERROR / 2 / num_comparisons
    found = betaincinv(np.maximum(wins, 0.5), num_seeds - wins + 1, tail)
    return np.where(wins > 0, found, 0.0)


def win_interval(wins: float, num_seeds: int, num_comparisons: int = 1) -> Interval:
    """Interval of a win probability, 95 % for so many comparisons together."""
    both = np.array([wins, num_seeds - wins])
    low, of_losses = least_probability(both, num_seeds, num_comparisons)
    return Interval(low=float(low), high=1 - float(of_losses))


def fewest_seeds(num_comparisons: int) -> int:
    """The fewest seeds that can make a claim: they all agree."""
    counts = range(1, 100)
    return next(n for n in counts if win_interval(n, n, num_comparisons).low > 0.5)


def difference(scores: Scores, first: Point, second: Point) -> Difference | None:
    """First minus second over the seeds that have both; None where none has."""
    if not scores.has(first, second):
        return None
    by_seed = np.diff(scores.paired(second, first), axis=0)[0]
    wins, ties, num_seeds = int((by_seed > 0).sum()), int((by_seed == 0).sum()), len(by_seed)
    halves, compared = wins + ties / 2, num_comparisons(scores.points)
    return Difference(
        first=first,
        second=second,
        accuracy=scores.contrast([first, second], [1.0, -1.0]),
        wins=wins,
        ties=ties,
        probability=Estimate(
            value=halves / num_seeds,
            interval=win_interval(halves, num_seeds, compared),
            num_seeds=num_seeds,
        ),
        num_comparisons=compared,
    )


def doublings(scores: Scores, regime: str, sizes: Sequence[int]) -> tuple[Doubling, ...]:
    """What a doubling adds between neighbouring sizes, where one seed has both."""
    found = (_doubling(scores, regime, start, end) for start, end in pairwise(sizes))
    return tuple(doubling for doubling in found if doubling is not None)


def stretches(scores: Scores, regime: str, sizes: Sequence[int]) -> tuple[Doubling, ...]:
    """What a doubling adds on average from each size to every larger one that a seed has too."""
    found = (_doubling(scores, regime, start, end) for start, end in combinations(sizes, 2))
    return tuple(doubling for doubling in found if doubling is not None)


def _per_doubling(start: int, end: int) -> tuple[float, float]:
    weight = 1 / log2(end / start)
    return -weight, weight


def _doubling(scores: Scores, regime: str, start: int, end: int) -> Doubling | None:
    points: list[Point] = [(regime, start), (regime, end)]
    if not scores.has(*points):
        return None
    accuracy = scores.contrast(points, _per_doubling(start, end))
    return Doubling(regime=regime, start=start, end=end, accuracy=accuracy)
