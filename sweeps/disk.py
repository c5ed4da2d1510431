"""Disk: tells a full disk from other errors, and says where room is missing.

An error comes in, however deep in another; where a disk was full, a `StorageError` with the room
that is left in each place goes out. Most libraries keep the system's text and lose its number;
torch and numpy lose both.
"""

import errno
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sweeps.errors import StorageError
from sweeps.paths import is_uri

GIB = 2**30
SQLITE = "sqlite:///"
FULL_NUMBERS = (errno.ENOSPC, errno.EDQUOT)
FULL_TEXTS = (
    "No space left on device",  # the system's, e.g. in an error of safetensors
    "Disk quota exceeded",
    "database or disk is full",  # SQLite
    "PytorchStreamWriter failed writing file",  # torch.save, at the first byte
    "unexpected pos",  # torch.save, later
    " requested and ",  # numpy.save: "1000 requested and 534 written"
)


def is_full(error: BaseException) -> bool:
    """Whether an error, or one it came from, says that a disk or a quota is full."""
    known: set[int] = set()
    todo = [error]
    while todo:
        one = todo.pop()
        if id(one) in known:
            continue
        known.add(id(one))
        if isinstance(one, OSError) and one.errno in FULL_NUMBERS:
            return True
        if any(text in str(one) for text in FULL_TEXTS):
            return True
        todo += [other for other in (one.__cause__, one.__context__) if other is not None]
    return False


def full_disk(*places: str) -> StorageError:
    """The error of a full disk on this machine.

    Args:
        places: Folders, URIs and URLs of databases that are written to, beside temporary files.
    """
    folders = [folder for place in places if (folder := _folder_of(place)) is not None]
    named = dict.fromkeys([*folders, tempfile.gettempdir()])
    room = ", ".join(f"{_free_gib(folder):.2f} GiB in {folder}" for folder in named)
    return StorageError(
        f"a sweep must have room for what it writes, {socket.gethostname()} has left: {room}; free "
        "some and run again: what is recorded stays, and the sweep goes on from there"
    )


@contextmanager
def told_when_full(*places: str) -> Iterator[None]:
    """Any error of a full disk in a block becomes one message.

    Args:
        places: As for `full_disk`.

    Raises:
        StorageError: A disk was full.
    """
    try:
        yield
    except Exception as error:
        if not is_full(error):
            raise
        raise full_disk(*places) from error


def _folder_of(place: str) -> str | None:
    """The folder of this machine that a place is; None where it is on another."""
    if place.startswith(SQLITE):
        return str(Path(place.removeprefix(SQLITE)).parent)
    return None if is_uri(place) else place


def _free_gib(place: str) -> float:
    nearest = next(path for path in (Path(place), *Path(place).parents) if path.exists())
    return shutil.disk_usage(nearest).free / GIB
