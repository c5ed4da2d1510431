"""Screen: what a terminal shows of a sweep at work, always in the same places (pure).

A board comes in, a rich renderable goes out: the grid of cells, the trials that run, how far the
sweep is. It fits itself to the terminal it is drawn in: running trials get the lines that are left,
and keep the lines they once had, so that what stands below them does not jump.
"""

import time
from collections.abc import Callable, Sequence

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sweeps.live import words
from sweeps.live.board import Board, share_trained
from sweeps.live.forecast import forecast
from sweeps.live.grid import MARKS, Grid, mark
from sweeps.search.records import TrialRecord
from sweeps.spec.cells import Stage

WIDE = 100  # columns from which epochs get a bar, and the bar of the sweep ends
BAR = 16  # columns of the bar of a trial
SCORES = "test accuracy in %, mean over {}; before: ~ on held-out labels, L is a loss"


class Screen:
    """The whole picture; drawn again, it shows what the board has learnt meanwhile.

    Args:
        board: Where the sweep stands.
        clock: Unix seconds.
    """

    def __init__(self, board: Board, clock: Callable[[], float] = time.time) -> None:
        self.board = board
        """Where the sweep stands; another board may take its place."""
        self._clock = clock
        self._began: float | None = None
        self._lines = 1
        self.note = ""
        """Shown in place of the last lines while it is not empty."""

    def begin(self) -> None:
        """Count wall time from now on; later calls do nothing."""
        if self._began is None:
            self._began = self._clock()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """See rich."""
        legend = _legend(self.board, is_plain=options.ascii_only)
        above: list[RenderableType] = [*legend, Grid(self.board), Text()]
        below: list[RenderableType] = [Text(), self._bar(options), *self._last_lines()]
        used = sum(len(console.render_lines(part, options)) for part in (*above, *below))
        free = max(1, console.height - used - 2) if console.is_terminal else len(self.board.cells)
        yield Group(*above, self._running(free, options), *below)

    def _running(self, free: int, options: ConsoleOptions) -> RenderableType:
        """One line per trial, as many as are free; those that do not fit are counted."""
        trials = self.board.running
        self._lines = min(free, max(self._lines, len(trials)))
        shown = trials if len(trials) <= self._lines else trials[: self._lines - 1]
        table = _trials(shown, self.board, options)
        rows = [] if shown == trials else [f"and {len(trials) - len(shown)} more"]
        for row in (*rows, *[""] * (self._lines - len(shown) - len(rows))):
            table.add_row(Text(row, style="dim"))
        return table

    def _bar(self, options: ConsoleOptions) -> RenderableType:
        board, share = self.board, self.board.share_done
        line = Table.grid(padding=(0, 2, 0, 0))
        ended = f"{board.num_ended:,} of {board.num_wanted:,} trials"
        cells = f"{board.num_finished} of {len(board.cells)} cells"
        width = min(options.max_width, WIDE) - len(f"100 %  {ended}, {cells}") - 4
        line.add_row(
            ProgressBar(total=1.0, completed=share, width=max(8, width)),
            Text(f"{100 * share:.0f} %", style="bold"),
            Text(f"{ended}, {cells}"),
        )
        return line

    def _last_lines(self) -> tuple[Text, ...]:
        if self.note:
            return (Text(self.note), Text())
        return (Text(self._time()), Text(words.spending(self.board.spec, self.board.spent)))

    def _time(self) -> str:
        now = self._clock()
        parts = [] if self._began is None else [f"{words.duration(now - self._began)} so far"]
        left = forecast(self.board)
        if left is not None and not self.board.is_over:
            parts += [str(left), f"ends {left.ends(now)}"]
        return ", ".join(parts)


def _legend(board: Board, *, is_plain: bool) -> tuple[Text, ...]:
    parts: list[Text | str | tuple[str, str]] = [(f"{board.spec.name}   ", "bold")]
    for state in MARKS:
        parts += [mark(state, is_plain=is_plain), f" {state}   "]
    scores = SCORES.format(mark("finished", is_plain=is_plain))
    return Text.assemble(*parts), Text(scores, style="dim"), Text()


def _trials(records: Sequence[TrialRecord], board: Board, options: ConsoleOptions) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    at_once = f", {board.at_once} at once" if board.at_once > 1 else ""
    label = max(len(cell.label) for cell in board.cells.values())
    table.add_column(f"running{at_once}", no_wrap=True, min_width=label)
    table.add_column("stage", no_wrap=True, min_width=len(f"{Stage.LANGUAGE_MODEL} 0"))
    table.add_column("learning rate", no_wrap=True, justify="right")
    table.add_column("epoch", no_wrap=True)
    table.add_column("so far", no_wrap=True)
    for record in records:
        rate = record.params.get("learning_rate")
        table.add_row(
            board.name(record),
            words.attempt(record),
            "" if rate is None else f"{rate:.3g}",
            _epoch(record, has_bar=options.max_width >= WIDE),
            words.value_so_far(record),
        )
    return table


def _epoch(record: TrialRecord, *, has_bar: bool) -> RenderableType:
    if record.waiting_since is not None:
        return Text("waits for a node", style="dim")
    if not record.progress:
        return Text("starting", style="dim")
    last = record.progress[-1]
    count = Text(f"{last.epoch}/{last.num_epochs}")
    if not has_bar:
        return count
    line = Table.grid(padding=(0, 1, 0, 0))
    line.add_row(ProgressBar(total=1.0, completed=share_trained(record), width=BAR), count)
    return line
