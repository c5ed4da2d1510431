"""Board: where every cell of a running sweep stands, from the events of its trials (pure).

Trial records come in as they start, report and end; states, best scores, the share done and the
time left go out. Shares are weighed by the plan's cost of each trial, since a count would call a
sweep half done before its largest cells have begun.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sweeps.search.records import StudyKey, TrialRecord, TrialState
from sweeps.search.spending import Spent
from sweeps.spec.cells import Cell, Stage, make_cells
from sweeps.spec.cost import trial_cost
from sweeps.spec.spaces import accelerator, num_trials
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
    ended: int = 0
    running: int = 0
    failed: int = 0
    best: float | None = None

    @property
    def is_done(self) -> bool:
        """Whether nothing more is asked for."""
        return self.ended >= self.wanted

    @property
    def has_failed(self) -> bool:
        """Whether it is done without a finished trial."""
        return self.is_done and self.best is None


def score(stage: Stage, value: float) -> str:
    """A stage's value for people: a loss in nats, or an accuracy in per cent."""
    return f"loss {value:.3f}" if stage is Stage.LANGUAGE_MODEL else f"{100 * value:.1f} %"


def settings(record: TrialRecord) -> str:
    """The trial's hyperparameters in short, e.g. `learning_rate 0.0045, decay 2.6`."""
    return ", ".join(f"{name} {value:.3g}" for name, value in record.params.items())


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
        self.cells: dict[str, Cell] = {cell.id: cell for cell in make_cells(spec)}
        studies = [(c, stage) for c in self.cells.values() for stage in c.stages]
        self._wanted = {(c.id, stage): num_trials(spec, c, stage) for c, stage in studies}
        self._cost = {(c.id, stage): trial_cost(spec, c, stage) for c, stage in studies}
        self._trials: dict[StudyKey, dict[int, TrialRecord]] = {}
        self._spec = spec
        self.spent = Spent()
        for record in records:
            if keep_running or record.state is not TrialState.RUNNING:
                self.put(record)
        self._done_before = self.cost_done

    def put(self, record: TrialRecord) -> None:
        """Take the newest record of a trial; a lost one makes room for its repetition."""
        study, number = record.key.study, record.key.number
        if (study.cell_id, study.stage) not in self._wanted:
            return  # recorded under a larger spec
        trials = self._trials.setdefault(study, {})
        if record.state is TrialState.LOST:
            trials.pop(number, None)
        else:
            trials[number] = record

    def cell(self, record: TrialRecord) -> str:
        """Short name of a record's cell."""
        cell = self.cells.get(record.key.study.cell_id)
        return cell.label if cell else record.key.study.cell_id

    @property
    def running(self) -> tuple[TrialRecord, ...]:
        """Trials running now, oldest first."""
        trials = [record for record in self._records if record.state is TrialState.RUNNING]
        return tuple(sorted(trials, key=lambda record: record.started_at))

    @property
    def _records(self) -> list[TrialRecord]:
        return [record for trials in self._trials.values() for record in trials.values()]

    def study(self, cell: Cell, stage: Stage) -> StudyState:
        """Where one cell and stage stands."""
        key = StudyKey(cell_id=cell.id, stage=stage)
        records = list(self._trials.get(key, {}).values())
        best = min if stage is Stage.LANGUAGE_MODEL else max
        values = [r.outcome.value for r in records if r.outcome is not None]
        return StudyState(
            wanted=self._wanted[cell.id, stage],
            ended=sum(r.state.counts for r in records),
            running=sum(r.state is TrialState.RUNNING for r in records),
            failed=sum(r.state is TrialState.FAILED for r in records),
            best=best(values) if values else None,
        )

    def cell_state(self, cell: Cell) -> str:
        """A few words: `waiting`, `classifier 1/4, 81.2 %`, `87.3 %` or `failed`."""
        last = cell.stages[-1]
        for stage in cell.stages:
            state = self.study(cell, stage)
            if state.has_failed:
                return "failed"
            if not state.is_done:
                is_untouched = stage is cell.stages[0] and state.ended == state.running == 0
                best = "" if state.best is None else f", {score(stage, state.best)}"
                count = f"{stage} {state.ended}/{state.wanted}"
                return "waiting" if is_untouched else count + best
        result = self.study(cell, last).best
        assert result is not None, "a done cell has a score"
        return score(last, result)

    @property
    def cost_total(self) -> float:
        """Estimated seconds of all trials of the sweep."""
        return sum(self._wanted[key] * cost for key, cost in self._cost.items())

    @property
    def cost_done(self) -> float:
        """Estimated seconds of what has ended, with the finished epochs of what runs."""
        total = 0.0
        for record in self._records:
            study = record.key.study
            share = 1.0
            if record.state is TrialState.RUNNING:
                last = record.progress[-1] if record.progress else None
                share = min(1.0, last.epoch / last.num_epochs) if last else 0.0
            total += share * self._cost[study.cell_id, study.stage]
        return total

    @property
    def share_done(self) -> float:
        """Share of the sweep's cost that is behind, 0 to 1; failed cells' later stages are open."""
        return min(1.0, self.cost_done / self.cost_total)

    @property
    def spending(self) -> str:
        """What was spent so far in words; empty while nothing was."""
        return spending(self._spec, self.spent) if self.spent.accelerator_seconds else ""

    def seconds_left(self, elapsed_seconds: float) -> float | None:
        """Estimated wall seconds left at the pace of this run; None before the first epoch.

        Args:
            elapsed_seconds: Wall seconds since this run's first trial.
        """
        done = self.cost_done - self._done_before
        if done <= 0 or elapsed_seconds <= 0:
            return None
        return max(0.0, self.cost_total - self.cost_done) * elapsed_seconds / done


def duration(seconds: float) -> str:
    """Seconds for people: `48 s`, `12 min`, `3 h 05 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def spending(spec: SweepSpec, spent: Spent) -> str:
    """What trials held in words: `GPU time 3 h 05 min, 12 min of it wasted, cost 1.62`."""
    words = [f"{accelerator(spec)} time {duration(spent.accelerator_seconds)}"]
    if spent.wasted_seconds:
        words.append(f"{duration(spent.wasted_seconds)} of it wasted")
    money = spent.money(spec.budget.price_per_accelerator_hour)
    if money is not None:
        words.append(f"cost {money:,.2f}")
    return ", ".join(words)


class Pace:
    """Share done, time left and what was spent as text, counted from the first trial.

    Args:
        board: Whose pace it is.
        clock: Monotonic seconds.
    """

    def __init__(self, board: Board, clock: Callable[[], float]) -> None:
        self._board = board
        self._clock = clock
        self._began: float | None = None

    def begin(self) -> None:
        """Start counting; later calls do nothing."""
        if self._began is None:
            self._began = self._clock()

    def __str__(self) -> str:
        elapsed = 0.0 if self._began is None else self._clock() - self._began
        left = self._board.seconds_left(elapsed)
        end = f", about {duration(left)} left" if left is not None else ""
        done = f"{100 * self._board.share_done:.0f} % done after {duration(elapsed)}{end}"
        return "; ".join(filter(None, (done, self._board.spending)))
