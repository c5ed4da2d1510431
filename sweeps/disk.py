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
from sweeps.paths import SweepPaths, is_uri

GIB = 2**30
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


def full_disk(place: str) -> StorageError:
    """The error of a full disk on this machine.

    Args:
        place: Folder or URI that was written to; temporary files are another candidate.
    """
    places = [tempfile.gettempdir()] if is_uri(place) else [place, tempfile.gettempdir()]
    room = ", ".join(f"{_free_gib(each):.2f} GiB in {each}" for each in dict.fromkeys(places))
    return StorageError(
        f"a sweep must have room for what it writes, {socket.gethostname()} has left: {room}; free "
        "some and run again: what is recorded stays, and the sweep goes on from there"
    )


@contextmanager
def told_when_full(paths: SweepPaths) -> Iterator[None]:
    """Any error of a full disk in a block becomes one message.

    Raises:
        StorageError: A disk was full.
    """
    try:
        yield
    except Exception as error:
        if not is_full(error):
            raise
        raise full_disk(str(paths.root)) from error


def _free_gib(place: str) -> float:
    nearest = next(path for path in (Path(place), *Path(place).parents) if path.exists())
    return shutil.disk_usage(nearest).free / GIB
