"""Forecast: how long a sweep still takes, and how sure that is (pure).

A board goes in; wall seconds go out, with a range. Every trial that ended, and every running one
with an epoch behind it, tells a *factor*: its seconds over those of the plan. What is still to come
takes the factor of its like: of its own stage and size, else of its stage, else of its kind (a bag
of words tells nothing of a neural model). The spread of those factors makes the range; all errors
are taken to point the same way, so that the range is rather too wide. Wall time is the larger of
two bounds, as in `sweeps.spec.bill`: the work over the trials that run at once, and the longest
chain of trials that wait for each other.
"""

import math
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from sweeps.live.board import Board, share_trained
from sweeps.live.words import duration, moment, span
from sweeps.search.records import TrialRecord
from sweeps.spec.cells import Cell, Stage
from ulm.regimes import Regime

DOUBTS = (0.15, 0.35, 0.7)
"""Standard deviation of the log factor before there are many: same size, stage, kind."""
DOUBT_WEIGHT = 3  # trials that `DOUBTS` counts for
RANGE = 1.28  # standard deviations on both sides: 80 %


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """Wall seconds a sweep still takes.

    Args:
        low_seconds: It takes longer in nine of ten cases.
        likely_seconds: The middle.
        high_seconds: It takes less in nine of ten cases.
    """

    low_seconds: float
    likely_seconds: float
    high_seconds: float

    def __str__(self) -> str:
        """In words: `25 min left (20–34 min)`."""
        range_ = span(self.low_seconds, self.high_seconds)
        return f"{duration(self.likely_seconds)} left ({range_})"

    def ends(self, now: float) -> str:
        """When the sweep ends, as local time."""
        return moment(now + self.likely_seconds, now)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Estimate:
    """Seconds, the standard deviation of their logarithm, and whether a like trial told them."""

    seconds: float
    doubt: float
    is_told: bool = True


def _likes(cell: Cell, stage: Stage) -> tuple[Hashable, ...]:
    """What a trial is like, as `DOUBTS`: the most alike first."""
    kind = (stage, cell.regime == Regime.BOW)
    return ((*kind, cell.size, cell.is_general), kind, cell.regime == Regime.BOW)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Factor:
    """Factors of trials that are alike: how many, their mean, the spread of their logarithms."""

    count: int
    mean: float
    spread: float


class _Factors:
    """What trials took over what was planned, by what they were like."""

    def __init__(self, board: Board) -> None:
        found: list[dict[Hashable, list[float]]] = [{} for _ in DOUBTS]
        for record in board.records:
            factor = _factor(record, board.cost(record))
            if factor > 0:
                study = record.key.study
                likes = _likes(board.cells[study.cell_id], study.stage)
                for level, like in zip(found, likes, strict=True):
                    level.setdefault(like, []).append(factor)
        self._levels = tuple(
            {like: _summary(factors, doubt) for like, factors in level.items()}
            for level, doubt in zip(found, DOUBTS, strict=True)
        )

    def estimate(self, cell: Cell, stage: Stage, planned: float, trials: int) -> _Estimate:
        """What takes `planned` seconds in the plan, in so many trials."""
        levels = zip(self._levels, _likes(cell, stage), strict=True)
        found = next((pair for pair in levels if pair[1] in pair[0]), None)
        if found is None:
            return _Estimate(seconds=planned, doubt=DOUBTS[-1], is_told=False)
        level, like = found
        factor = level[like]
        # Trials of the same size scatter around a mean; those of another have one of their own.
        scatter = 1 / factor.count + (1 / trials if level is self._levels[0] else 1)
        return _Estimate(seconds=planned * factor.mean, doubt=factor.spread * math.sqrt(scatter))


def _summary(factors: list[float], doubt: float) -> _Factor:
    """Mean and spread; the spread is held near `doubt` while there are few."""
    logs = [math.log(factor) for factor in factors]
    middle = fmean(logs)
    squares = sum((log - middle) ** 2 for log in logs)
    variance = (DOUBT_WEIGHT * doubt**2 + squares) / (DOUBT_WEIGHT + len(logs) - 1)
    return _Factor(count=len(factors), mean=fmean(factors), spread=math.sqrt(variance))


def _factor(record: TrialRecord, cost: float) -> float:
    """Seconds of a trial over those of the plan; 0 where nothing is known of it."""
    if record.state.counts:
        return record.worked_seconds(record.ended_at or 0.0) / cost
    if record.told_at is None or not record.progress:
        return 0.0
    return _seconds_in_all(record, record.worked_seconds(record.told_at)) / cost


def _seconds_in_all(record: TrialRecord, worked: float) -> float:
    """What a trial takes that has epochs behind it: the rest at the pace of all but the first.

    Before the first a trial loads and, on a GPU, compiles for seconds in which others are trained.
    """
    seconds = [epoch.metrics.get("seconds", 0.0) for epoch in record.progress]
    later = [b - a if b >= a else b for a, b in pairwise(seconds)]  # of a fold they begin at 0
    if any(later):
        last = record.progress[-1]
        return worked + (last.num_epochs - last.epoch) * fmean(later)
    return worked / share_trained(record)


def forecast(board: Board) -> Forecast | None:
    """How long a sweep still takes; None while no trial tells of more than half of it.

    Args:
        board: Where it stands.
    """
    factors = _Factors(board)
    left = {cell.id: _left(board, cell, factors) for cell in board.cells.values()}
    everything = [estimate for estimates in left.values() for estimate in estimates]
    work = _seconds(everything)
    if _seconds(e for e in everything if not e.is_told) > board.cost_total / 2:
        return None
    doubt = sum(e.seconds * e.doubt for e in everything) / work if work else 0.0
    chain = max(_chain(board, cell, left) for cell in board.cells.values())
    seconds = max(work / max(1, board.at_once), chain)
    return Forecast(
        low_seconds=seconds * math.exp(-RANGE * doubt),
        likely_seconds=seconds,
        high_seconds=seconds * math.exp(RANGE * doubt),
    )


def _left(board: Board, cell: Cell, factors: _Factors) -> tuple[_Estimate, ...]:
    return tuple(
        factors.estimate(cell, stage, planned, trials)
        for stage, (planned, trials) in board.work_left(cell).items()
    )


def _seconds(estimates: Iterable[_Estimate]) -> float:
    return sum(estimate.seconds for estimate in estimates)


def _chain(board: Board, cell: Cell, left: dict[str, tuple[_Estimate, ...]]) -> float:
    """Seconds of a cell's own trials, one after the other, behind the general model it needs."""
    own = _seconds(left[cell.id])
    if not own:
        return 0.0
    needed = sum(_chain(board, board.cells[other], left) for other in cell.needs)
    return needed + own / board.spec.search.parallel_trials
