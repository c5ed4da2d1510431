"""A recorder that never waits: the book's runs go through a queue into a store.

Calls of the control thread come in and return at once; the background thread brings the store's
runs up to the book's. A store may fail at any call: the call is repeated, and neither loses nor
doubles a run.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from sweeps.answer.results import ResultRow
from sweeps.record.background import Background
from sweeps.record.book import RunBook
from sweeps.record.models import FittedModel
from sweeps.record.runs import Run
from sweeps.search.records import TrialKey, TrialRecord, TrialState
from sweeps.search.spending import Spent

_log = logging.getLogger(__name__)

PACE_SECONDS = 1.0  # between two epochs of a trial, which may take far less than a write
QUIET_SECONDS = 5.0  # a record that takes longer at the end of a run is told


class RunStore(Protocol):
    """Runs on a server.

    Every method may raise, and may be called again after it did: what the server holds is then
    looked up anew.
    """

    def apply(self, run: Run, parent: Run | None) -> None:
        """Make the store's run of this key equal to `run`, below `parent`."""

    def close_strays(self, keys: frozenset[str]) -> None:
        """Close runs that are running under other keys than these."""

    def attach(self, run: Run, file: Path) -> None:
        """Copy a file to a run."""

    def keep_model(self, run: Run, model: FittedModel) -> None:
        """Keep a model as the one of its regime, with the run of its cell."""

    def close(self) -> None:
        """Let go of the server; nothing is called afterwards."""


class QueuedRecorder:
    """A `Recorder` over a store.

    Args:
        name: Name of the server in log lines.
        book: Says what the runs should be.
        store: Where they go.
        grace_seconds: Before the first run is brought there, unless it is `close` that asks for it.
        close_seconds: `close` gives up when the store has failed for so long.
        close_limit_seconds: It does in any case when all took so long.
        pauses: Seconds between attempts while the store fails.
    """

    def __init__(
        self,
        *,
        name: str,
        book: RunBook,
        store: RunStore,
        grace_seconds: float = 0.0,
        close_seconds: float = 30.0,
        close_limit_seconds: float = 600.0,
        pauses: tuple[float, ...] = (0.5, 1, 2, 5, 10, 30),
    ) -> None:
        self._name = name
        self._book = book
        self._store = store
        self._close_seconds = close_seconds
        self._close_limit_seconds = close_limit_seconds
        self._next_at: dict[TrialKey, float] = {}  # Unix seconds at which an epoch is told again
        self._background = Background(name, pauses=pauses, grace_seconds=grace_seconds)
        self._keys = set[str]()  # of every run that was put
        self._sweep = book.sweep_run()
        self._put([self._sweep])  # a store sets itself up while the sweep still prepares

    def changed(self, record: TrialRecord) -> None:
        """See `Recorder`; an epoch within a second of one that was told is told with the next."""
        self._guard(lambda: self._change(record))

    def spent(self, spent: Spent) -> None:
        """See `Recorder`."""
        self._guard(lambda: self._put([self._book.spend(spent)]))

    def reconcile(
        self, records: Iterable[TrialRecord], superseded: Iterable[TrialRecord] = ()
    ) -> None:
        """See `Recorder`."""
        self._guard(lambda: self._reconcile(records, superseded))

    def publish(
        self,
        rows: Sequence[ResultRow],
        files: Sequence[Path],
        models: Sequence[FittedModel] = (),
        answer: Sequence[str] = (),
    ) -> None:
        """See `Recorder`."""
        self._guard(lambda: self._publish(rows, files, models, answer))

    def close(self) -> bool:
        """See `Recorder`."""
        self._guard(lambda: self._put(self._book.close()))
        if not self._background.flush(min(QUIET_SECONDS, self._close_seconds)):
            _log.warning(
                "%s: not all is recorded yet; that is waited for, %.0f minutes at most",
                self._name,
                self._close_limit_seconds / 60,
            )
        left = self._background.close(self._close_seconds, self._close_limit_seconds)
        self._store.close()
        if left:
            _log.warning(
                "%s: %d runs could not be recorded; the ledger has them: run the sweep again when "
                "the server is back and they are recorded without training anything",
                self._name,
                left,
            )
        return not left

    def flush(self, timeout_seconds: float) -> bool:
        """Wait until the store has everything; whether it has."""
        return self._background.flush(timeout_seconds)

    def _guard(self, call: Callable[[], None]) -> None:
        """A fault in recording is a log line: it must not end a sweep."""
        try:
            call()
        except Exception:
            _log.exception("%s: an event could not be recorded", self._name)

    def _change(self, record: TrialRecord) -> None:
        told_at = record.told_at or 0.0
        if record.state is not TrialState.RUNNING:
            self._next_at.pop(record.key, None)
        elif record.progress:
            if told_at < self._next_at.get(record.key, 0.0):
                return
            self._next_at[record.key] = told_at + PACE_SECONDS
        self._put(self._book.trial_runs([record]))

    def _put(self, runs: Iterable[Run]) -> None:
        for run in runs:
            if run.kind == "sweep":
                self._sweep = run
            parent = None if run.kind == "sweep" else self._sweep
            self._keys.add(run.key)
            self._background.put(run.key, partial(self._store.apply, run, parent))

    def _reconcile(self, records: Iterable[TrialRecord], superseded: Iterable[TrialRecord]) -> None:
        self._put(self._book.reconcile(records, superseded))
        # repeated after an outage it must not close what began meanwhile
        self._background.put("strays", lambda: self._store.close_strays(frozenset(self._keys)))

    def _publish(
        self,
        rows: Sequence[ResultRow],
        files: Sequence[Path],
        models: Sequence[FittedModel],
        answer: Sequence[str],
    ) -> None:
        runs = self._book.publish(rows, answer)
        self._put(runs)
        for file in files:
            call = partial(self._store.attach, self._sweep, file)
            self._background.put(f"file/{file.name}", call)
        cells = {run.key: run for run in runs if run.kind == "cell"}
        for model in models:
            call = partial(self._store.keep_model, cells[model.cell], model)
            self._background.put(f"model/{model.regime}", call)
