"""Breaks: trials that broke, how long each waits for its next attempt, and when none is worth one.

Told what breaks and what ends, it says which trials are held back and whether others would break.
What breaks a trial is often over a little later (storage that does not answer) or at another place
(a GPU with a fault): an attempt made at once would meet it again. Where trials of several cells
break for good in a row it is no fault of theirs: all the others would follow.
"""

import time
from collections.abc import Callable

PAUSE_SECONDS = 5.0  # doubled with every failure: 10, 20, 40
LONGEST_PAUSE_SECONDS = 600.0
CELLS_IN_A_ROW = 3

VANISHED = "its worker vanished"
OUT_OF_MEMORY = (
    "its node ran out of memory, perhaps through other programs: half a batch at a time is tried; "
    "where that goes on, end those, lower `batch`, or raise `resources.cpus` so that fewer trials "
    "share a node"
)
BOW_OUT_OF_MEMORY = (
    "its node ran out of memory, perhaps through other programs: where that goes on, end those, or "
    "raise `resources.cpus` so that fewer trials share a node"
)
TOO_LONG = "its worker held it for longer than budget.trial_hours"
TOO_LARGE = (OUT_OF_MEMORY, BOW_OUT_OF_MEMORY, TOO_LONG)
"""No fault of a machine."""
LOST_WORKER = (VANISHED, *TOO_LARGE)
"""A trial goes on from the first of these at once: elsewhere, or with half a batch at a time."""


class Breaks:
    """The trials of one run that broke.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._held: dict[str, float] = {}  # trial → when it may go on
        self.given_up: dict[str, str] = {}
        """Cell → trial of it that broke for good, since one last ended as it should."""
        self.given_up_since = 0.0
        """When the first of them did, in monotonic seconds."""

    @property
    def held(self) -> frozenset[str]:
        """Trials that wait for the end of their pause."""
        return frozenset(self._held)

    def hold(self, trial_id: str, num_failures: int, reason: str) -> None:
        """A trial broke and is to be attempted again, after a pause that grows."""
        if num_failures > 1 or reason not in LOST_WORKER:
            seconds = min(PAUSE_SECONDS * 2.0 ** min(num_failures, 16), LONGEST_PAUSE_SECONDS)
            self._held[trial_id] = self._clock() + seconds

    def release(self, trial_id: str) -> None:
        """A trial need not wait any longer."""
        self._held.pop(trial_id, None)

    def is_due(self, trial_id: str) -> bool:
        """Whether a trial's pause is over."""
        return self._held.get(trial_id, 0.0) <= self._clock()

    def ended(self) -> None:
        """A trial finished, was pruned or diverged: a machine did with it what it should."""
        self.given_up.clear()

    def gave_up(self, trial_id: str, cell_id: str, reason: str) -> bool:
        """A trial broke for good. Returns whether others would too: some of several cells did."""
        if reason in TOO_LARGE:
            return False
        if not self.given_up:
            self.given_up_since = self._clock()
        self.given_up[cell_id] = trial_id
        return len(self.given_up) >= CELLS_IN_A_ROW
