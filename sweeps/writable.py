"""Writable: whether what a sweep leaves can be written where it is to be.

The paths of a sweep, or a place, come in; nothing goes out, or a `StorageError` with the remedy.
It is tried for real: permissions alone say little of network shares and buckets.
"""

import re
import tempfile
import uuid
from pathlib import Path

from sweeps.disk import is_full
from sweeps.errors import StorageError
from sweeps.paths import SweepPaths, is_uri
from sweeps.storage import open_place

MARKS = re.compile(r"[?#]|%[0-9A-Fa-f]{2}")
READ_OTHERWISE = re.compile(r"[?]|%[0-9A-Fa-f]{2}")  # by what opens a ledger that is there


def check_storage(paths: SweepPaths) -> None:
    """Try to write where a sweep will.

    Raises:
        StorageError: The folder or the bucket can not be written, or its name can not be in a URL.
    """
    check_name(paths, MARKS)
    if paths.is_remote:
        _write_remote(paths.storage)
    try:
        write_below(paths.folder)
    except OSError as error:
        raise StorageError(
            f"storage must be a folder that can be written, found {paths.root} "
            f"({error.strerror}); set storage, or pass --storage"
        ) from None


def check_name(paths: SweepPaths, marks: re.Pattern[str] = READ_OTHERWISE) -> None:
    """See whether the databases of a sweep can be named.

    Raises:
        StorageError: The folder's path can not be in a URL.
    """
    if found := marks.findall(str(paths.root)):
        raise StorageError(
            f"storage must be a folder without {', '.join(found)} in its path, which mean "
            f"something else in the URLs of databases, found {paths.root}; rename it, set storage, "
            "or pass --storage"
        )


def check_place(place: str) -> None:
    """Try to write below a folder or a URI, as a worker will.

    Raises:
        StorageError: It can not be written from this machine.
    """
    if is_uri(place):
        _write_remote(place)
        return
    try:
        write_below(Path(place))
    except OSError as error:
        raise StorageError(
            f"storage must be a folder that every machine can write, {place} can not be "
            f"({error.strerror}); mount it, or mend its permissions"
        ) from None


def check_report_folder(paths: SweepPaths) -> None:
    """Try to write where a sweep's report will be.

    Raises:
        StorageError: The sweep's folder can not be written, as that of somebody else.
        OSError: The disk is full.
    """
    try:
        for folder in (paths.folder, paths.report):
            write_below(folder)
    except OSError as error:
        if is_full(error):
            raise
        raise StorageError(
            f"a report is written beside what it shows, {paths.folder} can not be written "
            f"({error.strerror}): copy the folder, or read {paths.report_html} as it is; status "
            "and advise need not write"
        ) from None


def write_below(folder: Path) -> None:
    """Write a file without a name into a folder or, where it is missing, its nearest parent.

    Raises:
        OSError: It is no folder, or can not be written.
    """
    nearest = next(place for place in (folder, *folder.parents) if place.exists())
    with tempfile.TemporaryFile(dir=nearest) as file:
        file.write(b"check" * 1024)  # a full disk still takes a name


def _write_remote(storage: str) -> None:
    from pyarrow import ArrowException

    try:
        files, path = open_place(storage)
        if files.type_name == "local":
            files.create_dir(path, recursive=True)
        name = f"{path}/.sweep-check-{uuid.uuid4().hex}"
        with files.open_output_stream(name) as stream:
            stream.write(b"check")
        files.delete_file(name)
    except (OSError, ArrowException) as error:
        raise StorageError(
            f"storage must be a bucket that can be written, found {storage} ({error}); check the "
            "name and the credentials of this machine"
        ) from None
