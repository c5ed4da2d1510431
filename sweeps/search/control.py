"""Control: joins ledger, studies and recorder; what a runner asks next and tells afterwards.

A runner (Ray Tune's searcher, or a plain loop) calls `next_request`, `report`, `finish` and `fail`;
each event is first kept durably in the studies, then told to the recorder and the listener. Opening
a control replays what the studies hold into a new ledger: a first run and a resume are the same
call. All is synchronous and on one thread; times come from `clock`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import Enum

from sweeps.clock import steady_time
from sweeps.record.recorder import Recorder
from sweeps.search.decisions import NextTrial
from sweeps.search.ledger import Ledger
from sweeps.search.listener import RunListener
from sweeps.search.records import (
    Outcome,
    Progress,
    TrialKey,
    TrialRecord,
    TrialRequest,
    TrialState,
)
from sweeps.search.suggestions import Pruning, Question, Studies
from sweeps.spec.cells import Cell, Stage
from sweeps.spec.cost import TrialCosts
from sweeps.spec.meaning import JSON, meaning
from sweeps.spec.spaces import accelerators, maximizes, search_of, space_of
from sweeps.spec.values import SweepSpec
from ulm.seeding import seed_for

SPENT_SECONDS = 10.0  # between two totals: they add up every attempt


class NoRequest(Enum):
    """What there is instead of a request."""

    WAIT = "wait"  # running trials must end first
    DONE = "done"  # no trial can be wanted any more in this run


def _every_cell(cell: Cell) -> bool:
    return True


class Control:
    """One run of a sweep.

    Args:
        spec: The sweep.
        cells: Its cells.
        studies: Where trials are suggested and kept; opened here.
        open_recorder: Opens what mirrors the records, at the first event of this run.
        listener: Shows them.
        clock: Unix seconds.
        general_encoder: Store key of the general model where the spec names a pretrained one.
        content: What the corpora hold, by the keys of `meaning.CONTENT`.

    Raises:
        MeaningError: The studies hold trials of a spec that means something else.
    """

    def __init__(
        self,
        spec: SweepSpec,
        cells: Sequence[Cell],
        studies: Studies,
        open_recorder: Callable[[], Recorder],
        listener: RunListener,
        *,
        clock: Callable[[], float] = steady_time,
        general_encoder: str | None = None,
        content: Mapping[str, JSON] | None = None,
    ) -> None:
        self._spec = spec
        self._cells = {cell.id: cell for cell in cells}
        self._studies = studies
        self._open_recorder = open_recorder
        self._opened: Recorder | None = None
        self._listener = listener
        self._clock = clock
        self._histories: dict[TrialKey, tuple[TrialRecord, ...]] = {}
        self._unkept: set[TrialKey] = set()
        self._told_spent_at = opened_at = clock()
        told = {**meaning(spec), **(content or {})}
        self.ledger = Ledger(
            spec,
            cells,
            records=[_asked_again(record) for record in studies.open(told)],
            cost=TrialCosts.of(spec).seconds,
            general_encoder=general_encoder,
            opened_at=opened_at,
        )
        self._trained = set[TrialKey]()
        listener.recorded(self.ledger.records)
        self.tell_spent()

    @property
    def records(self) -> tuple[TrialRecord, ...]:
        """The latest attempt of every trial, superseded ones left out."""
        return self.ledger.records

    @property
    def recorder(self) -> Recorder:
        """Mirrors the records; one that is opened only now is told what the ledger holds."""
        if self._opened is None:
            self._opened = self._open_recorder()
            self._opened.reconcile(self.records, self.superseded)
            self._opened.spent(self.ledger.spent())
        return self._opened

    def close_recorder(self) -> bool:
        """Wait, within limits, until everything is recorded. Returns whether it is."""
        return self._opened is None or self._opened.close()

    @property
    def superseded(self) -> tuple[TrialRecord, ...]:
        """Attempts that no longer count: asked again, or made on a choice that was replaced."""
        current = {record.key for record in self.records}
        return tuple(record for record in self.ledger.attempts if record.key not in current)

    @property
    def num_trained(self) -> int:
        """Trials that ended in this run and count, a repeated one once."""
        return len(self._trained)

    @property
    def num_recorded(self) -> int:
        """Trials that have ended and count, those of earlier runs included."""
        return self.ledger.num_counted

    @property
    def num_broken(self) -> int:
        """Trials that broke as often as this run repeats them; the next run asks them again."""
        return sum(r.state is TrialState.FAILED and r.retryable for r in self.records)

    @property
    def is_over_budget(self) -> bool:
        """Whether nothing new starts because the budget is spent."""
        return self.ledger.over_budget(self._clock())

    @property
    def is_cut_short(self) -> bool:
        """Whether trials are left because the wall hours of this run are spent."""
        is_unfinished = self.ledger.num_counted < self.ledger.num_wanted
        return is_unfinished and self.ledger.is_out_of_hours(self._clock())

    @property
    def has_work(self) -> bool:
        """Whether a trial would be handed out now."""
        return bool(self.ledger.ready(self._clock()))

    def has_ended(self, key: TrialKey) -> bool:
        """Whether nobody goes on with it: its end is kept, or another attempt took its place."""
        record = self.ledger.latest(key)
        return record is None or (record.is_over and key not in self._unkept)

    def next_request(
        self, *, fits: Callable[[Cell], bool] = _every_cell, waits: bool = False
    ) -> TrialRequest | NoRequest:
        """The most urgent trial, kept as RUNNING before it is handed out.

        Args:
            fits: Whether the runner has room for a trial of a cell; the others are passed over.
            waits: Whether it waits for a node until the runner says `begins`.
        """
        ready = self.ledger.ready(self._clock())
        if not ready:
            return NoRequest.WAIT if self.ledger.num_running else NoRequest.DONE
        for study in ready:
            if fits(self._cells[study.cell_id]):
                wanted = self.ledger.next_trial(study)
                assert wanted is not None, "a ready study wants a trial"
                return self._hand_out(wanted, waits=waits)
        return NoRequest.WAIT

    def begins(self, key: TrialKey) -> None:
        """A worker took a trial that waited: from now on its seconds cost."""
        if self.ledger.begins(key, self._clock()):
            self._studies.wait(self._running(key))

    def waits(self, key: TrialKey, reason: str) -> None:
        """A trial lost its worker and waits for another, to go on from its last checkpoint."""
        if self.ledger.waits(key, self._clock()):
            self._studies.wait(self._running(key))
            self._listener.message(f"{self._name(key)}: goes on from its last checkpoint; {reason}")

    def inherits(self, key: TrialKey, seconds: float, progress: Progress) -> None:
        """A trial goes on from a checkpoint of a stopped run.

        Args:
            key: The trial.
            seconds: Seconds of work that the checkpoint holds.
            progress: Its last epoch.
        """
        self.begins(key)
        if self.ledger.inherits(key, seconds):
            self._studies.wait(self._running(key))
            goes_on = f"goes on after epoch {progress.epoch} of {progress.num_epochs}"
            self._listener.message(f"{self._name(key)}: {goes_on}, where the last run was stopped")

    def report(self, key: TrialKey, progress: Progress, *, is_saved: bool = True) -> bool:
        """A trial finished an epoch, from which it can go on where its state is saved.

        Returns:
            Whether it is to go on; False ends it here as PRUNED or, where the value is no finite
            number, as FAILED.
        """
        self.begins(key)
        if not math.isfinite(progress.value):
            self.fail(key, f"diverged: the value of epoch {progress.epoch} is {progress.value}")
            return False
        now = self._clock()
        if not self.ledger.progressed(key, progress, now, is_saved=is_saved):
            return self.ledger.running(key) is not None
        record = self._running(key)
        self._studies.report(key, progress, now)
        self.recorder.changed(record)
        self._listener.trial_progress(record)
        self._tell_spent(now)
        if not self._is_to_be_pruned(record):
            return True
        self.ledger.pruned(key, self._clock())
        self._keep_end(key)
        return False

    def finish(self, key: TrialKey, outcome: Outcome) -> None:
        """A trial ran through; told twice, or after it was pruned, it changes nothing."""
        if not math.isfinite(outcome.value):
            self.fail(key, f"diverged: its value is {outcome.value}")
        elif self.ledger.finished(key, outcome, self._clock()):
            self._keep_end(key)
            if reason := outcome.artifacts.get("no_model"):
                self._listener.message(f"{self._name(key)}: its model is not kept: {reason}")

    def fail(self, key: TrialKey, reason: str) -> None:
        """A trial failed for good, e.g. diverged."""
        if self.ledger.failed(key, reason, self._clock()):
            self._keep_end(key)

    def encoder_lost(self, encoder: str, reason: str) -> bool:
        """An encoder is gone or damaged: the trial that trained it is asked again.

        Returns:
            Whether it is trained again: it is one of this sweep's, and not lost all the time.
        """
        is_ours = self.ledger.encoder_lost(encoder)
        if is_ours:
            self._listener.message(f"{reason}; it is trained again")
        return is_ours

    def give_up(self, key: TrialKey, reason: str) -> None:
        """A trial broke as often as the runner repeats it; the next run asks it again.

        The cell goes on without it: trials after it are suggested without its value, and stay.
        """
        if self.ledger.gave_up(key, reason, self._clock()):
            self._keep_end(key)

    def lose(self, key: TrialKey, reason: str) -> None:
        """A trial does not end, by no fault of its own: this run asks it again, or the next."""
        if self.ledger.lost(key, reason, self._clock()):
            self._keep_end(key)

    def tell_spent(self, now: float = 0.0) -> None:
        """Tell recorder and listener what was spent, by running trials up to `now`."""
        spent = self.ledger.spent(now)
        if self._opened is not None:
            self._opened.spent(spent)
        self._listener.spent(spent)

    def close(self, reason: str = "the run was stopped") -> None:
        """End what still runs as LOST, to be asked again by the next run, and let go of storage."""
        try:
            for record in self.records:
                if record.state is TrialState.RUNNING:
                    self.lose(record.key, reason)
        finally:
            self._studies.close()

    def _hand_out(self, wanted: NextTrial, *, waits: bool) -> TrialRequest:
        cell = self._cells[wanted.key.study.cell_id]
        space = space_of(self._spec, cell, wanted.key.study.stage)
        params = wanted.params
        if params is None:
            params = self._studies.suggest(self._question(cell, wanted))
        now = self._clock()
        record = TrialRecord(
            key=wanted.key,
            params=params,
            encoder=wanted.basis.encoder,
            started_at=now,
            waiting_since=now if waits else None,
            accelerators=accelerators(self._spec, cell.regime),
        )
        self._studies.begin(record, space)
        self.ledger.asked(record)
        self._histories[record.key] = wanted.history
        self.recorder.changed(record)
        self._listener.trial_started(record)
        return TrialRequest(
            key=record.key,
            cell=cell,
            params=params,
            encoder=record.encoder,
        )

    def _question(self, cell: Cell, wanted: NextTrial) -> Question:
        """The seed names the cell by its place in the grid: not by the sweep's or the cell's id."""
        study, number = wanted.key.study, wanted.key.number
        place = (cell.regime, -1 if cell.size is None else cell.size)
        return Question(
            number=number,
            space=space_of(self._spec, cell, study.stage),
            maximize=maximizes(study.stage),
            seed=seed_for("suggestion", cell.seed, *place, study.stage.value, number),
            history=wanted.history,
        )

    def _is_to_be_pruned(self, record: TrialRecord) -> bool:
        study = record.key.study
        if self._spec.search.pruner == "none" or study.stage is Stage.FINAL:
            return False
        search = search_of(self._spec, self._cells[study.cell_id], study.stage)
        pruning = Pruning(
            warmup_epochs=self._spec.search.warmup_of(search), maximize=maximizes(study.stage)
        )
        return self._studies.should_prune(record, self._histories[record.key], pruning)

    def _name(self, key: TrialKey) -> str:
        return f"{self._cells[key.study.cell_id].label}, {key.study.stage} {key.number}"

    def _running(self, key: TrialKey) -> TrialRecord:
        record = self.ledger.running(key)
        assert record is not None, "only running trials make progress"
        return record

    def _keep_end(self, key: TrialKey) -> None:
        record = self.ledger.latest(key)
        assert record is not None, "a trial that just ended is its latest attempt"
        self._histories.pop(key, None)
        if record.state.counts:
            self._trained.add(replace(key, attempt=0))
        self._unkept.add(key)  # for good where the write fails: the next run asks it again
        self._studies.end(record)
        self._unkept.remove(key)
        self.recorder.changed(record)
        self._listener.trial_ended(record)
        self._tell_spent(record.ended_at or 0.0)

    def _tell_spent(self, now: float) -> None:
        if now - self._told_spent_at >= SPENT_SECONDS:
            self._told_spent_at = now
            self.tell_spent(now)


def _asked_again(record: TrialRecord) -> TrialRecord:
    """What broke in an earlier run, rather than diverged, counts as lost and is asked again."""
    if record.state is TrialState.FAILED and record.retryable:
        return replace(record, state=TrialState.LOST)
    return record
