"""Storage: the files of folders and buckets.

Places (absolute paths, s3:// and gs:// URIs) and local files come in; whole files, or a
`StorageError` with the remedy, go out. pyarrow.fs moves the bytes: it is what Ray uses.
"""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeps.errors import StorageError
from sweeps.paths import is_uri
from ulm.files import part_of

if TYPE_CHECKING:
    from pyarrow.fs import FileInfo, FileSystem

RETRIES = "retry_limit_seconds"


def open_place(place: str) -> "tuple[FileSystem, str]":
    """File system of a place, and the path of the place in it.

    Args:
        place: Absolute path or URI; the options of a URI are pyarrow's.

    Raises:
        OSError: The URI's options or credentials are refused.
        ValueError: The URI is of an unknown kind.
    """
    from pyarrow.fs import FileSystem, LocalFileSystem

    if is_uri(place):
        files, path = FileSystem.from_uri(_within_a_minute(place))
        return files, path
    return LocalFileSystem(), place


def _within_a_minute(uri: str) -> str:
    """Google's library asks for a quarter of an hour before it gives up, deaf to Ctrl-C."""
    if not uri.startswith(("gs://", "gcs://")) or RETRIES in uri:
        return uri
    return f"{uri}{'&' if '?' in uri else '?'}{RETRIES}=60"


def info_of(place: str) -> "FileInfo | None":
    """Size and time of a file; None where there is none."""
    files, path = open_place(place)
    found = files.get_file_info(path)
    return found if found.is_file else None


def list_files(place: str) -> "tuple[FileInfo, ...]":
    """The files right in a folder; none where it is missing."""
    from pyarrow.fs import FileSelector

    files, path = open_place(place)
    selector = FileSelector(path, allow_not_found=True)
    return tuple(info for info in files.get_file_info(selector) if info.is_file)


def read_bytes(place: str) -> bytes:
    """Content of a small file.

    Raises:
        FileNotFoundError: There is none.
        OSError: It can not be read.
    """
    files, path = open_place(place)
    with files.open_input_stream(path) as stream:
        content: bytes = stream.readall()
    return content


def put_bytes(content: bytes, place: str) -> None:
    """Write a file so that it appears whole: an object by nature, a local file by renaming.

    Raises:
        OSError: It can not be written.
    """
    files, path = open_place(place)
    with _beside(files, path) as target, files.open_output_stream(target) as stream:
        stream.write(content)


def put_file(local: Path, place: str) -> None:
    """Copy a file of this machine to a place, where it appears whole.

    Raises:
        OSError: It can not be read or written.
    """
    from pyarrow.fs import copy_files

    files, path = open_place(place)
    with _beside(files, path) as target:
        copy_files(str(local), target, destination_filesystem=files)


def get_file(place: str, local: Path) -> None:
    """Copy a file to this machine, where it appears whole and with the time it has there.

    Raises:
        OSError: It can not be read or written.
    """
    from pyarrow.fs import copy_files

    files, path = open_place(place)
    info = files.get_file_info(path)
    local.parent.mkdir(parents=True, exist_ok=True)
    with part_of(local) as beside:
        copy_files(path, str(beside), source_filesystem=files)
        if info.mtime_ns is not None:
            os.utime(beside, ns=(info.mtime_ns, info.mtime_ns))


def load_object(content: bytes) -> dict[str, Any]:
    """The JSON object in a file's content; empty where it is damaged."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def read_object(file: Path) -> dict[str, Any]:
    """The JSON object in a local file; empty where there is none, or the file is damaged."""
    try:
        return load_object(file.read_bytes())
    except OSError:
        return {}


def write_whole(file: Path, content: bytes) -> None:
    """Write a file of this machine so that it appears whole.

    Raises:
        OSError: It can not be written.
    """
    with part_of(file) as beside:
        beside.write_bytes(content)


def remove_file(place: str) -> None:
    """Delete a file; one that is missing, or that another process deletes, is no error.

    Raises:
        OSError: It can not be deleted.
    """
    files, path = open_place(place)
    with suppress(FileNotFoundError):
        files.delete_file(path)


def remove_folder(place: str) -> None:
    """Delete a folder with all that is in it, as `remove_file` deletes a file.

    Raises:
        OSError: It can not be deleted.
    """
    files, path = open_place(place)
    with suppress(FileNotFoundError):
        files.delete_dir(path)


@contextmanager
def _beside(files: "FileSystem", path: str) -> Iterator[str]:
    """Where to write a file before it is renamed; an object store needs neither."""
    if files.type_name != "local":
        yield path
        return
    files.create_dir(str(Path(path).parent), recursive=True)
    with part_of(Path(path)) as beside:
        yield str(beside)


def unreadable(place: str, error: Exception) -> StorageError:
    """The error of a folder that can not be fetched, with the machine that asked for it."""
    return StorageError(
        f"shared storage must be readable from every machine, {socket.gethostname()} could not "
        f"fetch {place} ({error}): check its network, credentials and free disk"
    )


@contextmanager
def told_when_unreadable(place: str) -> Iterator[None]:
    """Any error of the storage in a block becomes one message.

    Args:
        place: What is fetched in it.

    Raises:
        StorageError: The place can not be fetched.
    """
    from pyarrow import ArrowException

    try:
        yield
    except (OSError, ArrowException) as error:
        raise unreadable(place, error) from error
