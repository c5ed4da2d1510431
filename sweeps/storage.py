"""Storage: whether the place of a sweep can be written, asked before anything is.

Paths of a sweep come in; nothing or a `StorageError` with the remedy goes out, and nothing stays
behind. Writing is tried for real: permissions alone say little of network shares and buckets.
"""

import os
import tempfile
from pathlib import Path

from sweeps.errors import StorageError
from sweeps.paths import SweepPaths


def check_storage(paths: SweepPaths) -> None:
    """Try to write where a sweep will.

    Raises:
        StorageError: The folder or the bucket can not be written.
    """
    if paths.is_remote:
        _write_remote(paths.storage)
    try:
        write_below(paths.folder)
    except OSError as error:
        raise StorageError(
            f"storage must be a folder that can be written, found {paths.root} "
            f"({error.strerror}); set storage, or pass --storage"
        ) from None


def write_below(folder: Path) -> None:
    """Write a file without a name into a folder or, where it is missing, its nearest parent.

    Raises:
        OSError: It is no folder, or can not be written.
    """
    nearest = next(place for place in (folder, *folder.parents) if place.exists())
    with tempfile.TemporaryFile(dir=nearest):
        pass


def _write_remote(storage: str) -> None:
    from pyarrow import ArrowException
    from pyarrow.fs import FileSystem

    try:
        system, path = FileSystem.from_uri(storage)
        name = f"{path}/.sweep-check-{os.getpid()}"
        with system.open_output_stream(name) as stream:
            stream.write(b"check")
        system.delete_file(name)
    except (OSError, ArrowException) as error:
        raise StorageError(
            f"storage must be a bucket that can be written, found {storage} ({error}); check the "
            "name and the credentials of this machine"
        ) from None
