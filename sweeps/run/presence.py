"""Presence: one driver per sweep where its storage is a bucket, which knows no locks.

A file beside the copy of the ledger names the driver at work and is written anew every few seconds
with a higher count. An orderly end removes it. Who finds one waits for two of these pauses and
reads it again: where it changed, its driver lives. No clocks are compared. A driver that was taken
for dead, its machine being asleep, finds the name of another there, and its run ends.
"""

import json
import os
import socket
import threading
import uuid
from collections.abc import Callable
from typing import Self

from pyarrow import ArrowException

from sweeps.errors import StorageError
from sweeps.paths import SweepPaths
from sweeps.run.driver import Standing, busy, named
from sweeps.storage import (
    load_object,
    put_bytes,
    read_bytes,
    remove_file,
    told_when_unreadable,
)

INTERVAL_SECONDS = 5.0
PATIENCE_SECONDS = 60.0


class Presence:
    """Says in a sweep's bucket that this driver is at work, for the length of a `with` block.

    Args:
        paths: Of the sweep; nothing happens where its storage is a folder, which has a lock.
        tell: Hears that a driver which did not end in order is waited for.
        standing: Hears, from another thread too, that another driver has come.
        interval_seconds: Pause between two signs of life.
    """

    def __init__(
        self,
        paths: SweepPaths,
        tell: Callable[[str], None],
        standing: Standing,
        *,
        interval_seconds: float = INTERVAL_SECONDS,
    ) -> None:
        self._is_remote = paths.is_remote
        self._folder = paths.shared(paths.folder)
        self._place = paths.shared(paths.driver_json)
        self._tell = tell
        self._standing = standing
        self._interval_seconds = interval_seconds
        self._id = uuid.uuid4().hex
        self._count = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="presence", daemon=True)

    def __enter__(self) -> Self:
        """Begin, where no other driver lives.

        Raises:
            StorageError: One does, or the storage can not be read or written.
        """
        if self._is_remote:
            with told_when_unreadable(self._place):
                self._await_turn()
                self._write()
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        if not self._is_remote:
            return
        self._stop.set()
        self._thread.join(PATIENCE_SECONDS)
        try:
            if self._is_ours(self._read()):
                remove_file(self._place)
        except (OSError, ArrowException):
            pass  # the next driver waits a little

    def look(self) -> bool:
        """Look whether this is still the one driver.

        Raises:
            OSError: The storage does not answer.
        """
        found = self._read() if self._is_remote else None
        if found is not None and not self._is_ours(found):
            self._standing.lose(self._busy(found))
        return not self._standing.is_lost

    def _await_turn(self) -> None:
        found = self._read()
        if found is None:
            return
        seconds = 2 * self._interval_seconds
        self._tell(
            f"{named(load_object(found))} was at work on {self._folder}: "
            f"waiting {seconds:.0f} seconds to see whether it still is"
        )
        self._stop.wait(seconds)
        again = self._read()
        if again is not None and again != found:
            raise self._busy(again)

    def _work(self) -> None:
        while not self._stop.wait(self._interval_seconds):
            try:
                if not self.look():
                    return
                self._write()
            except Exception:  # whatever the storage comes up with: the backup tells of it
                continue

    def _read(self) -> bytes | None:
        try:
            return read_bytes(self._place)
        except FileNotFoundError:  # a look beforehand would leave it time to go
            return None

    def _write(self) -> None:
        self._count += 1
        told = {
            "process": os.getpid(),
            "host": socket.gethostname(),
            "id": self._id,
            "count": self._count,
        }
        put_bytes(json.dumps(told).encode(), self._place)

    def _is_ours(self, found: bytes | None) -> bool:
        return found is not None and load_object(found).get("id") == self._id

    def _busy(self, found: bytes) -> StorageError:
        return busy(named(load_object(found)), self._folder)
