"""Grid: a sweep as regime × size, a mark for every seed and a score for every place (pure).

A board comes in, a rich renderable goes out. Marks and scores stand beside each other; below each
other where that is too wide for the terminal; in several blocks where that is still too wide. The
columns have the width that they will need from the beginning, so that the form never changes.
Colours carry nothing that the marks do not say.
"""

from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from sweeps.live.board import Board
from sweeps.spec.cells import Cell, Stage

MAX_MARKS = 5  # seeds of a place that get a mark each; more are counted
SCORE = 5  # columns of a score
UNBOUNDED = 10_000  # columns
MARKS = {
    "finished": ("●", "#", "green"),
    "running": ("◐", ">", "yellow"),
    "begun": ("◔", "+", "cyan"),
    "waiting": ("·", ".", "dim"),
    "failed": ("✕", "x", "red"),
}
"""State of a cell → its mark, its mark where a terminal knows ASCII only, and its colour."""


def state_of(board: Board, cell: Cell) -> str:
    """A key of `MARKS`; begun is a cell with trials behind it of which none runs now."""
    if board.has_failed(cell):
        return "failed"
    if board.is_finished(cell):
        return "finished"
    studies = [board.study(cell, stage) for stage in cell.stages]
    if any(study.running for study in studies):
        return "running"
    return "waiting" if all(study.is_untouched for study in studies) else "begun"


def score_of(board: Board, cells: Sequence[Cell]) -> str:
    """The mean over those cells that have a score.

    Test accuracy in per cent; while no cell is finished `~` and the best on held-out labels; before
    that, and for the general model, the best loss.
    """
    for stage, mark in ((Stage.FINAL, ""), (Stage.CLASSIFIER, "~"), (Stage.LANGUAGE_MODEL, "L")):
        bests = [board.study(cell, stage).best for cell in cells if stage in cell.stages]
        values = [best for best in bests if best is not None]
        if values:
            mean = sum(values) / len(values)
            is_loss = stage is Stage.LANGUAGE_MODEL
            return f"{mark}{mean:.2f}" if is_loss else f"{mark}{100 * mean:.1f}"
    return ""


def mark(state: str, *, is_plain: bool) -> Text:
    """The mark of a state in its colour.

    Args:
        state: A key of `MARKS`.
        is_plain: Whether the terminal knows ASCII only.
    """
    sign, letter, style = MARKS[state]
    return Text(letter if is_plain else sign, style=style)


def _together(states: Sequence[str]) -> str:
    """The state of a place: that of its cells where they agree, else the liveliest of them."""
    if len(set(states)) == 1:
        return states[0]
    return next((s for s in ("running", "failed") if s in states), "begun")


def _marks(states: Sequence[str], *, is_plain: bool) -> Text:
    if len(states) <= MAX_MARKS:
        return Text("").join(mark(state, is_plain=is_plain) for state in states)
    together = _together(states)
    count = f"{states.count('finished')}/{len(states)}"
    return mark(together, is_plain=is_plain).append(count, style=MARKS[together][2])


class Grid:
    """The grid of a sweep's cells.

    Args:
        board: Where they stand.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self._places: dict[tuple[str, int | None], list[Cell]] = {}
        for cell in board.cells.values():
            self._places.setdefault((cell.regime, cell.size), []).append(cell)
        self._regimes = tuple(dict.fromkeys(regime for regime, _ in self._places))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """See rich."""
        sizes: list[int | None] = [None, *self._board.spec.sizes]
        flat = self._table(sizes, is_tall=False, is_plain=options.ascii_only)
        if _width(console, options, flat) <= options.max_width:
            yield flat
            return
        while sizes:
            count = self._fitting(console, options, sizes)
            yield self._table(sizes[:count], is_tall=True, is_plain=options.ascii_only)
            sizes = sizes[count:]

    def _fitting(
        self, console: Console, options: ConsoleOptions, sizes: Sequence[int | None]
    ) -> int:
        """How many columns fit beside each other, at least one."""
        for count in range(len(sizes), 1, -1):
            table = self._table(sizes[:count], is_tall=True, is_plain=options.ascii_only)
            if _width(console, options, table) <= options.max_width:
                return count
        return 1

    def _table(self, sizes: Sequence[int | None], *, is_tall: bool, is_plain: bool) -> Table:
        table = Table(box=None, padding=(0, 1 if is_tall else 2, 0, 0), pad_edge=False)
        table.add_column("regime", no_wrap=True)
        for size in sizes:
            width = self._num_marks if is_tall and size else self._num_marks + 1 + SCORE
            header = "any size" if size is None else f"{size:,}"
            table.add_column(header, no_wrap=True, min_width=max(SCORE, width))
        for regime in self._regimes:
            cells = {size: self._places.get((regime, size), []) for size in sizes}
            if any(cells.values()):
                places = [
                    self._place(own, is_tall=is_tall and size is not None, is_plain=is_plain)
                    for size, own in cells.items()
                ]
                table.add_row(Text(regime, style="bold"), *places)
        return table

    @property
    def _num_marks(self) -> int:
        """Columns that the marks of the fullest place take."""
        most = max(len(cells) for cells in self._places.values())
        return most if most <= MAX_MARKS else 1 + len(f"{most}/{most}")

    def _place(self, cells: Sequence[Cell], *, is_tall: bool, is_plain: bool) -> Text:
        if not cells:
            return Text()
        states = [state_of(self._board, cell) for cell in cells]
        score = Text(score_of(self._board, cells), style=MARKS[_together(states)][2])
        marks = _marks(states, is_plain=is_plain)
        return Text("\n" if is_tall else " ").join([marks, score])


def _width(console: Console, options: ConsoleOptions, table: Table) -> int:
    return Measurement.get(console, options.update(width=UNBOUNDED), table).maximum
