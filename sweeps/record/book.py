"""The book of a sweep: remembers trial records and rows, and says which runs they make (no I/O).

Recorders share it, so that the in-memory one and MLflow show the same runs. Calls return only the
runs that changed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from sweeps.answer.results import ResultRow, group_by_cell
from sweeps.clock import steady_time
from sweeps.record.datasets import Dataset, part_of
from sweeps.record.notes import NOTE, sweep_note
from sweeps.record.runs import MetricPoint, Run, RunStatus, cell_run, curve_runs, trial_run
from sweeps.search.records import TrialKey, TrialRecord
from sweeps.search.spending import Spent
from sweeps.spec.cells import Cell
from sweeps.spec.meaning import KIND_OF_KEY, KeyKind, digest, flatten, to_json
from sweeps.spec.values import SweepSpec

_SECRET_KEYS = ("tracking.uri", "ledger.url")  # may carry a password: never recorded


def sweep_key(spec: SweepSpec) -> str:
    """Key of the sweep's own run; a sweep of another meaning has another."""
    return f"sweep/{digest(spec)[:8]}"


def spec_texts(spec: SweepSpec, kinds: Iterable[KeyKind]) -> dict[str, str]:
    """Dotted key → value of the spec as text, without keys that may hold secrets."""
    wanted = set(kinds)
    return {
        key: str(to_json(value))[:500]
        for key, value in flatten(spec)
        if KIND_OF_KEY[key] in wanted and key not in _SECRET_KEYS and value is not None
    }


def _has_ended(row: ResultRow) -> bool:
    return row.is_finished or row.is_failed


class RunBook:
    """What the runs of a sweep should be, from what it was told so far.

    Args:
        spec: The sweep's spec.
        cells: All its cells; records of other cells are ignored.
        environment: Tags of the sweep's run, e.g. git commit and versions.
        datasets: The sweep's corpora, the domain's first.
        clock: Unix seconds.
    """

    def __init__(
        self,
        *,
        spec: SweepSpec,
        cells: Sequence[Cell],
        environment: Mapping[str, str] | None = None,
        datasets: Sequence[Dataset] = (),
        clock: Callable[[], float] = steady_time,
    ) -> None:
        self._spec = spec
        self._cells = {cell.id: cell for cell in cells}
        self._environment = dict(environment or {})
        self._datasets = tuple(datasets)
        self._clock = clock
        self._started_at = clock()
        self._records: dict[TrialKey, TrialRecord] = {}
        self._superseded: frozenset[TrialKey] = frozenset()
        self._rows: tuple[ResultRow, ...] = ()
        self._totals: tuple[MetricPoint, ...] = ()
        waits = f"Sweep `{spec.name}`: the report appears here when the sweep ends."
        self._answer: Sequence[str] = (waits,)

    def sweep_run(self, status: RunStatus = RunStatus.RUNNING) -> Run:
        """The sweep's own run; settled keys of the spec are params, the others tags."""
        finished = sum(row.is_finished and not row.is_extended for row in self._rows)
        open_keys = spec_texts(self._spec, (KeyKind.EXTENDS, KeyKind.FREE))
        return Run(
            key=sweep_key(self._spec),
            kind="sweep",
            name=self._spec.name,
            status=status,
            params=spec_texts(self._spec, (KeyKind.MEANING,)),
            totals=self._totals,
            tags={
                **{f"spec.{key}": text for key, text in open_keys.items()},
                **{f"env.{key}": text[:500] for key, text in self._environment.items()},
                "ulm.cells": f"{finished} of {len(self._rows)} finished" if self._rows else "",
                NOTE: sweep_note(self._answer),
            },
            datasets=self._datasets,
            started_at=self._begin,
            ended_at=None if status is RunStatus.RUNNING else self._clock(),
        )

    @property
    def _begin(self) -> float:
        """Unix seconds of the first trial, else of this book."""
        started = [record.started_at for record in self._records.values() if record.started_at]
        return min([*started, self._started_at])

    def spend(self, spent: Spent) -> Run:
        """Remember what was spent, return the sweep's run; steps are seconds since it began."""
        now = self._clock()
        numbers = {
            "spent_accelerator_seconds": spent.accelerator_seconds,
            "wasted_accelerator_seconds": spent.wasted_seconds,
            "spent_money": spent.money(self._spec.budget.price_per_accelerator_hour),
        }
        self._totals = tuple(
            MetricPoint(name=name, step=int(now - self._begin), value=value, at=now)
            for name, value in numbers.items()
            if value is not None
        )
        return self.sweep_run()

    def trial_runs(self, records: Iterable[TrialRecord]) -> tuple[Run, ...]:
        """Remember records, return their runs."""
        known = [record for record in records if record.key.study.cell_id in self._cells]
        self._records.update((record.key, record) for record in known)
        return tuple(self._trial_run(record) for record in known)

    def _trial_run(self, record: TrialRecord) -> Run:
        cell = self._cells[record.key.study.cell_id]
        return trial_run(record, cell, is_superseded=record.key in self._superseded)

    def reconcile(
        self, records: Iterable[TrialRecord], superseded: Iterable[TrialRecord] = ()
    ) -> tuple[Run, ...]:
        """The sweep's run and those of all attempts of the ledger, which replace what was known."""
        old = tuple(superseded)
        self._records.clear()
        self._superseded = frozenset(record.key for record in old)
        trials = self.trial_runs((*records, *old))
        return (self.sweep_run(), *trials)

    def publish(self, rows: Sequence[ResultRow], answer: Sequence[str] = ()) -> tuple[Run, ...]:
        """Runs of ended cells, of curves, and the sweep's with the report's answer as its note."""
        self._rows = tuple(rows)
        self._answer = answer or self._answer
        records = group_by_cell(self._records.values())
        cells = [
            self._cell_run(row, records.get(row.cell, []))
            for row in rows
            if row.cell in self._cells and _has_ended(row)
        ]
        return (*cells, *curve_runs(self._spec, rows), self.sweep_run())

    def _cell_run(self, row: ResultRow, records: Sequence[TrialRecord]) -> Run:
        cell = self._cells[row.cell]
        read = tuple(part_of(dataset, cell) for dataset in self._datasets[:1])
        return cell_run(row, cell, records, read)

    def close(self) -> tuple[Run, ...]:
        """What still runs, as killed, and the sweep's run: finished once every cell has ended."""
        now = self._clock()
        left = [
            replace(run, status=RunStatus.KILLED, ended_at=now)
            for run in self.trial_runs(list(self._records.values()))
            if run.status is RunStatus.RUNNING
        ]
        has_rest = any(row.is_extended or not _has_ended(row) for row in self._rows)
        ended = bool(self._rows) and not has_rest
        return (*left, self.sweep_run(RunStatus.FINISHED if ended else RunStatus.KILLED))
