"""Pace: how often a trial's state is written, so that writing costs at most a tenth of training.

The state of a full-size model is 700 MB and takes seconds to write, while a GPU trains an epoch of
few documents in a fraction of one. A lost worker then costs ten times as long as writing takes, or
the current epoch, whichever is longer.
"""

import time

SHARE = 0.1

_answer_seconds = 0.0
"""Of the last report without a state in this process: how long the driver took to answer."""
_write_seconds = 0.0
"""Of the last state written in this process: a worker runs one trial after the other."""


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
        return self._share * (time.monotonic() - self._since) >= _write_seconds

    def answered(self, seconds: float) -> None:
        """A report without a state took so long."""
        global _answer_seconds
        _answer_seconds = seconds

    def written(self, seconds: float) -> None:
        """A state was written and reported in so long, the driver's answer included."""
        global _write_seconds
        _write_seconds = max(0.0, seconds - _answer_seconds)
        self._since = time.monotonic()
