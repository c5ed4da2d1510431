"""Watch: a sweep that another process runs, looked at again and again until it is over.

A function that looks at the ledger comes in; in a terminal the screen follows it, elsewhere a line
comes out whenever something has changed. Nothing is written anywhere.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live

from sweeps.live import words
from sweeps.live.board import Board
from sweeps.live.forecast import forecast
from sweeps.live.screen import Screen
from sweeps.search.records import TrialRecord
from sweeps.search.spending import Spent
from sweeps.spec.values import SweepSpec

PAUSE_SECONDS = 2.0
LOOKING_SHARE = 0.1  # of the time, at most: a large ledger takes long to read
NO_DRIVER = "no driver is at work: `sweep run` with the same spec goes on"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sight:
    """What one look found.

    Args:
        records: The latest attempt of every trial.
        spent: What trials have held until now.
        has_driver: Whether a driver is at work; running trials of a dead one are not believed.
    """

    records: tuple[TrialRecord, ...]
    spent: Spent
    has_driver: bool


def watch(
    spec: SweepSpec,
    look: Callable[[], Sight],
    console: Console,
    *,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Show a sweep until it is over or Ctrl-C.

    Args:
        spec: The sweep.
        look: Reads the ledger.
        console: Where it is shown.
        pause: Waits for so many seconds.
    """
    try:
        boards = _boards(spec, look, pause)
        if console.is_terminal:
            _draw(boards, console)
        else:
            _write(boards, console)
    except KeyboardInterrupt:
        return


def _boards(
    spec: SweepSpec, look: Callable[[], Sight], pause: Callable[[float], None]
) -> Iterator[tuple[Board, str]]:
    """The board of each look, and a note where it needs one; the last when the sweep is over."""
    at_once = 0
    while True:
        begin = time.perf_counter()
        sight = look()
        board = Board(spec, sight.records, keep_running=sight.has_driver)
        board.at_once = at_once = max(at_once, board.at_once)
        board.spent = sight.spent
        yield board, "" if sight.has_driver or board.is_over else NO_DRIVER
        if board.is_over:
            return
        pause(max(PAUSE_SECONDS, (time.perf_counter() - begin) / LOOKING_SHARE))


def _draw(boards: Iterator[tuple[Board, str]], console: Console) -> None:
    board, note = next(boards)
    screen = Screen(board)
    with Live(screen, console=console, auto_refresh=False) as live:
        screen.note = note
        live.refresh()
        for screen.board, screen.note in boards:
            live.refresh()


def _write(boards: Iterator[tuple[Board, str]], console: Console) -> None:
    last = (-1.0, "")
    for board, note in boards:
        if (board.cost_done, note) != last:
            console.print(_line(board, note), soft_wrap=True)
        last = (board.cost_done, note)


def _line(board: Board, note: str) -> str:
    done = f"{board.num_finished} of {len(board.cells)} cells, {100 * board.share_done:.0f} %"
    left = None if board.is_over or note else forecast(board)
    parts = (done, str(left or ""), words.spending(board.spec, board.spent), note)
    return "; ".join(filter(None, parts))
