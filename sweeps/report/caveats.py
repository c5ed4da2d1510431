"""Caveats: what a reader must know before believing the numbers (pure).

The spec and the rows come in; sentences go out, with regime names between backticks: gaps and
failures, chosen settings at the edge of their range, what limits the precision of a score.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from math import log

from sweeps.answer.results import ResultRow
from sweeps.report.phrases import counted, joined, number
from sweeps.spec.searches import Range
from sweeps.spec.values import SweepSpec

_MAX_NAMED = 6
_EDGE = 0.03  # share of a range, at either end, that counts as its edge


def _at_edge(value: float | None, searched: Range) -> bool:
    if value is None or searched.is_fixed:
        return False
    position = (value - searched.low) / (searched.high - searched.low)
    if searched.log:
        position = _log_position(value, searched)
    return not _EDGE < position < 1 - _EDGE


def _log_position(value: float, searched: Range) -> float:
    return log(value / searched.low) / log(searched.high / searched.low)


def caveats(spec: SweepSpec, rows: Sequence[ResultRow]) -> tuple[str, ...]:
    """What a reader must know: gaps, failures, edges of the search, precision."""
    notes = []
    missing = [row for row in rows if not row.is_finished]
    for status, group in groupby(sorted(missing, key=lambda r: r.status), key=lambda r: r.status):
        notes.append(f"{_named(list(group))}: {status}.")
    search = spec.search
    for name, searched, column in (
        (
            "language model learning rate",
            search.language_model.learning_rate,
            "lm_learning_rate",
        ),
        (
            "classifier learning rate",
            search.classifier.learning_rate,
            "classifier_learning_rate",
        ),
        (
            "inverse regularisation of `bow`",
            search.bow.inverse_regularization,
            "inverse_regularization",
        ),
    ):
        chosen = [value for row in rows if (value := getattr(row, column)) is not None]
        edge = sum(_at_edge(value, searched) for value in chosen)
        if edge:
            notes.append(
                f"The chosen {name} lies at the edge of its range [{searched.low:g}, "
                f"{searched.high:g}] in {edge} of {counted(len(chosen), 'cell')}: a wider range "
                "may give a better score."
            )
    return (*notes, *_always(spec, rows))


def _named(rows: Sequence[ResultRow]) -> str:
    """Cells by name, or counted by regime where they are many."""
    if len(rows) > _MAX_NAMED:
        counts = Counter(row.regime for row in rows)
        return joined(f"{counted(count, 'cell')} of `{name}`" for name, count in counts.items())
    sizes = ["" if row.size is None else f" at {number(row.size)}" for row in rows]
    return joined(
        f"`{row.regime}`{size} seed {row.seed}" for row, size in zip(rows, sizes, strict=True)
    )


def _always(spec: SweepSpec, rows: Sequence[ResultRow]) -> list[str]:
    notes = []
    if any(row.lm_loss is not None for row in rows):
        notes.append(
            "Language model losses are per token of each cell's own vocabulary: where vocabularies "
            "differ, between sizes or regimes, so does what a loss means."
        )
    held_out = round(spec.labels.train * spec.labels.validation)
    if spec.labels.folds is None:
        notes.append(
            f"Classifiers are chosen on {held_out} held-out labels, so a validation accuracy moves "
            f"in steps of {100 / max(1, held_out):.1f} points; test scores are of a refit on all "
            f"{spec.labels.train} labels."
        )
    documents = {row.test_documents for row in rows if row.test_documents}
    if documents and max(documents) < 25_000:
        half = 98 / min(documents) ** 0.5
        notes.append(
            f"Scores are of {number(min(documents))} test documents: the choice of these alone is "
            f"worth up to ±{half:.1f} points."
        )
    return notes
