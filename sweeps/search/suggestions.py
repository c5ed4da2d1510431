"""Suggestions: what a study is asked, and the seam behind which trials are kept.

A `Question` carries all a suggestion may depend on: the space, a seed and the ended trials before
it. `Studies` is the seam; `sweeps.search.studies` implements it with Optuna and a database,
`InMemoryStudies` here with a dictionary, for tests and for trying things out.

The first trials of a study are spread over its space (`spread`): with so few, a model of the study
suggests no better than chance does, and chance leaves gaps (`benchmarks/suggestions.py`).
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from sweeps.search.records import DRIVER_STOPPED, Progress, TrialKey, TrialRecord, TrialState
from sweeps.spec.meaning import JSON, check_meaning
from sweeps.spec.searches import Range

SPREAD_TRIALS = 10  # as many as Optuna draws at random before it models a study

# How far each hyperparameter moves from trial to trial, in shares of its range: the golden ratio's
# fraction, which leaves the smallest gaps in one dimension whatever the number of trials, and one
# that goes well with it.
STEPS = (0.6180339887498949, 0.5698402909980532)
PASSED_OVER = 100  # points looked at, at most, for one below a rate that diverged


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What a study is asked.

    Args:
        number: The trial's place in its study, from 0.
        space: Hyperparameter name → range.
        maximize: Whether larger values are better.
        seed: Seed of this one suggestion.
        history: Ended trials of the study before it, by number.
    """

    number: int
    space: Mapping[str, Range]
    maximize: bool
    seed: int
    history: tuple[TrialRecord, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Pruning:
    """When a running trial is stopped: below the median of `startup` or more finished ones.

    Args:
        startup: Finished trials before which nothing is pruned.
        warmup_epochs: Epochs before which nothing is pruned.
        maximize: Whether larger values are better.
    """

    startup: int = 2
    warmup_epochs: int
    maximize: bool


class Studies(Protocol):
    """One study per cell and stage: suggests, stops, and keeps every trial durably."""

    def open(self, meaning: Mapping[str, JSON]) -> tuple[TrialRecord, ...]:
        """Start or go on: trials left running by a driver that vanished are closed as LOST.

        Args:
            meaning: `sweeps.spec.meaning.meaning(spec)` and `CONTENT`, kept with the sweep.

        Returns:
            Every attempt ever asked.

        Raises:
            MeaningError: The recorded trials mean something else; names each differing key.
        """
        ...

    def suggest(self, question: Question) -> dict[str, float]:
        """Hyperparameters for a trial; the middle of every range for the first of its study."""
        ...

    def begin(self, record: TrialRecord, space: Mapping[str, Range]) -> None:
        """Keep a trial that is being handed out."""
        ...

    def wait(self, record: TrialRecord) -> None:
        """Keep that a running trial waits for a node, or no longer does."""
        ...

    def report(self, key: TrialKey, progress: Progress, at: float) -> None:
        """Keep an epoch of a running trial."""
        ...

    def should_prune(
        self, record: TrialRecord, history: Sequence[TrialRecord], pruning: Pruning
    ) -> bool:
        """Whether a running trial is to stop, judged by its last epoch against its history."""
        ...

    def end(self, record: TrialRecord) -> None:
        """Keep the end of a trial."""
        ...

    def close(self) -> None:
        """Let go of the storage."""
        ...


def diverged(record: TrialRecord) -> bool:
    """Whether a trial failed for what it was asked; one that broke says nothing of its rate."""
    return record.state is TrialState.FAILED and not record.retryable


def spread(question: Question) -> dict[str, float]:
    """The next point of a sequence that fills the space, from the middle of every range on.

    An additive recurrence (Roberts, The unreasonable effectiveness of quasirandom sequences, 2018):
    the same in every cell, so that regimes and seeds are compared at the same rates. Points at or
    above a rate that diverged are passed over while others are left.
    """
    ended = [dict(record.params) for record in question.history]
    rates = [r.params.get("learning_rate", math.inf) for r in question.history if diverged(r)]
    for index in range(question.number, question.number + PASSED_OVER):
        point = _point(question.space, index)
        if not rates or (point.get("learning_rate", 0.0) < min(rates) and point not in ended):
            return point
    return _point(question.space, question.number)


def _point(space: Mapping[str, Range], index: int) -> dict[str, float]:
    searched = [name for name, interval in space.items() if not interval.is_fixed]
    steps = dict(zip(searched, STEPS[: len(searched)], strict=True))
    return {
        name: interval.at((0.5 + index * steps.get(name, 0.0)) % 1)
        for name, interval in space.items()
    }


class InMemoryStudies:
    """Studies in a dictionary; forgets all when the process ends."""

    def __init__(self, name: str = "sweep") -> None:
        self._name = name
        self._meaning: dict[str, JSON] | None = None
        self._records: dict[TrialKey, TrialRecord] = {}
        self._touched_at: dict[TrialKey, float] = {}

    def open(self, meaning: Mapping[str, JSON]) -> tuple[TrialRecord, ...]:
        """See `Studies.open`."""
        if self._meaning is not None:
            check_meaning(self._meaning, meaning, self._name)
        self._meaning = {**(self._meaning or {}), **meaning}
        for key, record in self._records.items():
            if record.state is TrialState.RUNNING:
                self._records[key] = replace(
                    record,
                    state=TrialState.LOST,
                    failure=DRIVER_STOPPED,
                    ended_at=self._touched_at[key],
                    told_at=None,
                    saved_at=None,
                )
        return tuple(self._records.values())

    def suggest(self, question: Question) -> dict[str, float]:
        """See `Studies.suggest`."""
        return spread(question)

    def begin(self, record: TrialRecord, space: Mapping[str, Range]) -> None:
        """See `Studies.begin`."""
        self._records[record.key] = record
        self._touched_at[record.key] = record.started_at

    def wait(self, record: TrialRecord) -> None:
        """See `Studies.wait`."""
        self._records[record.key] = record

    def report(self, key: TrialKey, progress: Progress, at: float) -> None:
        """See `Studies.report`."""
        record = self._records[key]
        self._records[key] = replace(record, progress=(*record.progress, progress))
        self._touched_at[key] = at

    def should_prune(
        self, record: TrialRecord, history: Sequence[TrialRecord], pruning: Pruning
    ) -> bool:
        """See `Studies.should_prune`: the best epoch so far against the median of the others."""
        last = record.progress[-1]
        if last.epoch < pruning.warmup_epochs:
            return False
        sign = 1.0 if pruning.maximize else -1.0
        finished = [other for other in history if other.state is TrialState.FINISHED]
        values = [
            sign * epoch.value
            for other in finished
            for epoch in other.progress
            if epoch.epoch == last.epoch
        ]
        if len(finished) < pruning.startup or not values:
            return False
        best = max(sign * epoch.value for epoch in record.progress)
        return best < statistics.median(values)

    def end(self, record: TrialRecord) -> None:
        """See `Studies.end`."""
        self._records[record.key] = record

    def close(self) -> None:
        """Nothing to let go of."""
