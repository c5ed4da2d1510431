"""Statistics: what the scores say, each number with its uncertainty (pure).

Scores come in; curves, differences, the share of the gain and documents needed go out. An interval
over a few seeds is narrower than it should be: with S seeds it is at most their range, which holds
the true median with probability 1 - 2^(1-S). `seed_coverage` says so and the report repeats it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np
from scipy.special import betaincinv

from sweeps.answer.scores import Estimate, Floats, Interval, Point, Scores
from ulm.regimes import Regime


def seed_coverage(num_seeds: int) -> float:
    """Probability that the range of this many independent seeds holds the true median."""
    return 1 - 2.0 ** (1 - num_seeds)


@dataclass(frozen=True, kw_only=True, slots=True)
class CurvePoint:
    """Mean accuracy of one point, and every seed of it as (seed, accuracy)."""

    regime: str
    size: int | None
    accuracy: Estimate
    by_seed: tuple[tuple[int, float], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """First minus second point, paired by seed.

    Args:
        accuracy: Mean difference in accuracy.
        wins: Seeds at which the first is above.
        ties: Seeds at which both are equal.
        probability: P(first > second) over seeds, a tie counted half, with its exact
            (Clopper-Pearson) interval.
    """

    first: Point
    second: Point
    accuracy: Estimate
    wins: int
    ties: int
    probability: Estimate

    @property
    def num_seeds(self) -> int:
        """Seeds that have both points."""
        return self.accuracy.num_seeds

    @property
    def is_claimed(self) -> bool:
        """Whether the seeds suffice to say that one is better: P's interval is off 1/2."""
        interval = self.probability.interval
        return interval is not None and (interval.low > 0.5 or interval.high < 0.5)


@dataclass(frozen=True, kw_only=True, slots=True)
class Needed:
    """Domain documents needed for a share of the gain, on the measured curve.

    Args:
        share: The share, e.g. 0.75.
        documents: Log-linear interpolation between measured sizes.
        is_at_most: The smallest measured size has the share already: `documents` is that size.
        interval: Of the documents.
    """

    share: float
    documents: float
    is_at_most: bool
    interval: Interval | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Gain:
    """How much of what the largest size adds to `ulm` smaller sizes give already.

    Args:
        largest: The largest size of the spec.
        total: acc(`ulm+domain` at largest) - acc(`ulm`); None where a point is missing.
        undefined: Why shares are not defined; None where they are.
        shares: (size, share of the gain), ascending; 1 at the largest by definition.
        needed: Documents needed for some shares.
    """

    largest: int
    total: Estimate | None
    undefined: str | None
    shares: tuple[tuple[int, Estimate], ...] = ()
    needed: tuple[Needed, ...] = ()


def curve_points(scores: Scores) -> tuple[CurvePoint, ...]:
    """Mean and interval of every point that has a finished seed."""
    points = []
    for point in scores.points:
        mean, resampled = scores.means(point)
        by_seed = scores.by_seed(point)
        accuracy = scores.estimate(mean[0], resampled[:, 0], len(by_seed))
        points.append(
            CurvePoint(regime=point[0], size=point[1], accuracy=accuracy, by_seed=by_seed)
        )
    return tuple(points)


def win_interval(wins: float, num_seeds: int) -> Interval:
    """Exact 95 % interval of a win probability (Clopper & Pearson 1934); ties count half.

    Six seeds that all agree are the fewest whose interval excludes 1/2.
    """
    low = 0.0 if wins == 0 else float(betaincinv(wins, num_seeds - wins + 1, 0.025))
    high = 1.0 if wins == num_seeds else float(betaincinv(wins + 1, num_seeds - wins, 0.975))
    return Interval(low=low, high=high)


def difference(scores: Scores, first: Point, second: Point) -> Difference | None:
    """First minus second over the seeds that have both; None where none has."""
    if not scores.has(first, second):
        return None
    means, resampled = scores.means(first, second)
    by_seed = np.diff(scores.paired(second, first), axis=0)[0]
    wins, ties, num_seeds = int((by_seed > 0).sum()), int((by_seed == 0).sum()), len(by_seed)
    halves = wins + ties / 2
    return Difference(
        first=first,
        second=second,
        accuracy=scores.estimate(means[0] - means[1], resampled[:, 0] - resampled[:, 1], num_seeds),
        wins=wins,
        ties=ties,
        probability=Estimate(
            value=halves / num_seeds, interval=win_interval(halves, num_seeds), num_seeds=num_seeds
        ),
    )


def crossing(sizes: Sequence[int], shares: Sequence[float], level: float) -> float:
    """Smallest size at which a curve reaches a level, log-linear between sizes.

    Returns:
        `sizes[0]` where the curve starts at or above it, `sizes[-1]` where it never gets there.
    """
    if shares[0] >= level:
        return float(sizes[0])
    for i in range(1, len(sizes)):
        if shares[i] >= level:
            part = (level - shares[i - 1]) / (shares[i] - shares[i - 1])
            return exp(log(sizes[i - 1]) + part * (log(sizes[i]) - log(sizes[i - 1])))
    return float(sizes[-1])


def _shares(means: Floats) -> Floats:
    """Shares [..., sizes] of means [..., 1 + sizes], base first; NaN where there is no gain."""
    base, gain = means[..., :1], means[..., -1:] - means[..., :1]
    return (means[..., 1:] - base) / np.where(gain > 0, gain, np.nan)


def _needed(scores: Scores, points: Sequence[Point], share: float) -> Needed:
    """Documents for a share of the gain of `points`: the base, then ascending sizes."""
    means, resampled = scores.means(*points)
    sizes = [size for _, size in points[1:] if size is not None]
    shares = _shares(means).tolist()
    documents = crossing(sizes, shares, share)
    # a resample without a gain never reaches the share: it counts as the largest size
    crossings = [
        crossing(sizes, row.tolist(), share) if np.isfinite(row).all() else float(sizes[-1])
        for row in _shares(resampled)
    ]
    num_seeds = scores.paired(*points).shape[1]
    return Needed(
        share=share,
        documents=documents,
        is_at_most=shares[0] >= share,
        interval=scores.estimate(documents, np.array(crossings), num_seeds).interval,
    )


def _why_undefined(total: Estimate) -> str | None:
    if total.interval is None:
        return "one seed shows no spread, so nothing says whether the gain differs from 0"
    if total.interval.low <= 0:
        low, high = 100 * total.interval.low, 100 * total.interval.high
        return (
            f"the gain of {100 * total.value:+.1f} points has the interval [{low:+.1f}, "
            f"{high:+.1f}], which is not above 0"
        )
    return None


def share_of_gain(
    scores: Scores, sizes: Sequence[int], levels: Sequence[float] = (0.75, 0.9)
) -> Gain:
    """R(n) = (acc(n) - acc(`ulm`)) / (acc(largest) - acc(`ulm`)) for `ulm+domain`.

    Args:
        scores: The scores.
        sizes: Sizes of the spec, ascending.
        levels: Shares whose documents are wanted; given where all sizes are finished at some seed.
    """
    base: Point = (Regime.ULM.value, None)
    tops: list[Point] = [(Regime.ULM_DOMAIN.value, size) for size in sizes]
    largest = sizes[-1]
    gain = difference(scores, tops[-1], base)
    if gain is None:
        return Gain(largest=largest, total=None, undefined=_what_is_missing(scores, base, tops[-1]))
    undefined = _why_undefined(gain.accuracy)
    if undefined is not None:
        return Gain(largest=largest, total=gain.accuracy, undefined=undefined)
    return Gain(
        largest=largest,
        total=gain.accuracy,
        undefined=None,
        shares=tuple(
            (size, _share_at(scores, base, top, tops[-1]))
            for size, top in zip(sizes, tops, strict=True)
            if scores.has(base, top, tops[-1])
        ),
        needed=_documents_needed(scores, [base, *tops], levels),
    )


def _what_is_missing(scores: Scores, base: Point, top: Point) -> str:
    for point in (base, top):
        if not scores.has(point):
            name = point[0] if point[1] is None else f"{point[0]} at {point[1]:,} documents"
            return f"no cell of {name} is finished"
    return f"no seed has finished both {base[0]} and {top[0]} at {top[1]:,} documents"


def _share_at(scores: Scores, base: Point, point: Point, top: Point) -> Estimate:
    means, resampled = scores.means(base, point, top)
    num_seeds = scores.paired(base, point, top).shape[1]
    return scores.estimate(_shares(means)[0], _shares(resampled)[:, 0], num_seeds)


def _documents_needed(
    scores: Scores, points: Sequence[Point], levels: Sequence[float]
) -> tuple[Needed, ...]:
    """Wants two sizes, a seed that has every point, and a gain at these seeds."""
    if len(points) < 3 or not scores.has(*points):
        return ()
    means, _ = scores.means(*points)
    if means[-1] <= means[0]:
        return ()
    return tuple(_needed(scores, points, level) for level in levels)
