"""Results: one row per cell of the grid, the table everything downstream reads (pure).

A ledger comes in; `ResultRow`s and a CSV go out. A row exists for every cell, finished or not, so
that nothing disappears silently from a figure. A cell that is asked for more trials keeps the score
it has, and says so, until it has another. Floats are written with `repr`: a table read back, or
made again by a resumed sweep, is equal to the last digit but for its seconds.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import TypeAlias

from sweeps.search.decisions import Basis, CellState, CellStatus
from sweeps.search.ledger import Ledger
from sweeps.search.records import StudyKey, TrialRecord, TrialState
from sweeps.spec.cells import Cell, Stage

FINISHED = "finished"
UNSTARTED = "unstarted"
INCOMPLETE = "incomplete"
EXTENDED = "extended"
FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class ResultRow:
    """What is known of one cell. None where it does not apply or is not known yet.

    Args:
        regime: A `Regime` value.
        size: Domain documents; None where the regime has no size axis.
        seed: Seed of subset, labels and weights; rows of one seed are paired.
        validation_accuracy: Of the chosen classifier, on the held-out share of the label budget.
        test_accuracy: Of `final` on the untouched test documents, in [0, 1].
        test_documents: How many test documents were scored.
        lm_loss: Validation loss of the chosen language model, nats per token.
        lm_learning_rate: Peak learning rate of the chosen language model.
        lm_decay: Its divisor from one layer group to the one below.
        lm_best_epoch: Its epoch with the lowest validation loss, whose weights were kept.
        classifier_learning_rate: Peak learning rate of the chosen classifier.
        decay: Its divisor from one layer group to the one below.
        inverse_regularization: The chosen C of `bow`.
        lm_steps: Optimiser steps of the chosen language model.
        classifier_steps: Optimiser steps of the chosen classifier.
        final_steps: Optimiser steps of `final`.
        steps: Sum of the three: the path that leads to the score, without the rest of the search.
        tokens: Tokens trained on along the same path.
        seconds: Training seconds along the same path.
        search_seconds: Seconds of all trials of the cell, pruned, failed and lost ones included.
        accelerator_seconds: Seconds × accelerators of all attempts while a worker had them.
        vocabulary: Words of the cell's vocabulary.
        coverage: Share of test tokens that are in it.
        general_coverage: Share of the cell's own tokens that are in the general model's.
        unseen_documents: Test documents in which `bow` knows no word.
        trials: Ended trials of the cell that count.
        status: `finished`, `running`, `unstarted`, `incomplete` (some trials are recorded, none
            runs), `extended: ...` (more trials are asked for than its score rests on) or `failed:
            reason`. A reason also follows `unstarted`, `incomplete` and `extended` where the
            budget of accelerator hours is spent; that of wall hours is one run's: its summary.
        cell: The cell's id; predictions and MLflow runs carry it.
    """

    regime: str
    size: int | None
    seed: int
    validation_accuracy: float | None = None
    test_accuracy: float | None = None
    test_documents: int | None = None
    lm_loss: float | None = None
    lm_learning_rate: float | None = None
    lm_decay: float | None = None
    lm_best_epoch: int | None = None
    classifier_learning_rate: float | None = None
    decay: float | None = None
    inverse_regularization: float | None = None
    lm_steps: int | None = None
    classifier_steps: int | None = None
    final_steps: int | None = None
    steps: int | None = None
    tokens: int | None = None
    seconds: float | None = None
    search_seconds: float | None = None
    accelerator_seconds: float | None = None
    vocabulary: int | None = None
    coverage: float | None = None
    general_coverage: float | None = None
    unseen_documents: int | None = None
    trials: int = 0
    status: str = UNSTARTED
    cell: str = ""

    @property
    def is_finished(self) -> bool:
        """Whether the cell has its test score, if that of a shorter search."""
        return self.status == FINISHED or self.is_extended

    @property
    def is_extended(self) -> bool:
        """Whether its score is of the search before more trials of it were asked for."""
        return self.status.startswith(EXTENDED)

    @property
    def is_failed(self) -> bool:
        """Whether the cell can not be finished."""
        return self.status.startswith(FAILED)

    @property
    def failure(self) -> str:
        """Why it failed; empty where it did not."""
        return self.status.removeprefix(f"{FAILED}: ") if self.is_failed else ""


COLUMNS = tuple(field.name for field in fields(ResultRow))


def trial_seconds(record: TrialRecord) -> float:
    """Seconds a trial took: as it reports, or those workers had it; 0 while it runs."""
    if record.outcome is not None and "seconds" in record.outcome.metrics:
        return record.outcome.metrics["seconds"]
    if record.ended_at is None:
        return 0.0
    return record.worked_seconds(record.ended_at)


def own_seconds(record: TrialRecord) -> float:
    """Of those, what no earlier attempt had worked already: attempts may be added up."""
    return max(0.0, trial_seconds(record) - record.inherited_seconds)


def _status(status: CellStatus, records: Sequence[TrialRecord], *, is_extended: bool) -> str:
    reason = "" if status.reason is None else " ".join(status.reason.split())
    if status.state is CellState.FAILED:
        return f"{FAILED}: {reason or 'no reason recorded'}"
    if is_extended:
        told = f"{EXTENDED}: its score is of the search before"
        return f"{told}; {reason}" if reason else told
    if status.state in (CellState.FINISHED, CellState.RUNNING):
        return status.state.value
    state = INCOMPLETE if records else UNSTARTED
    return f"{state}: {reason}" if reason else state


Trials: TypeAlias = tuple[TrialRecord | None, TrialRecord | None, TrialRecord | None]
"""Language model, classifier and final fit that lead to a score, as far as they are known."""


def _chosen_path(ledger: Ledger, cell: Cell) -> Trials:
    model, classifier, final = (
        ledger.chosen(StudyKey(cell_id=cell.id, stage=stage)) if stage in cell.stages else None
        for stage in Stage
    )
    return model, classifier, final


def _path_before(records: Sequence[TrialRecord]) -> Trials | None:
    """The path to the last score that a cell had; None where it had none."""
    ended = [record for record in records if record.state is TrialState.FINISHED]
    finals = [record for record in ended if record.key.study.stage is Stage.FINAL]
    if not finals:
        return None
    final = max(finals, key=lambda record: record.key.attempt)
    return (
        _source(ended, final, Stage.LANGUAGE_MODEL),
        _source(ended, final, Stage.CLASSIFIER),
        final,
    )


def _source(ended: Iterable[TrialRecord], final: TrialRecord, stage: Stage) -> TrialRecord | None:
    """The trial of an earlier stage that a final fit was made of."""
    own = (record for record in ended if record.key.study.stage is stage)
    return next((record for record in own if _leads_to(record, final)), None)


def _leads_to(record: TrialRecord, final: TrialRecord) -> bool:
    if record.key.study.stage is Stage.LANGUAGE_MODEL:
        assert record.outcome is not None, "it is finished"
        return record.outcome.artifacts["encoder"] == final.encoder
    return Basis.of_final(record).carries(final)


def _value(record: TrialRecord | None) -> float | None:
    return None if record is None or record.outcome is None else record.outcome.value


def _metric(record: TrialRecord | None, name: str) -> float | None:
    return None if record is None or record.outcome is None else record.outcome.metrics.get(name)


def _latest(path: Sequence[TrialRecord | None], name: str) -> float | None:
    """The value nearest to the end of language model → classifier → final."""
    known = [value for record in path if (value := _metric(record, name)) is not None]
    return known[-1] if known else None


def _known_sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _row(ledger: Ledger, cell: Cell, records: Sequence[TrialRecord]) -> ResultRow:
    """One cell's row; `records` are all its attempts."""
    status = ledger.cell_status(cell, now=0.0)
    has_ended = status.state in (CellState.FINISHED, CellState.FAILED)
    before = None if has_ended else _path_before(records)
    model, classifier, final = path = before or _chosen_path(ledger, cell)
    settings = classifier.params if classifier else {}
    return ResultRow(
        regime=cell.regime,
        size=cell.size,
        seed=cell.seed,
        validation_accuracy=_value(classifier),
        test_accuracy=_value(final),
        test_documents=_whole(_metric(final, "test_documents")),
        lm_loss=_value(model),
        lm_learning_rate=model.params.get("learning_rate") if model else None,
        lm_decay=model.params.get("decay") if model else None,
        lm_best_epoch=_whole(_metric(model, "best_epoch")),
        classifier_learning_rate=settings.get("learning_rate"),
        decay=settings.get("decay"),
        inverse_regularization=settings.get("inverse_regularization"),
        lm_steps=_whole(_metric(model, "steps")),
        classifier_steps=_whole(_metric(classifier, "steps")),
        final_steps=_whole(_metric(final, "steps")),
        steps=_whole(_known_sum(_metric(record, "steps") for record in path)),
        tokens=_whole(_known_sum(_metric(record, "tokens") for record in path)),
        seconds=_known_sum(trial_seconds(record) for record in path if record),
        search_seconds=_known_sum(own_seconds(record) for record in records),
        accelerator_seconds=ledger.spent_on(cell).accelerator_seconds if records else None,
        vocabulary=_whole(_latest(path, "vocabulary")),
        coverage=_latest(path, "coverage"),
        general_coverage=_latest(path, "general_coverage"),
        unseen_documents=_whole(_metric(final, "unseen_documents")),
        trials=sum(ledger.num_counted_in(cell, stage) for stage in cell.stages),
        status=_status(status, records, is_extended=before is not None),
        cell=cell.id,
    )


def group_by_cell(records: Iterable[TrialRecord]) -> dict[str, list[TrialRecord]]:
    """Records of each cell, in the order they came."""
    groups: dict[str, list[TrialRecord]] = {}
    for record in records:
        groups.setdefault(record.key.study.cell_id, []).append(record)
    return groups


def make_rows(ledger: Ledger) -> tuple[ResultRow, ...]:
    """One row per cell of the grid, in the cells' order; the general model has none."""
    groups = group_by_cell(ledger.attempts)
    return tuple(
        _row(ledger, cell, groups.get(cell.id, ())) for cell in ledger.cells if not cell.is_general
    )


def to_csv(rows: Iterable[ResultRow]) -> str:
    """The table as CSV text with a header; an empty field is None."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        values = [getattr(row, name) for name in COLUMNS]
        writer.writerow(
            ["" if v is None else repr(v) if isinstance(v, float) else v for v in values]
        )
    return buffer.getvalue()
