"""Pace: how often a trial's state is written, so that writing costs at most a tenth of training.

The state of a full-size model is 700 MB and takes seconds to write, while a GPU trains an epoch of
few documents in a fraction of one. A lost worker then costs ten times as long as writing takes, or
the current epoch, whichever is longer.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

SHARE = 0.1

_last_cost_seconds = 0.0
"""Of the state that this process wrote last: a worker runs one trial after the other."""


class CheckpointPace:
    """Says when a trial's state is worth writing.

    Args:
        share: Seconds of writing for each second of training, at most.
    """

    def __init__(self, share: float = SHARE) -> None:
        self._share = share
        self._since = time.monotonic()

    def is_due(self) -> bool:
        """Whether training has gone on for long enough since a state was written."""
        return self._share * (time.monotonic() - self._since) >= _last_cost_seconds

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Takes the time of writing a state."""
        global _last_cost_seconds
        begin = time.monotonic()
        yield
        self._since = time.monotonic()
        _last_cost_seconds = self._since - begin
