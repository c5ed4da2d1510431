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
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from pyarrow import ArrowException

from sweeps.paths import below
from sweeps.run.context import TrialContext
from sweeps.run.shared_folder import CONTENTS_FILE, Contents, is_sealed
from sweeps.search.messages import REQUEST, load_request
from sweeps.search.records import Progress, TrialRequest
from sweeps.storage import open_place, read_bytes, told_when_unreadable

NOTE_FILE = "trial.json"
FOLDER_PREFIX = "checkpoint_"  # Tune's


def identity_of(request: TrialRequest, context: TrialContext) -> dict[str, Any]:
    """What must be equal for a state to be of the same training: all but the attempt, as JSON."""
    from ulm.training import TRAINING_VERSION

    of_general = context.general if request.cell.is_general else None
    tokens = context.domain if of_general is None else of_general
    told = {
        **asdict(request),
        "tokens": tokens.name,  # named by content and rules
        "training": TRAINING_VERSION,
        "torch": version("torch"),
    }
    del told["key"]["attempt"]
    whole: dict[str, Any] = json.loads(json.dumps(told))
    return whole


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """What lies beside a state.

    Args:
        trial: Whose it is, from `identity_of`.
        parts: Parts that its batches were computed in.
        seconds: Seconds of work that went into it.
        epochs: Every epoch so far.
    """

    trial: Mapping[str, Any]
    parts: int = 1
    seconds: float = 0.0
    epochs: tuple[Progress, ...] = ()

    def write(self, folder: Path) -> None:
        """Put it into the folder of a checkpoint."""
        told = {
            "trial": self.trial,
            "parts": self.parts,
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
            known = {name: told[name] for name in ("trial", "parts", "seconds")}
            return cls(**known, epochs=epochs)
        except (OSError, ValueError, KeyError, TypeError):
            return None  # written by another version


@contextmanager
def opened(checkpoint: Any) -> Iterator[Path | None]:
    """The local folder of one of Tune's checkpoints; None where there is none, or it is gone.

    Raises:
        OSError: The storage can not be read.
    """
    with ExitStack() as stack:
        folder = None
        if checkpoint is not None:
            with suppress(FileNotFoundError):
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
    """The checkpoints that earlier runs left; all else that they left is deleted.

    Args:
        place: Tune's folder of the sweep, on a disk or in a bucket.

    Returns:
        `TrialKey.place` → place of the newest checkpoint of that trial that is whole.

    Raises:
        StorageError: The storage can not be read.
    """
    with told_when_unreadable(place):
        files, root = open_place(place)
        found = _list_all(files, root)
        left = _newest_whole(place, _checkpoints_of(found))
    trials = {path.rpartition("/")[0] for path in left.values()}
    kept = trials | {trial.partition("/")[0] for trial in trials}
    for path, info in found.items():
        if path.count("/") < 2 and path not in kept:  # a run, or what is right in one
            with suppress(OSError, ArrowException):
                (files.delete_file if info.is_file else files.delete_dir)(info.path)
    return {trial: below(place, path) for trial, path in left.items()}


def _list_all(files: Any, root: str) -> dict[str, Any]:
    """Everything in a folder, by its path from there."""
    from pyarrow.fs import FileSelector

    infos = files.get_file_info(FileSelector(root, recursive=True, allow_not_found=True))
    return {info.path.removeprefix(root).strip("/"): info for info in infos}


@dataclass(slots=True)
class _Listed:
    """A checkpoint as a listing shows it: bytes by name, and when the newest file was written."""

    sizes: dict[str, int] = field(default_factory=dict)
    written: int = 0


def _checkpoints_of(found: Mapping[str, Any]) -> dict[str, _Listed]:
    """`run/trial/checkpoint` → its files."""
    checkpoints: dict[str, _Listed] = {}
    for path, info in found.items():
        names = path.split("/")
        if info.is_file and len(names) == 4 and names[2].startswith(FOLDER_PREFIX):
            listed = checkpoints.setdefault("/".join(names[:3]), _Listed())
            listed.sizes[names[3]] = info.size
            listed.written = max(listed.written, info.mtime_ns or 0)
    return checkpoints


def _newest_whole(place: str, checkpoints: Mapping[str, _Listed]) -> dict[str, str]:
    """`TrialKey.place` → path below `place` of the newest checkpoint that is whole."""
    # a bucket tells whole seconds: of those the later number
    newest = sorted(checkpoints, key=lambda path: (checkpoints[path].written, path), reverse=True)
    left: dict[str, str] = {}
    for path in newest:
        trial = path.split("/")[1].rpartition(".")[0]
        if trial and trial not in left and _is_whole(below(place, path), checkpoints[path].sizes):
            left[trial] = path
    return left


def _is_whole(place: str, sizes: Mapping[str, int]) -> bool:
    """Whether the files that a listing shows are those of the contents; Tune writes all at once."""
    if CONTENTS_FILE not in sizes:
        return False
    try:
        contents = Contents.parse(read_bytes(below(place, CONTENTS_FILE)).decode())
    except ValueError:
        return False
    told = {name: digest.size_bytes for name, digest in contents.files.items()}
    return told == {name: size for name, size in sizes.items() if name != CONTENTS_FILE}


def trial_folder_name(trial: Any) -> str:
    """Name of the folder that Tune keeps a trial's checkpoints in."""
    key = load_request(trial.config[REQUEST]).key
    return f"{key.place}.{key.attempt}"
