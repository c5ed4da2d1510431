"""Attempts: hears the events of a sweep and keeps every attempt of every trial (pure).

Events come in, each with its own time, and the records they lead to are kept. An event that comes
twice, or names a trial, cell or attempt that is not there, changes nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sweeps.search.records import (
    DRIVER_STOPPED,
    Outcome,
    Progress,
    StudyKey,
    TrialKey,
    TrialRecord,
    TrialState,
)
from sweeps.spec.cells import Cell
from sweeps.spec.spaces import num_trials
from sweeps.spec.values import SweepSpec


@dataclass(slots=True)
class StudyAttempts:
    """What is known of one study.

    Args:
        wanted: Trials it may spend.
        latest: Number → latest attempt.
        replaced: Ended attempts that a later one took the place of.
    """

    wanted: int
    latest: dict[int, TrialRecord] = field(default_factory=dict)
    replaced: list[TrialRecord] = field(default_factory=list)

    @property
    def num_running(self) -> int:
        """Trials handed out and not ended."""
        return sum(record.state is TrialState.RUNNING for record in self.latest.values())


class Attempts:
    """All attempts of a sweep's trials, by study.

    Args:
        spec: The sweep.
        cells: Its cells.
        records: Trials of earlier runs; those the spec no longer asks for are ignored.
    """

    def __init__(
        self, spec: SweepSpec, cells: Sequence[Cell], records: Iterable[TrialRecord] = ()
    ) -> None:
        self.spec = spec
        self.cells = tuple(cells)
        self._cells: Mapping[str, Cell] = {cell.id: cell for cell in cells}
        self._running: dict[TrialKey, TrialRecord] = {}
        self._changed: set[str] = set()  # cells in which a trial was asked, ended or spoiled
        self._spoiled: set[TrialKey] = set()  # finished, but their encoders are gone
        self._studies = {
            StudyKey(cell_id=cell.id, stage=stage): StudyAttempts(
                wanted=num_trials(spec, cell, stage)
            )
            for cell in cells
            for stage in cell.stages
        }
        left_out: set[tuple[StudyKey, int]] = set()
        for record in sorted(records, key=lambda record: record.key.attempt):
            self.asked(record)
            study = self._studies.get(record.key.study)
            is_asked = study is not None and record.key.number < study.wanted
            if record.state.counts and not is_asked:
                left_out.add((record.key.study, record.key.number))
        self.num_left_out = len(left_out)
        """Recorded trials the spec no longer asks for."""

    def asked(self, record: TrialRecord) -> bool:
        """A trial was handed out. Returns whether the event told anything new."""
        attempts = self._studies.get(record.key.study)
        if attempts is None:
            return False
        known = attempts.latest.get(record.key.number)
        if known is not None and known.key.attempt >= record.key.attempt:
            return False
        if known is not None:
            attempts.replaced.append(known)
        self._put(record)
        return True

    def waits(self, key: TrialKey, at: float) -> bool:
        """A trial lost its worker and waits for another. Returns whether that is new."""
        record = self.running(key)
        if record is None or record.waiting_since is not None:
            return False
        saved_at = record.started_at if record.saved_at is None else record.saved_at
        repeated = record.repeated_seconds + max(0.0, at - saved_at)
        self._update(replace(record, waiting_since=at, repeated_seconds=repeated))
        return True

    def begins(self, key: TrialKey, at: float) -> bool:
        """A worker took a trial that waited. Returns whether that is new."""
        record = self.running(key)
        if record is None or record.waiting_since is None:
            return False
        waited = record.waited_seconds + max(0.0, at - record.waiting_since)
        record = replace(record, waiting_since=None, waited_seconds=waited)
        self._update(replace(record, told_at=at, saved_at=at))
        return True

    def inherits(self, key: TrialKey, seconds: float) -> bool:
        """A trial goes on from seconds of work of earlier attempts. Returns whether that is new.

        Of a driver that was killed the last of them are not known: no more are counted than are.
        """
        record = self.running(key)
        if record is None or record.inherited_seconds:
            return False
        earlier = (r for r in self._studies[key.study].replaced if r.key.number == key.number)
        known = sum(r.held_seconds(0.0) for r in earlier)
        self._update(replace(record, inherited_seconds=min(seconds, known)))
        return True

    def progressed(
        self, key: TrialKey, progress: Progress, at: float | None = None, *, is_saved: bool = True
    ) -> bool:
        """A trial reported an epoch, saved or not. Returns whether the event is new."""
        record = self.running(key)
        if record is None:
            return False
        if at is not None:
            record = replace(record, told_at=at, saved_at=at if is_saved else record.saved_at)
        is_new = all(known.epoch < progress.epoch for known in record.progress)
        if is_new:
            record = replace(record, progress=(*record.progress, progress))
        self._update(record)
        return is_new

    def finished(self, key: TrialKey, outcome: Outcome, at: float) -> bool:
        """A trial ran through. Returns whether the event told anything new."""
        return self._end(key, at, state=TrialState.FINISHED, outcome=outcome)

    def pruned(self, key: TrialKey, at: float) -> bool:
        """A trial was stopped by its study's pruner. Returns whether that is new."""
        return self._end(key, at, state=TrialState.PRUNED)

    def failed(self, key: TrialKey, reason: str, at: float) -> bool:
        """A trial failed for good, e.g. diverged. Returns whether that is new."""
        return self._end(key, at, state=TrialState.FAILED, failure=reason)

    def lost(self, key: TrialKey, reason: str, at: float) -> bool:
        """The run ended before a trial did; the next asks it again. Returns whether that is new.

        That a worker vanished is no such event: the runner repeats the trial, and counts.
        """
        return self._end(key, at, state=TrialState.LOST, failure=reason)

    def stopped(self) -> None:
        """The driver is gone: what ran is lost, with what was last heard of it."""
        for key, record in tuple(self._running.items()):
            told_at = record.started_at if record.told_at is None else record.told_at
            self.lost(key, DRIVER_STOPPED, told_at)

    def gave_up(self, key: TrialKey, reason: str, at: float) -> bool:
        """A trial broke as often as this run repeats it. Returns whether that is new."""
        return self._end(key, at, state=TrialState.FAILED, failure=reason, retryable=True)

    def encoder_lost(self, encoder: str) -> bool:
        """An encoder is gone or damaged: the trial that trained it is asked again.

        Not kept beyond this run: what is gone is found to be gone by the next one.

        Args:
            encoder: Its store key.

        Returns:
            Whether it is trained again; not where it came from outside, or was lost in this run
            more than `spec.retries` times before: its store is no place to keep it.
        """
        records = [
            record
            for attempts in self._studies.values()
            for record in (*attempts.replaced, *attempts.latest.values())
            if record.outcome is not None and record.outcome.artifacts.get("encoder") == encoder
        ]
        if len(self._spoiled.intersection(record.key for record in records)) > self.spec.retries:
            return False
        for record in records:
            if self.latest(record.key) is record:
                self._spoiled.add(record.key)
                self._changed.add(record.key.study.cell_id)
        return bool(records)

    def running(self, key: TrialKey) -> TrialRecord | None:
        """The record of a running trial; None for unknown, ended and replaced attempts."""
        record = self.latest(key)
        return record if record is not None and record.state is TrialState.RUNNING else None

    def latest(self, key: TrialKey) -> TrialRecord | None:
        """The record of a trial unless it is unknown or a later attempt took its place."""
        attempts = self._studies.get(key.study)
        record = None if attempts is None else attempts.latest.get(key.number)
        return record if record is not None and record.key == key else None

    @property
    def attempts(self) -> tuple[TrialRecord, ...]:
        """Every attempt ever made, in order of cells, stages, numbers and attempts."""
        return tuple(
            record
            for attempts in self._studies.values()
            for record in sorted(
                (*attempts.replaced, *attempts.latest.values()),
                key=lambda record: (record.key.number, record.key.attempt),
            )
        )

    @property
    def num_wanted(self) -> int:
        """Trials the whole sweep may spend."""
        return sum(attempts.wanted for attempts in self._studies.values())

    @property
    def num_running(self) -> int:
        """Trials handed out and not ended."""
        return len(self._running)

    def _put(self, record: TrialRecord) -> None:
        self._update(record)
        self._changed.add(record.key.study.cell_id)

    def _update(self, record: TrialRecord) -> None:
        """Keep what is known of a trial now; `_put` where that decides anew what comes next."""
        latest = self._studies[record.key.study].latest
        known = latest.get(record.key.number)
        if known is not None:
            self._running.pop(known.key, None)
        latest[record.key.number] = record
        if record.state is TrialState.RUNNING:
            self._running[record.key] = record

    def _end(
        self,
        key: TrialKey,
        at: float,
        *,
        state: TrialState,
        outcome: Outcome | None = None,
        failure: str | None = None,
        retryable: bool = False,
    ) -> bool:
        record = self.running(key)
        if record is None:
            return False
        record = replace(
            record,
            state=state,
            outcome=outcome,
            failure=failure,
            retryable=retryable,
            ended_at=at,
            told_at=None,
            saved_at=None,
        )
        self._put(record)
        return True
