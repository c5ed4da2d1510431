"""Gain: what share of the gain of domain text smaller sizes give already (pure).

Scores come in; R(n) = (acc(n) - acc(`ulm`)) / (acc(largest) - acc(`ulm`)) with its interval and the
documents needed for some shares go out. Where the gain itself may be nothing no share is given.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from sweeps.answer.crossings import Crossing, find_crossing, sharing
from sweeps.answer.estimates import Estimate, Floats, Interval
from sweeps.answer.scores import Point, Scores
from sweeps.answer.spread import Spread
from sweeps.answer.statistics import difference
from sweeps.spec.values import SweepSpec
from ulm.regimes import Regime

_AWAY = np.concatenate([[0.0], np.geomspace(1e-5, 10.0, 400)])  # tested on both sides of a share


@dataclass(frozen=True, kw_only=True, slots=True)
class Needed:
    """Where the measured curve passes a share of the gain, e.g. 0.75; it does somewhere."""

    share: float
    crossing: Crossing

    @property
    def documents(self) -> float:
        """Domain documents that it needs."""
        assert self.crossing.documents is not None, "it is passed"
        return self.crossing.documents


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


def is_asked(spec: SweepSpec) -> bool:
    """Whether a grid has both regimes that the gain lies between."""
    return {Regime.ULM, Regime.ULM_DOMAIN} <= set(spec.regimes)


def _why_undefined(total: Estimate) -> str | None:
    if total.num_seeds < 2 or total.interval is None:
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
            (size, share)
            for size, top in zip(sizes, tops, strict=True)
            if (share := _share_at(scores, base, top, tops[-1])) is not None
        ),
        needed=_documents_needed(scores, sizes, base, tops, levels),
    )


def _what_is_missing(scores: Scores, base: Point, top: Point) -> str:
    for point in (base, top):
        if not scores.has(point):
            name = point[0] if point[1] is None else f"{point[0]} at {point[1]:,} documents"
            return f"too few cells of {name} are finished"
    return f"no seed has finished both {base[0]} and {top[0]} at {top[1]:,} documents"


def _share_at(scores: Scores, base: Point, point: Point, top: Point) -> Estimate | None:
    """The share at one size; None where its seeds are too few to show a gain."""
    points = [base, point, top]
    if not scores.has(*points):
        return None
    means, spread = scores.means(*points), scores.spread(*points)
    if means[2] <= means[0]:
        return None
    value = float((means[1] - means[0]) / (means[2] - means[0]))
    interval = None
    if spread.is_known:
        whole = Interval(low=1.0, high=1.0)
        interval = whole if point == top else _fieller(means, spread, value)
    return Estimate(value=value, interval=interval, num_seeds=spread.num_seeds)


def _fieller(means: Floats, spread: Spread, value: float) -> Interval:
    """All shares r at which acc(n) - (1 - r) base - r top may be zero (Fieller 1954)."""
    low, high = (_end(means, spread, value, offsets) for offsets in (-_AWAY, _AWAY))
    return Interval(low=low, high=high)


def _end(means: Floats, spread: Spread, value: float, offsets: Floats) -> float:
    """Beyond the last share that may be, from the one found outwards; linear between two tested."""
    tested = value + offsets
    weights = np.stack([tested - 1, np.ones_like(tested), -tested], axis=1)
    margin = np.abs(weights @ means) - spread.half_widths(weights)
    margin[0] = min(margin[0], 0.0)  # above it by rounding alone
    last = int(np.flatnonzero(margin <= 0)[-1])
    if last == len(tested) - 1:
        return float(np.copysign(inf, offsets[last]))
    part = margin[last] / (margin[last] - margin[last + 1])
    return float(tested[last] + part * (tested[last + 1] - tested[last]))


def _documents_needed(
    scores: Scores,
    sizes: Sequence[int],
    base: Point,
    tops: Sequence[Point],
    levels: Sequence[float],
) -> tuple[Needed, ...]:
    """Wants two sizes, a seed that has every point, and a gain at these seeds."""
    if len(sizes) < 2 or not scores.has(base, *tops):
        return ()
    means = scores.means(base, *tops)
    if means[-1] <= means[0]:
        return ()
    regime = Regime.ULM_DOMAIN.value
    found = (
        (level, find_crossing(scores, sizes, sharing(regime, base, tops[-1], level)))
        for level in levels
    )
    return tuple(
        Needed(share=level, crossing=crossing)
        for level, crossing in found
        if crossing is not None and crossing.documents is not None
    )
