"""Run log: what a run told, as lines of a file beside its ledger.

A listener passes on what it hears and writes it down, trials and messages with their time, and at
the end why the run ended: a terminal may be gone by then, and its machine. Nothing is written where
the sweep has no folder yet, and a disk that is full ends no run by this, nor does a terminal or a
pipe that is gone. Of a sweep in a bucket a
copy goes there with the ledger's (`sweeps.run.backup`), and once more when the run has ended, also
one that was refused, for its machine may be gone soon.
"""

import threading
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from pyarrow import ArrowException

from sweeps.errors import SweepError
from sweeps.live import words
from sweeps.passwords import redact_uri
from sweeps.paths import SweepPaths
from sweeps.search.listener import RunListener
from sweeps.search.records import TrialRecord
from sweeps.search.spending import Spent
from sweeps.spec.cells import make_cells
from sweeps.spec.values import SweepSpec
from sweeps.storage import put_bytes
from ulm.errors import UlmError

SHOWN = "backslashreplace"  # names of files may hold bytes that are no UTF-8


class RunLog(RunListener):
    """A `RunListener` that writes for the length of a `with` block.

    Args:
        paths: Of the sweep.
        spec: The sweep.
        listener: Hears everything too.
        is_alone: Whether this is still the one driver; a bucket's copy of another's is left.
        clock: Unix seconds.
    """

    def __init__(
        self,
        paths: SweepPaths,
        spec: SweepSpec,
        listener: RunListener,
        is_alone: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._paths = paths
        self._labels = {cell.id: cell.label for cell in make_cells(spec)}
        self._listener = listener
        self._is_alone = is_alone
        self._clock = clock
        self._is_deaf = False
        self._unwritten = ""
        self.has_copy = False
        """Whether a bucket's copy was taken back where it holds more: else it is left as it is."""
        self._lock = threading.Lock()  # messages come from other threads too

    def __enter__(self) -> Self:
        self._write("run begins")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._write("run ends" if error is None else f"run ends: {_reason(error)}")
        if self._paths.is_remote and self.has_copy and self._is_alone():
            with suppress(OSError, ArrowException):
                file = self._paths.run_log
                told = file.read_bytes() if file.is_file() else b""
                put_bytes(told + self._unwritten.encode(errors=SHOWN), self._paths.shared(file))

    def preparing(self, what: str, done: int, total: int) -> None:
        """Write that a preparation is done."""
        if done >= total:
            self._write(f"prepared {what}: {total:,}")
        self._pass_on(self._listener.preparing, what, done, total)

    def recorded(self, records: Iterable[TrialRecord]) -> None:
        """Pass it on."""
        self._pass_on(self._listener.recorded, records)

    def trial_started(self, record: TrialRecord) -> None:
        """Write which trial is handed out."""
        self._tell(record, f"started, {words.settings(record)}".removesuffix(", "))
        self._pass_on(self._listener.trial_started, record)

    def trial_progress(self, record: TrialRecord) -> None:
        """Pass it on: epochs are in the ledger."""
        self._pass_on(self._listener.trial_progress, record)

    def trial_ended(self, record: TrialRecord) -> None:
        """Write how a trial ended."""
        self._tell(record, words.ending(record))
        self._pass_on(self._listener.trial_ended, record)

    def spent(self, spent: Spent) -> None:
        """Pass it on."""
        self._pass_on(self._listener.spent, spent)

    def message(self, text: str) -> None:
        """Write it."""
        self._write(text)
        self._pass_on(self._listener.message, text)

    def finished(self) -> None:
        """Pass it on."""
        self._pass_on(self._listener.finished)

    def _pass_on(self, tell: Callable[..., None], *heard: Any) -> None:
        """To the listener, until it fails: a pipe that nobody reads any more ends no run."""
        if self._is_deaf:
            return
        try:
            tell(*heard)
        except (OSError, ValueError) as error:
            self._is_deaf = True
            self._write(f"progress is no longer shown: {error}")

    def _tell(self, record: TrialRecord, what: str) -> None:
        cell_id = record.key.study.cell_id
        self._write(f"{self._labels.get(cell_id, cell_id)}, {words.attempt(record)}: {what}")

    def _write(self, text: str) -> None:
        now = datetime.fromtimestamp(self._clock()).astimezone()
        with self._lock, suppress(OSError):
            self._unwritten += f"{now:%Y-%m-%d %H:%M:%S%z} {redact_uri(text)}\n"
            if self._paths.folder.is_dir():
                with self._paths.run_log.open("a", encoding="utf-8", errors=SHOWN) as file:
                    file.write(self._unwritten)
                self._unwritten = ""


def _reason(error: BaseException) -> str:
    """A user's mistake or an outage in its words, anything else with where it came from."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, SweepError | UlmError):
        return str(error)
    return "".join(traceback.format_exception(error)).rstrip()
