"""Node cache: folders of shared storage, kept once on the disk of each machine.

The place of a shared folder comes in; a local, verified folder goes out, to be mapped into memory
by every trial of the machine. A file lock per folder makes trials that start together fetch it
once. Folders are named by their content: what changed on the storage is another folder here, and
the cache may be deleted at any time.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

from filelock import FileLock

from sweeps.errors import StorageError
from sweeps.run.shared_folder import Contents, find_contents, get_folder, is_intact
from sweeps.storage import told_when_unreadable

CACHE_VARIABLE = "SWEEP_CACHE"
DEFAULT_FOLDER = "~/.cache/ulm-sweeps"


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """The cache of this machine: `SWEEP_CACHE`, else a folder of the user's."""
    return Path(environment.get(CACHE_VARIABLE) or DEFAULT_FOLDER).expanduser().absolute()


def cached(place: str, root: Path | None = None) -> Path:
    """The local copy of a shared folder, every digest of it just compared.

    Args:
        place: URI of a folder that `put_folder` wrote.
        root: Folder that holds copies, that of this machine where none is named; made, for this
            user alone, where it is missing.

    Raises:
        StorageError: It is not there, can not be fetched, or arrived damaged twice.
    """
    contents = find_contents(place)
    if contents is None:
        raise StorageError(
            f"a folder that trials read must be on shared storage, found none at {place}: run "
            "the sweep again, it is then put there"
        )
    name = unquote(place.partition("?")[0].rstrip("/").rpartition("/")[2])
    folder = (root or cache_folder()) / f"{name}-{contents.digest[:16]}"
    if is_intact(folder, contents):
        return folder
    with told_when_unreadable(place):
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            _fill(folder, place, contents)
    return folder


def _fill(folder: Path, place: str, contents: Contents) -> None:
    """Fetch what another process has not fetched meanwhile; the caller holds the lock."""
    if is_intact(folder, contents):
        return
    for left in folder.parent.glob(f".{folder.name}.*.part"):  # of a process that died
        shutil.rmtree(left)
    get_folder(place, folder, contents)
