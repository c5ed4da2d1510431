"""Targets: who reaches an accuracy without domain text, and who with least of it (pure).

Scores and an accuracy come in; the regimes that reach it go out. The headline and `sweep advise
--target` both ask here, so that they never name different ones.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf

from sweeps.answer.crossings import Crossing, find_crossing, reaching
from sweeps.answer.estimates import Estimate
from sweeps.answer.scores import Point, Scores
from sweeps.answer.statistics import ERROR


@dataclass(frozen=True, kw_only=True, slots=True)
class Passage:
    """Where a regime's curve passes an accuracy."""

    regime: str
    target: float
    crossing: Crossing


@dataclass(frozen=True, kw_only=True, slots=True)
class OneRun:
    """With how many documents one run more passes an accuracy with 97.5 %; 0 is no domain text."""

    regime: str
    documents: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Reach:
    """How an accuracy is reached.

    Args:
        target: The accuracy.
        without_text: Regimes without a size axis whose whole interval, over two seeds or more, is
            above it, 95 % for all of them together, with what they score.
        shortest: The regime with one that surely passes it first, else in the mean, else is
            highest; None where no size is finished.
        one_run: The regime of which one run passes it with least text; None where none does.
    """

    target: float
    without_text: tuple[tuple[str, Estimate], ...]
    shortest: Passage | None
    one_run: OneRun | None


def reach(scores: Scores, sizes: Sequence[int], target: float) -> Reach:
    """Ask every regime for an accuracy.

    Args:
        scores: The scores.
        sizes: Sizes of the spec, ascending.
        target: The accuracy, in [0, 1].
    """
    points = [point for point in scores.points if point[1] is None and scores.count(point) > 1]
    level = 1 - ERROR / 2 / max(1, len(points))  # any of them will do
    reaching_it = (point for point in points if _is_surely_above(scores, point, target, level))
    passages = _passages(scores, sizes, target)
    return Reach(
        target=target,
        without_text=tuple((p[0], scores.contrast([p], [1.0])) for p in reaching_it),
        shortest=_shortest(scores, passages),
        one_run=_one_run(scores, points, passages, target),
    )


def _is_surely_above(scores: Scores, point: Point, target: float, level: float) -> bool:
    interval = scores.contrast([point], [1.0], level).interval
    return interval is not None and interval.low > target


def _passages(scores: Scores, sizes: Sequence[int], target: float) -> list[Passage]:
    regimes = dict.fromkeys(regime for regime, size in scores.points if size is not None)
    found = ((regime, find_crossing(scores, sizes, reaching(regime, target))) for regime in regimes)
    return [
        Passage(regime=r, target=target, crossing=crossing) for r, crossing in found if crossing
    ]


def _one_run(
    scores: Scores, points: Iterable[Point], passages: Iterable[Passage], target: float
) -> OneRun | None:
    ways = [
        OneRun(regime=point[0], documents=0.0)
        for point in points
        if (interval := scores.one_run(point)) is not None and interval.low > target
    ]
    ways += [
        OneRun(regime=way.regime, documents=way.crossing.for_one_run)
        for way in passages
        if way.crossing.for_one_run is not None and way.crossing.for_one_run < inf
    ]
    return min(ways, key=lambda way: way.documents, default=None)


def _shortest(scores: Scores, passages: Sequence[Passage]) -> Passage | None:
    def length(way: Passage) -> tuple[float, float, float]:
        crossing, end = way.crossing, inf
        if crossing.num_seeds > 1 and crossing.interval is not None:
            end = crossing.interval.high
        highest = scores.means((way.regime, crossing.largest))[0]
        return (end, inf if crossing.documents is None else crossing.documents, -highest)

    return min(passages, key=length, default=None)
