"""Driver: one driver per sweep.

`driver_lock` holds a sweep's lock for a `with` block; a second driver is refused with the process
and machine of the first. The system frees the lock of a killed driver by itself.
"""

import json
import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from sweeps.errors import StorageError
from sweeps.paths import SweepPaths
from sweeps.storage import read_object

OTHER = "another one"
CLOCK_SECONDS = 2.0  # that file times and process times may differ by


@contextmanager
def driver_lock(paths: SweepPaths) -> Iterator[None]:
    """Hold the lock of a sweep; where nothing came of a new one, its folder goes again.

    Raises:
        StorageError: Another driver holds it, or the folder can not be written.
    """
    is_new = not paths.folder.exists()
    lock = FileLock(paths.driver_lock)
    owner = paths.driver_json
    try:
        paths.folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise busy(named(read_object(owner)), str(paths.folder)) from None
    except OSError as error:
        raise StorageError(
            f"storage must be writable, found {paths.folder} ({error}): name another with --storage"
        ) from error
    try:
        owner.write_text(
            json.dumps({"process": os.getpid(), "host": socket.gethostname()}), encoding="utf-8"
        )
        yield
    finally:
        owner.unlink(missing_ok=True)
        if is_new and not paths.spec_json.is_file():
            shutil.rmtree(paths.folder)
        lock.release()


def busy(owner: str, place: str) -> StorageError:
    """The error of a second driver.

    Args:
        owner: The first, for people.
        place: Folder or ledger that it holds.
    """
    return StorageError(
        f"a sweep has one driver at a time, found {owner} at work on {place}: "
        "wait for it, stop it, or give the sweep another name"
    )


def this_driver() -> str:
    """This process, for people."""
    return _driver(os.getpid(), socket.gethostname())


def has_driver(paths: SweepPaths) -> bool:
    """Whether a driver is at work on a sweep; one on another machine is believed to be.

    The lock itself is not touched: a driver that starts at this moment would be refused.
    """
    if paths.is_remote:
        return True
    told = read_object(paths.driver_json)
    if not {"host", "process"} <= told.keys():
        return False
    return told["host"] != socket.gethostname() or _wrote(told["process"], paths.driver_json)


def _wrote(process: int, file: Path) -> bool:
    """Whether a process lives that is no other one of the same number, begun after the file was."""
    try:
        return bool(psutil.Process(process).create_time() <= file.stat().st_mtime + CLOCK_SECONDS)
    except (psutil.Error, OSError):
        return False


def named(told: Mapping[str, Any]) -> str:
    """For people, the driver that a `driver.json` tells of."""
    return _driver(told["process"], told["host"]) if {"host", "process"} <= told.keys() else OTHER


def _driver(process: int, host: str) -> str:
    return f"process {process} on {host}"


class Standing:
    """Whether this is still the one driver of its sweep: threads tell, the run asks."""

    def __init__(self) -> None:
        self._error: StorageError | None = None

    def lose(self, error: StorageError) -> None:
        """Another driver has taken the place of this one."""
        self._error = error

    @property
    def is_lost(self) -> bool:
        """Whether another driver has taken the place of this one."""
        return self._error is not None

    def check(self) -> None:
        """Go on where nobody has.

        Raises:
            StorageError: Another driver is at work.
        """
        if self._error is not None:
            raise self._error
