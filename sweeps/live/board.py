"""Board: where every cell of a running sweep stands, from the events of its trials (pure).

Trial records come in as they start, report and end; states, best scores, the share done and the
work that is left go out. Shares are weighed by the plan's cost of each trial, since a count would
call a sweep half done before its largest cells have begun.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sweeps.search.records import StudyKey, TrialKey, TrialRecord, TrialState
from sweeps.search.spending import Spent
from sweeps.spec.cells import Cell, Stage, make_cells
from sweeps.spec.cost import TrialCosts
from sweeps.spec.spaces import maximizes, num_trials
from sweeps.spec.values import SweepSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyState:
    """Where one cell and stage stands.

    Args:
        wanted: Trials asked for.
        ended: Trials that count and have ended.
        running: Trials running now.
        failed: Ended trials that failed.
        best: Best value so far; None before the first finished trial.
    """

    wanted: int
    ended: int
    running: int
    failed: int
    best: float | None

    @property
    def is_untouched(self) -> bool:
        """Whether no trial has been asked for."""
        return self.ended == self.running == 0

    @property
    def is_done(self) -> bool:
        """Whether nothing more is asked for."""
        return self.ended >= self.wanted

    @property
    def has_failed(self) -> bool:
        """Whether it is done without a finished trial."""
        return self.is_done and self.best is None


def share_trained(record: TrialRecord) -> float:
    """Share of a running trial's epochs that are behind, 0 to 1."""
    last = record.progress[-1] if record.progress else None
    return min(1.0, last.epoch / last.num_epochs) if last else 0.0


class Board:
    """The state of a sweep as its trials tell it.

    Args:
        spec: The sweep.
        records: What was recorded before this run.
        keep_running: Whether trials recorded as running are believed: a driver that starts knows
            that a dead one left them.
    """

    def __init__(
        self,
        spec: SweepSpec,
        records: Iterable[TrialRecord] = (),
        *,
        keep_running: bool = False,
    ) -> None:
        self.spec = spec
        self.cells: dict[str, Cell] = {cell.id: cell for cell in make_cells(spec)}
        studies = [(c, stage) for c in self.cells.values() for stage in c.stages]
        self._wanted = {(c.id, stage): num_trials(spec, c, stage) for c, stage in studies}
        costs = TrialCosts.of(spec)
        self._cost = {(c.id, stage): costs.seconds(c, stage) for c, stage in studies}
        self._trials: dict[StudyKey, dict[int, TrialRecord]] = {}
        self._running: dict[TrialKey, TrialRecord] = {}
        self.spent = Spent()
        self.at_once = 0
        """The most trials that workers had at one time since this board was made."""
        for record in records:
            if keep_running or record.state is not TrialState.RUNNING:
                self.put(record)

    def put(self, record: TrialRecord) -> None:
        """Take the newest record of a trial; a lost one makes room for its repetition."""
        study, number = record.key.study, record.key.number
        if (study.cell_id, study.stage) not in self._wanted:
            return  # recorded under a larger spec
        trials = self._trials.setdefault(study, {})
        self._running.pop(record.key, None)
        if record.state is TrialState.LOST:
            trials.pop(number, None)
            return
        trials[number] = record
        if record.state is TrialState.RUNNING:
            self._running[record.key] = record
            held = sum(trial.waiting_since is None for trial in self._running.values())
            self.at_once = max(self.at_once, held)

    def name(self, record: TrialRecord) -> str:
        """Short name of a record's cell."""
        cell = self.cells.get(record.key.study.cell_id)
        return cell.label if cell else record.key.study.cell_id

    @property
    def running(self) -> tuple[TrialRecord, ...]:
        """Trials running now, oldest first."""
        return tuple(sorted(self._running.values(), key=lambda record: record.started_at))

    @property
    def records(self) -> tuple[TrialRecord, ...]:
        """The newest record of every trial."""
        return tuple(record for trials in self._trials.values() for record in trials.values())

    @property
    def num_wanted(self) -> int:
        """Trials the sweep consists of."""
        return sum(self._wanted.values())

    @property
    def num_ended(self) -> int:
        """Trials that count and have ended."""
        return sum(record.state.counts for record in self.records)

    def study(self, cell: Cell, stage: Stage) -> StudyState:
        """Where one cell and stage stands."""
        key = StudyKey(cell_id=cell.id, stage=stage)
        records = list(self._trials.get(key, {}).values())
        best = max if maximizes(stage) else min
        values = [r.outcome.value for r in records if r.outcome is not None]
        return StudyState(
            wanted=self._wanted[cell.id, stage],
            ended=sum(r.state.counts for r in records),
            running=sum(r.state is TrialState.RUNNING for r in records),
            failed=sum(r.state is TrialState.FAILED for r in records),
            best=best(values) if values else None,
        )

    def stage_of(self, cell: Cell) -> Stage:
        """The first stage of a cell that is not done, or that failed; the last where all are."""
        for stage in cell.stages:
            state = self.study(cell, stage)
            if state.has_failed or not state.is_done:
                return stage
        return cell.stages[-1]

    def has_failed(self, cell: Cell) -> bool:
        """Whether a cell, or one it needs, can not be finished."""
        needed = (self.cells[cell_id] for cell_id in cell.needs)
        is_stuck = self.study(cell, self.stage_of(cell)).has_failed
        return is_stuck or any(self.has_failed(other) for other in needed)

    def is_finished(self, cell: Cell) -> bool:
        """Whether a cell has its result."""
        last = self.study(cell, cell.stages[-1])
        return last.is_done and not last.has_failed

    @property
    def num_finished(self) -> int:
        """Cells that are finished."""
        return sum(self.is_finished(cell) for cell in self.cells.values())

    @property
    def is_over(self) -> bool:
        """Whether every cell is finished or can not be."""
        return all(self.is_finished(c) or self.has_failed(c) for c in self.cells.values())

    def cost(self, record: TrialRecord) -> float:
        """Seconds the plan gives a trial."""
        return self._cost[record.key.study.cell_id, record.key.study.stage]

    @property
    def cost_total(self) -> float:
        """Seconds the plan gives all trials of the sweep."""
        return sum(self._wanted[key] * cost for key, cost in self._cost.items())

    @property
    def cost_done(self) -> float:
        """Seconds the plan gives what has ended, with the finished epochs of what runs."""
        return sum(
            self.cost(record) * (1.0 if record.state.counts else share_trained(record))
            for record in self.records
        )

    @property
    def share_done(self) -> float:
        """Share of the sweep's cost that is behind, 0 to 1; failed cells' later stages are open."""
        return min(1.0, self.cost_done / self.cost_total)

    def work_left(self, cell: Cell) -> Mapping[Stage, tuple[float, int]]:
        """Seconds the plan gives what a cell still needs, and in how many trials, by stage."""
        if self.has_failed(cell):
            return {}
        left = {}
        for stage in cell.stages:
            records = self._trials.get(StudyKey(cell_id=cell.id, stage=stage), {}).values()
            done = sum(1.0 if r.state.counts else share_trained(r) for r in records)
            trials = self._wanted[cell.id, stage] - sum(r.state.counts for r in records)
            if trials > 0:
                cost = self._cost[cell.id, stage]
                left[stage] = (cost * (self._wanted[cell.id, stage] - done), trials)
        return left
