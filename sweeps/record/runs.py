"""Runs: what a sweep looks like to a tracking server, as plain values (pure).

Trial records and result rows come in; `Run`s go out: one `sweep`, under it one per trial, per ended
cell, and one `curve` per regime and seed whose step is the domain size. A recorder only has to make
its store equal to these values. Everything that may change between two starts of a sweep is a tag,
because a tracking server's params can not be altered.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import isfinite, log10

from sweeps.answer.colours import COLOURS
from sweeps.answer.results import ResultRow
from sweeps.record.datasets import Dataset
from sweeps.record.notes import NOTE, cell_note, curve_note, trial_note
from sweeps.search.records import Progress, TrialRecord, TrialState
from sweeps.spec.cells import Cell, Stage
from sweeps.spec.values import SweepSpec


class RunStatus(StrEnum):
    """Where a run stands; the words are MLflow's."""

    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"


_STATUS = {
    TrialState.RUNNING: RunStatus.RUNNING,
    TrialState.FINISHED: RunStatus.FINISHED,
    TrialState.PRUNED: RunStatus.FINISHED,  # the pruner's answer is a result, not a fault
    TrialState.FAILED: RunStatus.FAILED,
    TrialState.LOST: RunStatus.KILLED,
}

CURVE_OF_STAGE = {
    Stage.LANGUAGE_MODEL: "validation_loss",
    Stage.CLASSIFIER: "validation_accuracy",
    Stage.FINAL: "test_accuracy",
}
"""Metric name of what a stage's study minimises or maximises."""

_AT_THE_END = {Stage.LANGUAGE_MODEL: "best_", Stage.CLASSIFIER: "end_", Stage.FINAL: ""}
"""Prefix of a final number that is a curve over epochs too: of the epoch that was kept."""

SUPERSEDED = "superseded"
"""In place of a trial's state once another attempt counts: after a loss, or a choice made anew."""

TOTALS = ("spent_accelerator_seconds", "wasted_accelerator_seconds", "spent_money")
"""Names of a run's totals."""

CELL_PARAMS = (
    "regime",
    "size",
    "seed",
    "lm_learning_rate",
    "lm_decay",
    "classifier_learning_rate",
    "decay",
    "inverse_regularization",
)
CELL_METRICS = (
    "test_accuracy",
    "validation_accuracy",
    "test_documents",
    "lm_loss",
    "lm_best_epoch",
    "steps",
    "tokens",
    "seconds",
    "search_seconds",
    "accelerator_seconds",
    "vocabulary",
    "coverage",
    "general_coverage",
    "unseen_documents",
    "trials",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricPoint:
    """One value of a metric; `at` is its time in Unix seconds, None where nobody noted it."""

    name: str
    step: int
    value: float
    at: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One run as it should stand in the store.

    Args:
        key: Unique in the sweep; the store finds the run again by it.
        kind: `sweep`, `cell`, `trial` or `curve`.
        name: Short name for people.
        status: Where it stands.
        params: Settled for good once the run exists.
        points: Metric values, unique by (name, step).
        totals: Numbers that grow while the run goes on, as they stand: a store keeps every one it
            was given, and none of them contradicts another.
        tags: May change.
        datasets: What it has read.
        started_at: Unix seconds.
        ended_at: Unix seconds; None while it runs.
    """

    key: str
    kind: str
    name: str
    status: RunStatus
    params: Mapping[str, str] = field(default_factory=dict)
    points: tuple[MetricPoint, ...] = ()
    totals: tuple[MetricPoint, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    datasets: tuple[Dataset, ...] = ()
    started_at: float = 0.0
    ended_at: float | None = None

    @property
    def digest(self) -> str:
        """Hash (16 hex digits) of what the run says; times and status are not part of it."""
        points = sorted((p.name, p.step, repr(p.value)) for p in (*self.points, *self.totals))
        content = [self.name, sorted(self.params.items()), points, sorted(self.tags.items())]
        content += [[dataset.digest, dataset.context] for dataset in self.datasets]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _text(value: object) -> str:
    return repr(value) if isinstance(value, float) else str(value)


def _texts(values: Mapping[str, object]) -> dict[str, str]:
    return {name: _text(value) for name, value in values.items() if value is not None}


def _epoch_points(record: TrialRecord, stage: Stage) -> Iterator[MetricPoint]:
    for entry in record.progress:
        at = _epoch_time(record, entry)
        # an epoch of `final` has a loss for its value: test documents are scored once, at the end
        curve = {} if stage is Stage.FINAL else {CURVE_OF_STAGE[stage]: entry.value}
        for name, value in {**curve, **entry.metrics}.items():
            yield MetricPoint(name=name, step=entry.epoch, value=float(value), at=at)


def _epoch_time(record: TrialRecord, entry: Progress) -> float | None:
    """Epochs carry no clock: evenly between start and end, unknown while the trial runs."""
    if record.ended_at is None:
        return None
    last = max(seen.epoch for seen in record.progress)
    return record.started_at + (record.ended_at - record.started_at) * entry.epoch / last


def _outcome_name(name: str, stage: Stage) -> str:
    """Name of a final number, apart from the curve over epochs that has the plain name."""
    if name in ("steps", "tokens", "seconds"):
        return f"total_{name}"
    is_curve = name.startswith(("validation_", "train_"))
    return _AT_THE_END[stage] + name if is_curve else name


def _outcome_points(record: TrialRecord, stage: Stage) -> Iterator[MetricPoint]:
    """Final numbers at step 0; one that is a curve over epochs anyway is left to the curve."""
    if record.outcome is None:
        return
    curves = {name for entry in record.progress for name in entry.metrics}
    numbers = {CURVE_OF_STAGE[stage]: record.outcome.value, **record.outcome.metrics}
    for name, value in numbers.items():
        whole = _outcome_name(name, stage)
        if whole not in curves:
            yield MetricPoint(name=whole, step=0, value=float(value), at=record.ended_at)


def _shown(regime: str, note: str) -> dict[str, str]:
    """Tags that MLflow's pages show: the description, and the colour in charts."""
    tags = {NOTE: note}
    if regime in COLOURS:
        tags["mlflow.runColor"] = COLOURS[regime]
    return tags


def _cell_params(cell: Cell) -> dict[str, object]:
    return {"regime": cell.regime, "size": cell.size, "seed": cell.seed}


def trial_run(record: TrialRecord, cell: Cell, *, is_superseded: bool = False) -> Run:
    """The run of one attempt of a trial; whether it still counts is told by the tag `ulm.state`."""
    key, stage = record.key, record.key.study.stage
    name = f"{cell.label} {stage.words} #{key.number}"
    tags = {"ulm.cell": cell.id, "ulm.state": SUPERSEDED if is_superseded else record.state.value}
    tags |= _shown(cell.regime, trial_note(record, cell))
    if record.failure:
        tags["ulm.failure"] = record.failure[:500]
    if record.outcome is not None:
        tags |= {f"ulm.{name}": value for name, value in record.outcome.artifacts.items()}
    return Run(
        key=str(key),
        kind="trial",
        name=name + (f" attempt {key.attempt + 1}" if key.attempt else ""),
        status=_STATUS[record.state],
        params=_texts(
            {**_cell_params(cell), "stage": stage.value, "number": key.number, **record.params}
        ),
        points=tuple(
            point
            for point in (*_epoch_points(record, stage), *_outcome_points(record, stage))
            if isfinite(point.value)  # stores change or refuse the others
        ),
        tags=tags,
        started_at=record.started_at,
        ended_at=record.ended_at,
    )


def cell_run(
    row: ResultRow,
    cell: Cell,
    records: Sequence[TrialRecord],
    datasets: tuple[Dataset, ...] = (),
) -> Run:
    """The run of one finished or failed cell: chosen settings, scores, cost."""
    values = {name: getattr(row, name) for name in CELL_METRICS}
    # a param is text to MLflow's charts: only a metric can be an axis
    values["log10_size"] = None if row.size is None else log10(row.size)
    ends = [record.ended_at for record in records if record.ended_at is not None]
    starts = [record.started_at for record in records]
    ended_at = max(ends, default=0.0)
    return Run(
        key=cell.id,
        kind="cell",
        name=cell.label,
        status=RunStatus.FINISHED if row.is_finished else RunStatus.FAILED,
        params=_texts({name: getattr(row, name) for name in CELL_PARAMS}),
        points=tuple(
            MetricPoint(name=name, step=0, value=float(value), at=ended_at)
            for name, value in values.items()
            if value is not None
        ),
        tags={
            "ulm.cell": cell.id,
            "ulm.state": row.status[:500],
            **_shown(cell.regime, cell_note(row, cell)),
        },
        datasets=datasets,
        started_at=min(starts, default=0.0),
        ended_at=ended_at,
    )


def curve_runs(spec: SweepSpec, rows: Sequence[ResultRow]) -> tuple[Run, ...]:
    """One run per regime and seed: test accuracy with the domain size as its step.

    A regime without a size axis has the same value at each size of the spec, so that it is drawn as
    a level line beside the others.
    """
    groups: dict[tuple[str, int], list[ResultRow]] = {}
    for row in rows:
        if row.is_finished and row.test_accuracy is not None:
            groups.setdefault((row.regime, row.seed), []).append(row)
    runs = []
    for (regime, seed), own in groups.items():
        points = [
            MetricPoint(name="test_accuracy", step=size, value=row.test_accuracy or 0.0)
            for row in own
            for size in (spec.sizes if row.size is None else (row.size,))
        ]
        runs.append(
            Run(
                key=f"curve/{regime}/{seed}",
                kind="curve",
                name=f"{regime} seed {seed}",
                status=RunStatus.FINISHED,
                params={"regime": regime, "seed": str(seed)},
                points=tuple(sorted(points, key=lambda point: point.step)),
                tags=_shown(regime, curve_note(regime, seed)),
            )
        )
    return tuple(runs)
