"""Progress: what a person sees while a sweep runs.

The driver calls a `RunListener`; a live table (in a terminal) or plain lines (elsewhere) come out.
Nothing here starts a thread: the table is redrawn on events, because the driver's control thread
must never wait for a terminal.
"""

import time
from collections.abc import Callable, Iterable
from typing import Protocol, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sweeps.board import Board, Pace, score, settings
from sweeps.search.records import TrialRecord, TrialState
from sweeps.search.spending import Spent
from sweeps.spec.cells import Cell, Stage
from sweeps.spec.values import SweepSpec

REDRAW_SECONDS = 0.25
LINE_SECONDS = 3.0
Clock = Callable[[], float]


class RunListener(Protocol):
    """What a run tells of itself."""

    def preparing(self, what: str, done: int, total: int) -> None:
        """Something before the first trial goes on: `done` of `total` documents, files, ..."""

    def trial_started(self, record: TrialRecord) -> None:
        """A trial was asked for."""

    def trial_progress(self, record: TrialRecord) -> None:
        """A trial finished an epoch, its record's last progress."""

    def trial_ended(self, record: TrialRecord) -> None:
        """A trial finished, was pruned, failed or was lost."""

    def spent(self, spent: Spent) -> None:
        """What the sweep's trials have held until now."""

    def message(self, text: str) -> None:
        """Anything else worth a line."""

    def finished(self) -> None:
        """The run is over; may be called more than once."""


class QuietProgress:
    """A listener that shows nothing."""

    def preparing(self, what: str, done: int, total: int) -> None:
        """Show nothing."""

    def trial_started(self, record: TrialRecord) -> None:
        """Show nothing."""

    def trial_progress(self, record: TrialRecord) -> None:
        """Show nothing."""

    def trial_ended(self, record: TrialRecord) -> None:
        """Show nothing."""

    def spent(self, spent: Spent) -> None:
        """Show nothing."""

    def message(self, text: str) -> None:
        """Show nothing."""

    def finished(self) -> None:
        """Show nothing."""


def _trial(record: TrialRecord, board: Board) -> str:
    attempt = f" (attempt {record.key.attempt + 1})" if record.key.attempt else ""
    return f"{board.cell(record)}, {record.key.study.stage} {record.key.number}{attempt}"


def _epoch(record: TrialRecord) -> str:
    if not record.progress:
        return "starting"
    last = record.progress[-1]
    stage = record.key.study.stage
    # `final` holds out no labels: until it has scored the test documents it knows its loss alone.
    value = f"loss {last.value:.3f}" if stage is Stage.FINAL else score(stage, last.value)
    return f"epoch {last.epoch}/{last.num_epochs}, {value}"


def _end(record: TrialRecord) -> str:
    if record.outcome is not None:
        return f"finished, {score(record.key.study.stage, record.outcome.value)}"
    reason = f": {record.failure}" if record.failure else ""
    return f"{record.state}{reason}"


class PlainProgress:
    """One plain line per event; epochs and preparation at most one line every few seconds.

    Args:
        spec: The sweep.
        stream: Where lines go.
        records: What was recorded before this run.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        spec: SweepSpec,
        stream: TextIO,
        records: Iterable[TrialRecord] = (),
        clock: Clock = time.monotonic,
    ) -> None:
        self._board = Board(spec, records)
        self._pace = Pace(self._board, clock)
        self._stream = stream
        self._clock = clock
        self._last_line: float | None = None

    def preparing(self, what: str, done: int, total: int) -> None:
        """Write how far a preparation is."""
        if done >= total or self._is_due():
            self._write(f"preparing {what}: {done:,} of {total:,}")

    def trial_started(self, record: TrialRecord) -> None:
        """Write which trial starts, with its hyperparameters."""
        self._pace.begin()
        self._board.put(record)
        params = settings(record)
        self._write(f"{_trial(record, self._board)}: started" + (f", {params}" if params else ""))

    def trial_progress(self, record: TrialRecord) -> None:
        """Write an epoch."""
        self._board.put(record)
        if self._is_due():
            self._write(f"{_trial(record, self._board)}: {_epoch(record)}")

    def trial_ended(self, record: TrialRecord) -> None:
        """Write how a trial ended and how far the sweep is."""
        self._board.put(record)
        self._write(f"{_trial(record, self._board)}: {_end(record)} ({self._pace})")

    def spent(self, spent: Spent) -> None:
        """Have it in the next line on an ended trial."""
        self._board.spent = spent

    def message(self, text: str) -> None:
        """Write a line."""
        self._write(text)

    def finished(self) -> None:
        """Leave nothing unwritten."""
        self._stream.flush()

    def _is_due(self) -> bool:
        return self._last_line is None or self._clock() - self._last_line >= LINE_SECONDS

    def _write(self, line: str) -> None:
        self._last_line = self._clock()
        self._stream.write(line + "\n")
        self._stream.flush()


class LiveProgress:
    """A live table: cells by regime, size and seed, what runs now, share done and time left.

    Args:
        spec: The sweep.
        console: Where it is drawn.
        records: What was recorded before this run.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        spec: SweepSpec,
        console: Console,
        records: Iterable[TrialRecord] = (),
        clock: Clock = time.monotonic,
    ) -> None:
        self._spec = spec
        self._board = Board(spec, records)
        self._pace = Pace(self._board, clock)
        self._clock = clock
        self._note = ""
        self._last_drawn = float("-inf")
        self._live = Live(console=console, auto_refresh=False, transient=False)
        self._is_over = False

    def preparing(self, what: str, done: int, total: int) -> None:
        """Show how far a preparation is."""
        self._note = "" if done >= total else f"preparing {what}: {done:,} of {total:,}"
        self._draw()

    def trial_started(self, record: TrialRecord) -> None:
        """Show a trial among those that run."""
        self._pace.begin()
        self._take(record)

    def trial_progress(self, record: TrialRecord) -> None:
        """Show an epoch."""
        self._take(record)

    def trial_ended(self, record: TrialRecord) -> None:
        """Show the new best; a failure gets a line above the table."""
        if record.state in (TrialState.FAILED, TrialState.LOST):
            self.message(f"{_trial(record, self._board)}: {_end(record)}")
        self._take(record)

    def spent(self, spent: Spent) -> None:
        """Show it below the table from the next event on."""
        self._board.spent = spent

    def message(self, text: str) -> None:
        """Write a line above the table."""
        self._live.console.print(Text(text))

    def finished(self) -> None:
        """Draw the last state and give the terminal back."""
        if not self._is_over and self._live.is_started:
            self._draw(force=True)
            self._live.stop()
        self._is_over = True

    def render(self) -> RenderableType:
        """The table as it stands."""
        parts: list[RenderableType] = [self._grid()]
        running = self._board.running
        if running:
            parts.append(self._running(running))
        parts.append(Text(self._note or f"{self._spec.name}: {self._pace}"))
        return Group(*parts)

    def _take(self, record: TrialRecord) -> None:
        self._board.put(record)
        self._draw()

    def _draw(self, *, force: bool = False) -> None:
        now = self._clock()
        if self._is_over or (not force and now - self._last_drawn < REDRAW_SECONDS):
            return
        if not self._live.is_started:
            self._live.start()
        self._last_drawn = now
        self._live.update(self.render(), refresh=True)

    def _grid(self) -> Table:
        table = Table("regime", "size", title=self._spec.name, title_justify="left")
        for seed in self._spec.seeds:
            table.add_column(f"seed {seed}", justify="right")
        rows: dict[tuple[str, int | None], list[Cell]] = {}
        for cell in self._board.cells.values():
            rows.setdefault((cell.regime, cell.size), []).append(cell)
        for (regime, size), cells in rows.items():
            states = [
                Text(state, style=_style(state)) for state in map(self._board.cell_state, cells)
            ]
            table.add_row(regime, "" if size is None else f"{size:,}", *states)
        return table

    def _running(self, records: Iterable[TrialRecord]) -> Table:
        table = Table("running", "stage", "settings", "so far", box=None)
        for record in records:
            study = record.key.study
            stage = f"{study.stage} {record.key.number}"
            table.add_row(self._board.cell(record), stage, settings(record), _epoch(record))
        return table


def _style(state: str) -> str:
    if state in ("waiting", "failed"):
        return {"waiting": "dim", "failed": "red"}[state]
    return "yellow" if "/" in state else "green"


def make_progress(
    spec: SweepSpec, stream: TextIO, records: Iterable[TrialRecord] = ()
) -> RunListener:
    """A live table where `stream` is a terminal, else plain lines.

    Args:
        spec: The sweep.
        stream: Where it is shown.
        records: What was recorded before this run.
    """
    if stream.isatty():
        return LiveProgress(spec, Console(file=stream), records)
    return PlainProgress(spec, stream, records)
