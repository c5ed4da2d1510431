"""Tables: scores, cells, data and environment as text (pure).

Rows and findings come in; a header and lines of text go out. A missing number is `–`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from sweeps.answer.classes import Classes
from sweeps.answer.estimates import Estimate
from sweeps.answer.findings import Findings
from sweeps.answer.results import ResultRow
from sweeps.answer.scores import Point
from sweeps.report.blocks import Table
from sweeps.report.phrases import (
    NONE,
    digits,
    duration,
    number,
    percent,
    point_name,
    with_interval,
)
from sweeps.spec.values import SweepSpec


def _count(value: float | None) -> str:
    return NONE if value is None else number(value)


def _share(value: float | None) -> str:
    return NONE if value is None else percent(value)


def _digits(value: float | None) -> str:
    return NONE if value is None else digits(value)


def _range(values: Iterable[float], text: Callable[[float], str]) -> str:
    """`a to b`, or one value where all are said alike."""
    known = sorted(values)
    low, high = text(known[0]), text(known[-1])
    return low if low == high else f"{low} to {high}"


def _mean(estimate: Estimate | None, num_seeds: int) -> str:
    if estimate is None:
        return NONE
    fewer = "" if estimate.num_seeds == num_seeds else f" ({estimate.num_seeds} of {num_seeds})"
    return with_interval(estimate) + fewer


def _points(spec: SweepSpec) -> list[Point]:
    """Every point of the grid, those without a size first."""
    sized = [regime for regime in spec.regimes if regime.trains_on_domain]
    others = [regime for regime in spec.regimes if not regime.trains_on_domain]
    return [*((r, None) for r in others), *((r, n) for r in sized for n in spec.sizes)]


def means_table(spec: SweepSpec, findings: Findings) -> Table:
    """Mean test accuracy in percent, sizes downwards; `(1 of 2)` counts finished seeds."""
    lines = []
    for point in _points(spec):
        found = findings.curve_point(*point)
        seeds = NONE if found is None else ", ".join(percent(v) for _, v in found.by_seed)
        mean = _mean(found.accuracy if found else None, len(spec.seeds))
        one = found.one_run if found else None
        ahead = NONE if one is None else f"{100 * one.low:.1f} to {100 * one.high:.1f}"
        lines.append((point_name(point), mean, ahead, seeds))
    header = ("regime and domain documents", "mean, %", "one run more, %", "each seed")
    return Table(header=header, lines=tuple(lines))


def recalls_table(
    spec: SweepSpec,
    findings: Findings,
    rows: Sequence[ResultRow],
    classes: Classes,
    recalls: Mapping[Point, Estimate],
) -> Table:
    """The mean recall of classes beside accuracy, both in percent, and how many are never said."""
    lines = []
    for point in _points(spec):
        found = findings.curve_point(*point)
        unsaid = classes.num_unsaid(row for row in rows if (row.regime, row.size) == point)
        lines.append(
            (
                point_name(point),
                _mean(found.accuracy if found else None, len(spec.seeds)),
                _mean(recalls.get(point), len(spec.seeds)),
                _range(unsaid, number) if unsaid else NONE,
            )
        )
    header = ("regime and domain documents", "accuracy, %", "recall, mean of classes, %")
    return Table(header=(*header, "classes never said"), lines=tuple(lines))


def cells_table(rows: Sequence[ResultRow]) -> Table:
    """Every cell with its score and chosen settings."""
    header = (
        "regime",
        "documents",
        "seed",
        "test acc.",
        "valid. acc.",
        "LM loss",
        "LM rate",
        "LM best epoch",
        "classifier rate",
        "decay",
        "C",
        "steps",
        "time",
        "status",
    )
    lines = tuple(
        (
            row.regime,
            _count(row.size),
            str(row.seed),
            _share(row.test_accuracy),
            _share(row.validation_accuracy),
            NONE if row.lm_loss is None else f"{row.lm_loss:.3f}",
            _digits(row.lm_learning_rate),
            _count(row.lm_best_epoch),
            _digits(row.classifier_learning_rate),
            _digits(row.decay),
            _digits(row.inverse_regularization),
            _count(row.steps),
            duration(row.seconds),
            row.status,
        )
        for row in rows
    )
    return Table(header=header, lines=lines, ends_in_text=True)


def data_table(spec: SweepSpec, rows: Sequence[ResultRow]) -> Table:
    """What the sweep was given, and how much of it its models know."""
    tested = {row.test_documents for row in rows if row.test_documents}
    largest = [row for row in rows if row.size == spec.sizes[-1] and row.coverage is not None]
    smallest = [row for row in rows if row.size == spec.sizes[0] and row.coverage is not None]
    uses_general = any(regime.starts_from_general for regime in spec.regimes)
    general = [("general language", spec.general.kind)] if uses_general else []
    lines = [
        ("corpus", spec.corpus.name),
        *general,
        ("labels", number(spec.labels.train)),
        ("test documents", ", ".join(number(count) for count in sorted(tested)) or NONE),
        ("sizes", ", ".join(number(size) for size in spec.sizes)),
        ("seeds", ", ".join(str(seed) for seed in spec.seeds)),
    ]
    for own in (smallest, largest if len(spec.sizes) > 1 else []):
        if own:
            words = _range((row.vocabulary or 0 for row in own), number)
            known = _range((row.coverage or 0.0 for row in own), percent)
            text = f"{words} words, {known} of the test tokens"
            lines.append((f"vocabulary at {number(own[0].size or 0)}", text))
    return Table(header=("what", "value"), lines=tuple(lines), num_text=2)


def environment_table(environment: Mapping[str, str]) -> Table:
    """Names and texts."""
    lines = tuple((name.replace("_", " "), text) for name, text in environment.items())
    return Table(header=("what", "value"), lines=lines, num_text=2)
