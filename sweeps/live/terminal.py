"""Live: the screen of a sweep in a terminal, drawn anew as the run tells of itself.

Nothing here starts a thread: the screen is drawn on events, because the driver's control thread
must never wait for a terminal; and where drawing takes long, it is drawn less often.
"""

import time
from collections.abc import Iterable

from rich.console import Console
from rich.live import Live
from rich.text import Text

from sweeps.live import words
from sweeps.live.board import Board
from sweeps.live.screen import Screen
from sweeps.search.listener import RunListener
from sweeps.search.records import TrialRecord, TrialState
from sweeps.search.spending import Spent
from sweeps.spec.values import SweepSpec

REDRAW_SECONDS = 0.25
DRAWING_SHARE = 0.05  # of the time, at most


class LiveProgress(RunListener):
    """A `RunListener` that keeps a screen.

    Args:
        spec: The sweep.
        console: Where it is drawn.
    """

    def __init__(self, spec: SweepSpec, console: Console) -> None:
        self._board = Board(spec)
        self._next_drawing = float("-inf")
        self._is_over = False
        self.screen = Screen(self._board)
        self._live = Live(console=console, auto_refresh=False, transient=False)

    def preparing(self, what: str, done: int, total: int) -> None:
        """Show how far a preparation is."""
        self.screen.note = "" if done >= total else f"preparing {what}: {done:,} of {total:,}"
        self._draw()

    def recorded(self, records: Iterable[TrialRecord]) -> None:
        """Show what is there already."""
        for record in records:
            self._board.put(record)

    def trial_started(self, record: TrialRecord) -> None:
        """Show a trial among those that run."""
        self.screen.begin()
        self._take(record)

    def trial_progress(self, record: TrialRecord) -> None:
        """Show an epoch."""
        self._take(record)

    def trial_ended(self, record: TrialRecord) -> None:
        """Show the new best; a failure gets a line above the screen."""
        if record.state in (TrialState.FAILED, TrialState.LOST):
            name = f"{self._board.name(record)}, {words.attempt(record)}"
            self.message(f"{name}: {words.ending(record)}")
        self._take(record)

    def spent(self, spent: Spent) -> None:
        """Show it from the next event on."""
        self._board.spent = spent

    def message(self, text: str) -> None:
        """Write a line above the screen."""
        self._live.console.print(Text(text))

    def finished(self) -> None:
        """Draw the last state and give the terminal back."""
        if not self._is_over and self._live.is_started:
            self._draw(force=True)
            self._live.stop()
        self._is_over = True

    def _take(self, record: TrialRecord) -> None:
        self._board.put(record)
        self._draw()

    def _draw(self, *, force: bool = False) -> None:
        begin = time.perf_counter()
        if self._is_over or (not force and begin < self._next_drawing):
            return
        if not self._live.is_started:
            self._live.start()
        self._live.update(self.screen, refresh=True)
        took = time.perf_counter() - begin
        self._next_drawing = begin + max(REDRAW_SECONDS, took / DRAWING_SHARE)
