"""Recorder: where a sweep's events are shown to the world; the ledger stays the truth.

The control thread hands over trial records as they change, and at the end rows and report; a
recorder mirrors them as runs (`sweeps.record.runs`). It never raises into training and may fall
behind: `reconcile` with the ledger's records makes up for whatever was missed, without duplicates.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from sweeps.answer.results import ResultRow
from sweeps.record.book import RunBook
from sweeps.record.models import FittedModel
from sweeps.record.runs import Run
from sweeps.search.records import TrialRecord
from sweeps.search.spending import Spent
from sweeps.spec.cells import Cell
from sweeps.spec.values import SweepSpec


class Recorder(Protocol):
    """Mirrors a sweep. No method raises; none but `close` waits for a network.

    Every call is idempotent by the trial's key: the same record twice leaves one run.
    """

    def changed(self, record: TrialRecord) -> None:
        """A trial was asked, finished an epoch, or ended."""

    def spent(self, spent: Spent) -> None:
        """What the sweep's trials have held until now; kept with the sweep's run."""

    def reconcile(
        self, records: Iterable[TrialRecord], superseded: Iterable[TrialRecord] = ()
    ) -> None:
        """Make the runs equal to the ledger's records; close runs a killed driver left running.

        Args:
            records: The latest attempt of every trial.
            superseded: Attempts that no longer count; their runs stay and say so.
        """

    def publish(
        self,
        rows: Sequence[ResultRow],
        files: Sequence[Path],
        models: Sequence[FittedModel] = (),
        answer: Sequence[str] = (),
    ) -> None:
        """Record finished cells, curves, the report and one model of each regime.

        Args:
            rows: One per cell.
            files: Spec and report.
            models: One of each regime.
            answer: What the report says first.
        """

    def close(self) -> bool:
        """Close what still runs and wait, within limits, until everything is recorded.

        Returns:
            Whether it is.
        """
        ...


class ListRecorder:
    """Keeps the runs in memory: for tests and benchmarks, every sweep has a tracking store.

    Args:
        spec: The sweep's spec.
        cells: All its cells.
    """

    def __init__(self, *, spec: SweepSpec, cells: Sequence[Cell]) -> None:
        self._book = RunBook(spec=spec, cells=cells)
        self.runs: dict[str, Run] = {}
        self.files: tuple[Path, ...] = ()
        self.models: tuple[FittedModel, ...] = ()
        self._keep((self._book.sweep_run(),))

    def _keep(self, runs: Iterable[Run]) -> None:
        self.runs.update((run.key, run) for run in runs)

    def changed(self, record: TrialRecord) -> None:
        """See `Recorder`."""
        self._keep(self._book.trial_runs([record]))

    def spent(self, spent: Spent) -> None:
        """See `Recorder`."""
        self._keep((self._book.spend(spent),))

    def reconcile(
        self, records: Iterable[TrialRecord], superseded: Iterable[TrialRecord] = ()
    ) -> None:
        """See `Recorder`."""
        self._keep(self._book.reconcile(records, superseded))

    def publish(
        self,
        rows: Sequence[ResultRow],
        files: Sequence[Path],
        models: Sequence[FittedModel] = (),
        answer: Sequence[str] = (),
    ) -> None:
        """See `Recorder`."""
        self.files, self.models = tuple(files), tuple(models)
        self._keep(self._book.publish(rows, answer))

    def close(self) -> bool:
        """See `Recorder`."""
        self._keep(self._book.close())
        return True
