"""Checkpoints: from which a trial goes on when its worker was lost, or the run it was in.

A checkpoint is a folder: the state of a training and a note of which trial it is, what it cost and
every epoch so far, sealed together. Within a run Ray Tune hands it to the trial's next worker. The
run after one that was stopped finds what that left, and the next attempt of each trial goes on from
there: it tells the epochs before it first, so that its record is whole and the pruner decides as
it did.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from pyarrow import ArrowException

from sweeps.paths import below
from sweeps.run.shared_folder import CONTENTS_FILE, is_sealed
from sweeps.search.messages import REQUEST, load_request
from sweeps.search.records import Progress, TrialKey, TrialRequest
from sweeps.storage import open_place

NOTE_FILE = "trial.json"
FOLDER_PREFIX = "checkpoint_"  # Tune's


def folder_of(key: TrialKey) -> str:
    """Name of the folder that Tune keeps a trial's checkpoints in."""
    return f"{key.place}.{key.attempt}"


def identity_of(request: TrialRequest) -> dict[str, Any]:
    """What must be equal for a state to be of the same training: all but the attempt, as JSON."""
    from ulm.training import TRAINING_VERSION

    told = {**asdict(request), "training": TRAINING_VERSION, "torch": version("torch")}
    del told["key"]["attempt"]
    whole: dict[str, Any] = json.loads(json.dumps(told))
    return whole


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """What lies beside a state.

    Args:
        trial: Whose it is, from `identity_of`.
        seconds: Seconds of work that went into it.
        epochs: Every epoch so far.
    """

    trial: Mapping[str, Any]
    seconds: float = 0.0
    epochs: tuple[Progress, ...] = ()

    def write(self, folder: Path) -> None:
        """Put it into the folder of a checkpoint."""
        told = {
            "trial": self.trial,
            "seconds": self.seconds,
            "epochs": [asdict(progress) for progress in self.epochs],
        }
        (folder / NOTE_FILE).write_text(json.dumps(told), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The note of a checkpoint's folder; None where the folder is missing or damaged."""
        if not is_sealed(folder):
            return None
        try:
            told = json.loads((folder / NOTE_FILE).read_text(encoding="utf-8"))
            epochs = tuple(Progress(**progress) for progress in told["epochs"])
            return cls(trial=told["trial"], seconds=told["seconds"], epochs=epochs)
        except (OSError, ValueError, KeyError, TypeError):
            return None  # written by another version


@contextmanager
def opened(checkpoint: Any) -> Iterator[Path | None]:
    """The local folder of one of Tune's checkpoints; None where there is none, or it is gone."""
    with ExitStack() as stack:
        folder = None
        if checkpoint is not None:
            with suppress(OSError, ArrowException):
                folder = Path(stack.enter_context(checkpoint.as_directory()))
        yield folder


def checkpoint_at(place: str | None) -> Any:
    """The checkpoint at a place, as Tune's; None where no place is told."""
    from ray import tune

    if place is None:
        return None
    files, path = open_place(place)
    return tune.Checkpoint(path, filesystem=files)


def left_checkpoints(place: str) -> dict[str, str]:
    """The checkpoints that earlier runs left; what they left of trials without one is deleted.

    Args:
        place: Tune's folder of the sweep, on a disk or in a bucket.

    Returns:
        `TrialKey.place` → place of the newest checkpoint of that trial.
    """
    from pyarrow.fs import FileSelector

    files, root = open_place(place)
    found: dict[str, tuple[int, str]] = {}
    folders: set[str] = set()
    for info in files.get_file_info(FileSelector(root, recursive=True, allow_not_found=True)):
        names = info.path.removeprefix(root).strip("/").split("/")
        if len(names) > 1:
            folders.add("/".join(names[:2]))
        if len(names) == 4 and names[2].startswith(FOLDER_PREFIX) and names[3] == CONTENTS_FILE:
            trial = names[1].rpartition(".")[0]
            written = (info.mtime_ns or 0, "/".join(names[:3]))
            found[trial] = max(found.get(trial, written), written)
    kept = {path.rpartition("/")[0] for _, path in found.values()}
    for folder in folders - kept:
        with suppress(OSError, ArrowException):
            files.delete_dir(f"{root.rstrip('/')}/{folder}")
    return {trial: below(place, path) for trial, (_, path) in found.items()}


def trial_folder_name(trial: Any) -> str:
    """`folder_of` a trial of Tune's."""
    return folder_of(load_request(trial.config[REQUEST]).key)
