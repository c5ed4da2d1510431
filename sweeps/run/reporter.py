"""Reporter: tells Ray Tune of a trial's epochs, on its worker.

Epochs come in, each with a function that saves its state; Tune hears of every one, and keeps the
state of those that are worth it.
"""

import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from sweeps.run.checkpoints import Note
from sweeps.run.pace import CheckpointPace
from sweeps.run.shared_folder import seal
from sweeps.search.messages import INHERITED, PROGRESS, SAVED, dump
from sweeps.search.records import Progress


class Reporter:
    """Tells Tune of an epoch, with a checkpoint if one is due, and then deletes the one before.

    Tune would delete them itself (`num_to_keep`), but then it also writes the state of the whole
    experiment whenever a trial has made so many: with thousands of trials, its driver does nothing
    else (docs/results/scale.md). The checkpoint the trial was resumed from stays: it may be needed
    for another try.

    Args:
        note: Of the checkpoint that the trial goes on from; of no epochs where it starts anew.
        resumed: The checkpoint that Tune gave it, or None.
        pace: Says when one is due.
    """

    def __init__(self, note: Note, resumed: Any, pace: CheckpointPace) -> None:
        self._note = note
        self._resumed = resumed
        self._pace = pace
        self._epochs = list(note.epochs)
        self.parts = note.parts
        """Parts that batches are computed in now."""
        self._begin = time.monotonic()

    def tell_again(self) -> None:
        """Tell the epochs of an attempt in an earlier run, which this one goes on from."""
        from ray import tune

        for progress in self._note.epochs:
            told = {PROGRESS: dump(progress), SAVED: True}
            is_last = progress is self._note.epochs[-1]
            tune.report({**told, INHERITED: self._note.seconds} if is_last else told)

    def __call__(self, progress: Progress, save: Callable[[Path], None]) -> None:
        """Tell an epoch, with what `save` writes into a folder as its state."""
        from ray import tune

        # Tune ends a trial that is to stop inside its `report`.
        begin, before = time.monotonic(), tune.get_checkpoint()
        if all(known.epoch < progress.epoch for known in self._epochs):  # as the ledger keeps them
            self._epochs.append(progress)
        with tempfile.TemporaryDirectory(prefix="epoch-") as folder:
            if self._pace.is_due():
                save(Path(folder))
            is_saved = any(Path(folder).iterdir())
            if is_saved:
                self._seal(Path(folder))
            checkpoint = tune.Checkpoint.from_directory(folder) if is_saved else None
            tune.report({PROGRESS: dump(progress), SAVED: is_saved}, checkpoint=checkpoint)
        (self._pace.written if is_saved else self._pace.answered)(time.monotonic() - begin)
        if is_saved and before is not None and not self._is_resumed(before):
            with suppress(OSError):  # left to the end of the sweep, which deletes them all
                before.filesystem.delete_dir(before.path)

    def _seal(self, folder: Path) -> None:
        seconds = self._note.seconds + time.monotonic() - self._begin
        note = replace(self._note, seconds=seconds, epochs=tuple(self._epochs))
        replace(note, parts=self.parts).write(folder)
        seal(folder)

    def _is_resumed(self, checkpoint: Any) -> bool:
        return self._resumed is not None and checkpoint.path == self._resumed.path
