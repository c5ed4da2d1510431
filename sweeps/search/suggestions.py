"""Suggestions: what a study is asked, and the seam behind which trials are kept.

A `Question` carries all a suggestion may depend on: the space, a seed and the ended trials before
it. `Studies` is the seam; `sweeps.search.studies` implements it with Optuna and a database,
`InMemoryStudies` here with random search and a dictionary, for tests and for trying things out.
"""

import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from sweeps.search.records import Progress, TrialKey, TrialRecord, TrialState
from sweeps.spec.meaning import JSON, check_meaning
from sweeps.spec.searches import Range

DRIVER_STOPPED = "the driver stopped while it ran"


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
    warmup_epochs: int = 0
    maximize: bool = True


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


def middle_of(space: Mapping[str, Range]) -> dict[str, float]:
    """The first suggestion of every study."""
    return {name: interval.middle for name, interval in space.items()}


class InMemoryStudies:
    """Studies in a dictionary, with seeded random search; forgets all when the process ends."""

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
        """See `Studies.suggest`: uniform, in the logarithm where the range says so."""
        if question.number == 0:
            return middle_of(question.space)
        generator = random.Random(question.seed)
        return {name: _draw(interval, generator) for name, interval in question.space.items()}

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


def _draw(interval: Range, generator: random.Random) -> float:
    share = generator.random()
    if interval.log:
        return float(interval.low * (interval.high / interval.low) ** share)
    return interval.low + (interval.high - interval.low) * share
