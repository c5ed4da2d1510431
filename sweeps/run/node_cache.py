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


class NodeCache:
    """Copies of shared folders on this machine.

    Args:
        root: Folder that holds them; made, for this user alone, where it is missing.
    """

    def __init__(self, root: Path | None = None) -> None:
        self._root = cache_folder() if root is None else root

    def fetch(self, place: str) -> Path:
        """The local copy of a shared folder, every digest of it just compared.

        Args:
            place: URI of a folder that `put_folder` wrote.

        Raises:
            StorageError: It is not there, can not be fetched, or arrived damaged twice.
        """
        contents = find_contents(place)
        if contents is None:
            raise StorageError(
                f"a folder that trials read must be on shared storage, found none at {place}: run "
                "the sweep again, it is then put there"
            )
        return self._kept(place, contents)

    def _kept(self, place: str, contents: Contents) -> Path:
        name = unquote(place.partition("?")[0].rstrip("/").rpartition("/")[2])
        folder = self._root / f"{name}-{contents.digest[:16]}"
        if is_intact(folder, contents):
            return folder
        with told_when_unreadable(place):
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            with FileLock(self._root / f".{folder.name}.lock"):
                self._fill(folder, place, contents)
        return folder

    def _fill(self, folder: Path, place: str, contents: Contents) -> None:
        """Fetch what another process has not fetched meanwhile; the caller holds the lock."""
        if is_intact(folder, contents):
            return
        for left in self._root.glob(f".{folder.name}.*.part"):  # of a process that died
            shutil.rmtree(left)
        get_folder(place, folder, contents)
