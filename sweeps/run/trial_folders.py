"""Trial folders: deleted when their trial has ended, so that thousands of trials fill no disk.

Tune keeps a folder for every trial until the sweep ends, and in it the last checkpoint: weights and
the optimiser's state, three times an encoder, from which nobody goes on. A bucket takes its time to
delete, so a thread does it. What it can not delete goes with the whole run, when the sweep ends.
The same goes for the checkpoint that a trial took over from an earlier run.
"""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from pyarrow import ArrowException
from ray.tune import Callback
from ray.tune.experiment import Trial

from sweeps.search.messages import CHECKPOINT
from sweeps.storage import open_place


class TrialFolders(Callback):
    """Hears from Tune which trials have ended."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="trial-folders")

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles callbacks; a thread can not be.
        return {}

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """It has its outcome, or was stopped; so does one that Tune has given up."""
        storage = trial.storage
        self._thread.submit(_delete, storage.storage_filesystem.delete_dir, storage.trial_fs_path)
        # The driver's own, empty one would be copied there at the end.
        self._thread.submit(_delete, shutil.rmtree, storage.trial_driver_staging_path)
        left = trial.config.get(CHECKPOINT)
        if left is not None:
            files, path = open_place(left)
            self._thread.submit(_delete, files.delete_dir, path.rpartition("/")[0])

    on_trial_error = on_trial_complete

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        """Wait for what is being deleted."""
        self._thread.shutdown()


def _delete(delete: Callable[[str], None], folder: str) -> None:
    with suppress(OSError, ArrowException):
        delete(folder)
