"""Backup: the ledger and the small files of a sweep, copied to its bucket while it runs.

Files that changed go out every few seconds on a thread of their own, and once more at the end with
the report: a lost head costs seconds. The ledger is copied through SQLite's backup, so that a copy
is whole while trials are being recorded. Nothing here raises into training: a failure is told, and
not again before a copy succeeded. Where another machine has copied its ledger meanwhile, nothing of
this one is copied over it, nor over the small files beside it.
"""

import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Self, TypeAlias

from sweeps.errors import StorageError
from sweeps.paths import SweepPaths
from sweeps.storage import info_of, put_file

INTERVAL_SECONDS = 5.0
SHARE_OF_TIME = 0.1  # copying takes at most this share, however large a ledger grows
PATIENCE_SECONDS = 120.0

Stamp: TypeAlias = tuple[tuple[int, int], ...]


class Backup:
    """Copies a sweep's files for the length of a `with` block.

    Args:
        paths: Of the sweep; nothing happens where its storage is a folder.
        tell: Hears of a failure, from another thread too.
        is_alone: Whether this is still the one driver; what another left is not copied over.
        interval_seconds: Pause between two looks for what changed.
    """

    def __init__(
        self,
        paths: SweepPaths,
        tell: Callable[[str], None],
        is_alone: Callable[[], bool] = lambda: True,
        *,
        interval_seconds: float = INTERVAL_SECONDS,
    ) -> None:
        self._paths = paths
        self._tell = tell
        self._is_alone = is_alone
        self._interval_seconds = interval_seconds
        self._copied: dict[Path, Stamp] = {}
        self._theirs: Stamp | None = None
        self._has_failed = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="backup", daemon=True)

    def __enter__(self) -> Self:
        if self._paths.is_remote:
            self._attempt(self._look)
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        if not self._paths.is_remote:
            return
        self._stop.set()
        self._thread.join(PATIENCE_SECONDS)
        if not self._thread.is_alive():
            self._attempt(lambda: self._copy((*self._running_files(), *self._last_files())))

    def _work(self) -> None:
        pause_seconds = self._interval_seconds
        while not self._stop.wait(pause_seconds):
            begin = time.monotonic()
            self._attempt(lambda: self._copy(self._running_files()))
            took_seconds = time.monotonic() - begin
            pause_seconds = max(self._interval_seconds, took_seconds / SHARE_OF_TIME)

    def _attempt(self, operation: Callable[[], None]) -> None:
        try:
            operation()
            self._has_failed = False
        except Exception as error:  # whatever the storage or its client comes up with
            if not self._has_failed:
                self._tell(
                    f"the ledger is not copied to {self._paths.shared(self._paths.folder)} for now "
                    f"({error}); training goes on"
                )
            self._has_failed = True

    def _look(self) -> None:
        self._theirs = self._on_storage()

    def _on_storage(self) -> Stamp:
        info = info_of(self._paths.shared(self._paths.ledger_db))
        return () if info is None else ((info.mtime_ns or 0, info.size or 0),)

    def _running_files(self) -> tuple[Path, ...]:
        paths = self._paths
        return paths.spec_json, paths.summary_json, paths.run_log, paths.ledger_db

    def _last_files(self) -> Iterator[Path]:
        if self._paths.report.is_dir():
            yield from sorted(file for file in self._paths.report.iterdir() if file.is_file())
        yield self._paths.report_stamp

    def _copy(self, files: tuple[Path, ...]) -> None:
        stamps = {file: _stamp(file) for file in files}
        changed = [
            file for file in files if stamps[file] and self._copied.get(file) != stamps[file]
        ]
        if not changed or not self._is_alone():
            return
        self._require_ours()
        for file in changed:
            if file == self._paths.ledger_db:
                self._copy_ledger()
            else:
                put_file(file, self._paths.shared(file))
            self._copied[file] = stamps[file]

    def _require_ours(self) -> None:
        """Look whether nobody else has copied a ledger since this run last looked.

        Raises:
            StorageError: Another machine has.
        """
        if self._theirs is None:
            self._look()
        if self._on_storage() != self._theirs:
            raise StorageError(
                f"another machine has written {self._paths.shared(self._paths.ledger_db)} "
                "meanwhile: stop one of the two; what this one records stays on its own disk"
            )

    def _copy_ledger(self) -> None:
        ledger = self._paths.ledger_db
        with tempfile.TemporaryDirectory(prefix="ledger-") as folder:
            copy = Path(folder) / ledger.name
            with closing(sqlite3.connect(ledger)) as source, closing(sqlite3.connect(copy)) as to:
                source.backup(to)
            self._theirs = None  # not known until it was looked at again
            put_file(copy, self._paths.shared(ledger))
        self._look()


def _stamp(file: Path) -> Stamp:
    """Time and size of a file and of a database's log beside it; nothing where there is none."""
    found = (Path(f"{file}{suffix}") for suffix in ("", "-wal"))
    return tuple((f.stat().st_mtime_ns, f.stat().st_size) for f in found if f.is_file())
