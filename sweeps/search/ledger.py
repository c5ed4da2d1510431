"""Ledger: events in, decisions out; which study wants a trial now and what it starts from (pure).

Trial records and events (asked, progressed, finished, pruned, failed, lost) come in, each carrying
its own time; questions (`ready`, `next_trial`, `chosen`, `cell_status`) are answered from them
alone. Resume is therefore no mode: a ledger filled with the records of an earlier run goes on from
there.

A trial is *based* on earlier choices: the encoder it starts from and, for `final`, the chosen
settings. When a spec asks for more trials, a better language model or classifier may be chosen
after later stages were recorded. Those records are then superseded: they no longer count and the
same numbers are asked again on the new choice. So an extended sweep ends with the table that a
fresh sweep of the extended spec gives, and a choice that stays costs nothing. Until the earlier
stage has spent its new trials, the old records stand.

What is ready is kept from one question to the next: an event can change it in its own cell and in
the cells that need that one, so only those are looked at again. A sweep of thousands of cells asks
after every epoch of every trial.
"""

from collections.abc import Callable, Iterable, Sequence

from sweeps.search.attempts import Attempts
from sweeps.search.decisions import Basis, CellState, CellStatus, NextTrial
from sweeps.search.records import StudyKey, TrialKey, TrialRecord, TrialState
from sweeps.search.spending import Spent, spent_on, sum_of
from sweeps.spec.cells import Cell, Stage
from sweeps.spec.spaces import accelerators, num_trials
from sweeps.spec.values import SweepSpec
from ulm.regimes import Regime

BUDGET_SPENT = "budget spent"


def _equal_costs(cell: Cell, stage: Stage) -> float:
    return 1.0


def _precedence(cell: Cell) -> int:
    """The general model first, others wait for it; then `bow`, which all is held against."""
    if cell.is_general:
        return 0
    return 1 if cell.regime == Regime.BOW else 2


def _rank(record: TrialRecord) -> tuple[float, float, int]:
    """Sort key of finished trials, the best first; ties go to lower loss, then lower number."""
    assert record.outcome is not None
    outcome = record.outcome
    if record.key.study.stage is Stage.LANGUAGE_MODEL:
        return (outcome.value, 0.0, record.key.number)
    loss = outcome.metrics.get("validation_loss", float("inf"))
    return (-outcome.value, loss, record.key.number)


class Ledger(Attempts):
    """The state of a sweep's trials and what follows from it.

    Args:
        spec: The sweep.
        cells: Its cells, from `make_cells`.
        records: Trials of earlier runs; those the spec no longer asks for are ignored.
        cost: Relative seconds of one trial of a cell and stage; orders the work.
        general_encoder: Store key of the general model where the spec names a pretrained one.
        opened_at: Unix seconds at which this run began, for `budget.hours`.
    """

    def __init__(
        self,
        spec: SweepSpec,
        cells: Sequence[Cell],
        *,
        records: Iterable[TrialRecord] = (),
        cost: Callable[[Cell, Stage], float] = _equal_costs,
        general_encoder: str | None = None,
        opened_at: float = 0.0,
    ) -> None:
        super().__init__(spec, cells, records)
        self._position = {cell.id: index for index, cell in enumerate(cells)}
        # of the whole cell, also when half of it is done: one that has begun is finished first, so
        # a sweep that is stopped early has whole cells and not a part of every one
        self._cost = {
            cell.id: sum(num_trials(spec, cell, stage) * cost(cell, stage) for stage in cell.stages)
            for cell in cells
        }
        self._general_encoder = general_encoder
        self._opened_at = opened_at
        self._dependents: dict[str, list[str]] = {}
        for cell in cells:
            for needed in cell.needs:
                self._dependents.setdefault(needed, []).append(cell.id)
        self._bases: dict[StudyKey, Basis | None] = {}
        self._spent: dict[str, Spent] = {}  # by ended attempts, of each cell
        self._spent_in_all: Spent | None = None  # and of all cells; None after a change
        self._stale = set(self._cells)  # cells whose studies are to be looked at again
        self._wanting: dict[StudyKey, tuple[int, float, int, int]] = {}
        self._ready: tuple[StudyKey, ...] = ()

    # what comes next

    def ready(self, now: float) -> tuple[StudyKey, ...]:
        """Studies that want a trial now, the most urgent first; none when the budget is spent."""
        if self.over_budget(now):
            return ()
        self._forget_changed()
        if self._stale:
            for study in self._studies_of(self._stale):
                self._wanting.pop(study, None)
                if self.next_trial(study) is not None:
                    self._wanting[study] = self._urgency(study)
            self._stale.clear()
            self._ready = tuple(sorted(self._wanting, key=self._wanting.__getitem__))
        return self._ready

    def next_trial(self, study: StudyKey) -> NextTrial | None:
        """The trial a study wants now; None when it is done, full or waiting for another."""
        attempts, basis = self._studies[study], self.basis(study)
        if basis is None or self.is_done(study):
            return None
        if attempts.num_running >= self.spec.search.parallel_trials:
            return None
        current = self._current(study)
        for number in range(attempts.wanted):
            record = current.get(number)
            if record is None or record.state is TrialState.LOST:
                return self._trial(study, number, basis, record)
        return None

    def basis(self, study: StudyKey) -> Basis | None:
        """What trials of a study start from; None while an earlier choice is not made."""
        self._forget_changed()
        if study not in self._bases:
            self._bases[study] = self._find_basis(study)
        return self._bases[study]

    def chosen(self, study: StudyKey) -> TrialRecord | None:
        """The best trial of a study that has spent its trials; None before, or if none finished.

        Language models by validation loss; classifiers by validation accuracy, then validation
        loss; the earlier trial where they are equal.
        """
        if not self.is_done(study):
            return None
        current = self._current(study).values()
        finished = [record for record in current if record.state is TrialState.FINISHED]
        return min(finished, key=_rank, default=None)

    def is_done(self, study: StudyKey) -> bool:
        """Whether every trial a study may spend has ended and counts."""
        if self.basis(study) is None:
            return False
        return self._num_counted(study) >= self._studies[study].wanted

    def over_budget(self, now: float) -> bool:
        """Whether the wall hours of this run or the accelerator hours of the sweep are spent."""
        limit = self.spec.budget.accelerator_hours
        is_spent = limit is not None and self._accelerator_seconds(now) >= limit * 3600
        return is_spent or self.is_out_of_hours(now)

    def is_out_of_hours(self, now: float) -> bool:
        """Whether the wall hours of this run are spent."""
        hours = self.spec.budget.hours
        return hours is not None and now - self._opened_at >= hours * 3600

    # where things stand

    def cell_status(self, cell: Cell, now: float) -> CellStatus:
        """Where a cell stands."""
        failure = self.failure(cell)
        if failure is not None:
            return CellStatus(state=CellState.FAILED, reason=failure)
        studies = [StudyKey(cell_id=cell.id, stage=stage) for stage in cell.stages]
        if all(self.is_done(study) for study in studies):
            return CellStatus(state=CellState.FINISHED)
        if any(self._studies[study].num_running for study in studies):
            return CellStatus(state=CellState.RUNNING)
        if not self.over_budget(now):
            return CellStatus(state=CellState.WAITING)
        ended = sum(self._num_counted(study) for study in studies)
        wanted = sum(self._studies[study].wanted for study in studies)
        reason = f"{BUDGET_SPENT} after {ended} of {wanted} trials" if ended else BUDGET_SPENT
        return CellStatus(state=CellState.UNSTARTED, reason=reason)

    def failure(self, cell: Cell) -> str | None:
        """Why a cell can not be finished; None while it can."""
        for needed in (self._cells[cell_id] for cell_id in cell.needs):
            reason = self.failure(needed)
            if reason is not None:
                return f"{needed.label} model: {reason}"
        for stage in cell.stages:
            study = StudyKey(cell_id=cell.id, stage=stage)
            if self.is_done(study) and self.chosen(study) is None:
                records = self._current(study).values()
                reasons = dict.fromkeys(record.failure or record.state.value for record in records)
                return f"no {stage.words} trial finished: {'; '.join(reasons)}"
        return None

    @property
    def records(self) -> tuple[TrialRecord, ...]:
        """The latest attempt of every trial, superseded ones left out, in order of cells."""
        return tuple(
            record for study in self._studies for _, record in sorted(self._current(study).items())
        )

    def spent(self, now: float = 0.0) -> Spent:
        """What all ended attempts held, and running ones up to `now`, and what was wasted of it."""
        running = (self._held(record, now) for record in self._running.values())
        return sum_of((self._spent_before_in_all(), *running))

    def spent_on(self, cell: Cell, now: float = 0.0) -> Spent:
        """What the ended attempts of one cell held, and running ones up to `now`."""
        running = (r for r in self._running.values() if r.key.study.cell_id == cell.id)
        return sum_of((self._spent_before(cell.id), *(self._held(r, now) for r in running)))

    @property
    def num_counted(self) -> int:
        """Trials that have ended and count."""
        return sum(self._num_counted(study) for study in self._studies)

    def num_counted_in(self, cell: Cell, stage: Stage) -> int:
        """Trials of a cell and stage that have ended and count."""
        return self._num_counted(StudyKey(cell_id=cell.id, stage=stage))

    # helpers

    def _spent_before(self, cell_id: str) -> Spent:
        """By the ended attempts of a cell; kept until something happens in it."""
        self._forget_changed()
        if cell_id not in self._spent:
            kept = (self._studies[study] for study in self._studies_of([cell_id]))
            every = (r for study in kept for r in (*study.replaced, *study.latest.values()))
            ended = (record for record in every if record.key not in self._running)
            self._spent[cell_id] = sum_of(self._held(record, 0.0) for record in ended)
        return self._spent[cell_id]

    def _spent_before_in_all(self) -> Spent:
        self._forget_changed()
        if self._spent_in_all is None:
            self._spent_in_all = sum_of(map(self._spent_before, self._cells))
        return self._spent_in_all

    def _accelerator_seconds(self, now: float) -> float:
        """As `spent` tells it, which looks longer at what runs: this is asked after every epoch."""
        running = self._running.values()
        seconds = sum(r.held_seconds(now) * self._accelerators(r) for r in running)
        return self._spent_before_in_all().accelerator_seconds + seconds

    def _held(self, record: TrialRecord, now: float) -> Spent:
        is_current = self._current(record.key.study).get(record.key.number) is record
        return spent_on(record, self._accelerators(record), now=now, is_current=is_current)

    def _accelerators(self, record: TrialRecord) -> float:
        if record.accelerators is not None:
            return record.accelerators
        return accelerators(self.spec, self._cells[record.key.study.cell_id].regime)

    def _forget_changed(self) -> None:
        """Drop what was concluded about cells with new events and about those that need them."""
        if not self._changed:
            return
        for cell_id in tuple(self._changed):
            self._changed.update(self._dependents.get(cell_id, ()))
        for study in self._studies_of(self._changed):
            self._bases.pop(study, None)
            self._spent.pop(study.cell_id, None)
        self._spent_in_all = None
        self._stale |= self._changed
        self._changed.clear()

    def _studies_of(self, cell_ids: Iterable[str]) -> Iterable[StudyKey]:
        for cell_id in cell_ids:
            for stage in self._cells[cell_id].stages:
                yield StudyKey(cell_id=cell_id, stage=stage)

    def _find_basis(self, study: StudyKey) -> Basis | None:
        cell = self._cells[study.cell_id]
        if study.stage is Stage.FINAL:
            classifier = self.chosen(StudyKey(cell_id=cell.id, stage=Stage.CLASSIFIER))
            return None if classifier is None else Basis.of_final(classifier)
        if study.stage is Stage.CLASSIFIER and Stage.LANGUAGE_MODEL in cell.stages:
            return self._basis_on(cell.id)
        if cell.is_general or not Regime(cell.regime).starts_from_general:
            return Basis()
        if cell.needs:
            return self._basis_on(cell.needs[0])
        return None if self._general_encoder is None else Basis(encoder=self._general_encoder)

    def _basis_on(self, cell_id: str) -> Basis | None:
        best = self.chosen(StudyKey(cell_id=cell_id, stage=Stage.LANGUAGE_MODEL))
        if best is None or best.outcome is None:
            return None
        return Basis(encoder=best.outcome.artifacts["encoder"])

    def _current(self, study: StudyKey) -> dict[int, TrialRecord]:
        """Latest attempts by number, of those that are wanted.

        Not those on a choice that was replaced, nor spoiled ones. A classifier that was tried on
        the present choice before another took its place need not be tried again.
        """
        attempts, basis = self._studies[study], self.basis(study)
        wanted = {n: record for n, record in attempts.latest.items() if n < attempts.wanted}
        if basis is None:
            return wanted
        if study.stage is Stage.CLASSIFIER and attempts.replaced:
            ended = (record for record in attempts.replaced if record.state.counts)
            for record in sorted(ended, key=lambda record: -record.key.attempt):
                latest = wanted.get(record.key.number)
                if latest is not None and not basis.carries(latest) and basis.carries(record):
                    wanted[record.key.number] = record
        left = ((n, record) for n, record in wanted.items() if record.key not in self._spoiled)
        return {number: record for number, record in left if basis.carries(record)}

    def _trial(
        self, study: StudyKey, number: int, basis: Basis, lost: TrialRecord | None
    ) -> NextTrial:
        known = self._studies[study].latest.get(number)
        earlier = sorted(self._current(study).items())
        return NextTrial(
            key=TrialKey(
                study=study, number=number, attempt=0 if known is None else known.key.attempt + 1
            ),
            basis=basis,
            params=basis.params if lost is None else lost.params,
            history=tuple(r for index, r in earlier if index < number and r.state.counts),
        )

    def _num_counted(self, study: StudyKey) -> int:
        return sum(record.state.counts for record in self._current(study).values())

    def _urgency(self, study: StudyKey) -> tuple[int, float, int, int]:
        cell = self._cells[study.cell_id]
        precedence, position = _precedence(cell), self._position[cell.id]
        if self.spec.order == "smallest_first":
            return (precedence, float(cell.size or 0), cell.seed, position)
        return (precedence, -self._cost[cell.id], position, 0)


def replay(spec: SweepSpec, cells: Sequence[Cell], records: Iterable[TrialRecord]) -> Ledger:
    """A ledger that only answers questions.

    A pretrained general encoder is the one that the newest trial of `ulm` or `ulm+domain` was
    started from.
    """
    records = tuple(records)
    first = {
        StudyKey(cell_id=cell.id, stage=cell.stages[0])
        for cell in cells
        if not cell.is_general and Regime(cell.regime).starts_from_general
    }
    started = [record for record in records if record.key.study in first]
    newest = max(started, key=lambda record: record.started_at, default=None)
    general = None if newest is None else newest.encoder
    return Ledger(spec, cells, records=records, general_encoder=general)
