"""Progress: what a person sees while a sweep runs.

The driver calls a `RunListener`; a screen (`sweeps.live.terminal`) or plain lines (elsewhere)
come out.
"""

import time
from collections.abc import Callable, Iterable
from typing import TextIO

from rich.console import Console

from sweeps.live import words
from sweeps.live.board import Board
from sweeps.live.forecast import forecast
from sweeps.live.terminal import LiveProgress
from sweeps.search.listener import RunListener
from sweeps.search.records import TrialKey, TrialRecord
from sweeps.search.spending import Spent
from sweeps.spec.values import SweepSpec

LINE_SECONDS = 3.0
TRIAL_SECONDS = 30.0  # after which a trial has a line of its own, however many others have
PACE_SHARE = 0.05  # of the time, at most, goes to finding out how far a large sweep is


class PlainProgress(RunListener):
    """One plain line per event; epochs and preparation at most one line every few seconds.

    Of many trials each has its turn.

    Args:
        spec: The sweep.
        stream: Where lines go.
        clock: Unix seconds.
    """

    def __init__(
        self, spec: SweepSpec, stream: TextIO, clock: Callable[[], float] = time.time
    ) -> None:
        self._board = Board(spec)
        self._began: float | None = None
        self._stream = stream
        self._clock = clock
        self._last_line: float | None = None
        self._trial_lines: dict[TrialKey, float] = {}
        self._next_pace = float("-inf")

    def preparing(self, what: str, done: int, total: int) -> None:
        """Write how far a preparation is."""
        if done >= total or self._is_due():
            self._write(f"preparing {what}: {done:,} of {total:,}")

    def recorded(self, records: Iterable[TrialRecord]) -> None:
        """Count it in."""
        for record in records:
            self._board.put(record)

    def trial_started(self, record: TrialRecord) -> None:
        """Write which trial starts, with its hyperparameters."""
        self._began = self._clock() if self._began is None else self._began
        self._board.put(record)
        params = words.settings(record)
        self._tell(record, "started" + (f", {params}" if params else ""))

    def trial_progress(self, record: TrialRecord) -> None:
        """Write an epoch."""
        self._board.put(record)
        told_at = self._trial_lines.get(record.key, float("inf"))
        if self._is_due() or self._clock() - told_at >= TRIAL_SECONDS:
            self._tell(record, words.epoch(record))

    def trial_ended(self, record: TrialRecord) -> None:
        """Write how a trial ended and, unless that was just written, how far the sweep is."""
        self._board.put(record)
        pace = f" ({self._pace()})" if self._clock() >= self._next_pace else ""
        self._tell(record, f"{words.ending(record)}{pace}")
        del self._trial_lines[record.key]

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

    def _pace(self) -> str:
        """Share done, time left and what was spent, in words; looks at every trial."""
        begin = time.perf_counter()
        elapsed = 0.0 if self._began is None else self._clock() - self._began
        done = f"{100 * self._board.share_done:.0f} % done after {words.duration(elapsed)}"
        left = None if self._board.is_over else forecast(self._board)
        pace = done if left is None else f"{done}, {left}"
        self._next_pace = self._clock() + (time.perf_counter() - begin) / PACE_SHARE
        return "; ".join(filter(None, (pace, words.spending(self._board.spec, self._board.spent))))

    def _tell(self, record: TrialRecord, what: str) -> None:
        self._trial_lines[record.key] = self._clock()
        self._write(f"{self._board.name(record)}, {words.attempt(record)}: {what}")

    def _write(self, line: str) -> None:
        self._last_line = self._clock()
        self._stream.write(line + "\n")
        self._stream.flush()


def make_progress(spec: SweepSpec, stream: TextIO) -> RunListener:
    """A screen where `stream` is a terminal, else plain lines.

    Args:
        spec: The sweep.
        stream: Where it is shown.
    """
    if stream.isatty():
        return LiveProgress(spec, Console(file=stream))
    return PlainProgress(spec, stream)
