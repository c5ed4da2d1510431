"""Targets: who reaches an accuracy without domain text, and who with least of it (pure).

Scores and an accuracy come in; the regimes that reach it go out. The headline and `sweep advise
--target` both ask here, so that they never name different ones.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf

from sweeps.answer.crossings import Crossing, find_crossing, reaching
from sweeps.answer.estimates import Estimate, Interval
from sweeps.answer.scores import Scores
from sweeps.answer.statistics import ERROR


@dataclass(frozen=True, kw_only=True, slots=True)
class Passage:
    """Where a regime's curve passes an accuracy."""

    regime: str
    target: float
    crossing: Crossing


@dataclass(frozen=True, kw_only=True, slots=True)
class Reach:
    """How an accuracy is reached.

    Args:
        target: The accuracy.
        without_text: Regimes without a size axis whose whole interval, over two seeds or more, is
            above it, 95 % for all of them together, with what they score.
        alone_without_text: Those of them of which one run is above it too, with 97.5 % or more.
        shortest: The regime that surely passes it first, else in the mean, else may pass it, else
            is highest; None where no size is finished.
        one_run: The regime of which one run passes it with least domain text; None where none does.
    """

    target: float
    without_text: tuple[tuple[str, Estimate], ...]
    alone_without_text: tuple[str, ...]
    shortest: Passage | None
    one_run: Passage | None


def reach(scores: Scores, sizes: Sequence[int], target: float) -> Reach:
    """Ask every regime for an accuracy.

    Args:
        scores: The scores.
        sizes: Sizes of the spec, ascending.
        target: The accuracy, in [0, 1].
    """
    points = [point for point in scores.points if point[1] is None and scores.count(point) > 1]
    level = 1 - ERROR / 2 / max(1, len(points))  # any of them will do
    sure = [p for p in points if _is_above(scores.contrast([p], [1.0], level).interval, target)]
    passages = _passages(scores, sizes, target)
    return Reach(
        target=target,
        without_text=tuple((p[0], scores.contrast([p], [1.0])) for p in sure),
        alone_without_text=tuple(p[0] for p in sure if _is_above(scores.one_run(p, level), target)),
        shortest=_shortest(scores, passages),
        one_run=_one_run(passages),
    )


def _is_above(interval: Interval | None, target: float) -> bool:
    return interval is not None and interval.low > target


def _passages(scores: Scores, sizes: Sequence[int], target: float) -> list[Passage]:
    regimes = dict.fromkeys(regime for regime, size in scores.points if size is not None)
    found = ((regime, find_crossing(scores, sizes, reaching(regime, target))) for regime in regimes)
    return [
        Passage(regime=r, target=target, crossing=crossing) for r, crossing in found if crossing
    ]


def _one_run(passages: Iterable[Passage]) -> Passage | None:
    def length(way: Passage) -> float:
        return inf if way.crossing.for_one_run is None else way.crossing.for_one_run

    way = min(passages, key=length, default=None)
    return None if way is None or length(way) == inf else way


def _shortest(scores: Scores, passages: Sequence[Passage]) -> Passage | None:
    def length(way: Passage) -> tuple[float, float, bool, float]:
        crossing = way.crossing
        end = inf if crossing.interval is None else crossing.interval.high
        mean_end = inf if crossing.documents is None else crossing.documents
        highest = scores.means((way.regime, crossing.largest))[0]
        return end, mean_end, crossing.is_beyond, -highest

    return min(passages, key=length, default=None)
