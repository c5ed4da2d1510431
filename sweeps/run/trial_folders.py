"""Trial folders: deleted when their trial is recorded, so that thousands of trials fill no disk.

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

from sweeps.search.messages import CHECKPOINT, REQUEST, load_request
from sweeps.search.records import TrialKey
from sweeps.storage import open_place


class TrialFolders(Callback):
    """Hears from Tune which trials have ended.

    Args:
        has_ended: Whether a trial is not asked again, in this run or another: Tune also ends those
            that stop with the run, or with a fault that is none of theirs. They go on later.
    """

    def __init__(self, has_ended: Callable[[TrialKey], bool]) -> None:
        self._has_ended = has_ended
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="trial-folders")

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles callbacks; a thread can not be, nor what holds a database.
        return {}

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """It has its outcome, or was stopped; so does one that Tune has given up."""
        if not self._has_ended(load_request(trial.config[REQUEST]).key):
            return
        storage = trial.storage
        self._thread.submit(_delete, storage.storage_filesystem.delete_dir, storage.trial_fs_path)
        # The driver's own, empty one would be copied there at the end.
        self._thread.submit(_delete, shutil.rmtree, storage.trial_driver_staging_path)
        left = trial.config.get(CHECKPOINT)
        if left is not None:
            self._thread.submit(_delete, _delete_trial_of, left)

    on_trial_error = on_trial_complete

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        """Wait for what is being deleted."""
        self._thread.shutdown()


def _delete_trial_of(checkpoint: str) -> None:
    files, path = open_place(checkpoint)
    files.delete_dir(path.rpartition("/")[0])


def _delete(delete: Callable[[str], None], folder: str) -> None:
    with suppress(OSError, ArrowException):
        delete(folder)
