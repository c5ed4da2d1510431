"""Tables: the report's tables as text, the same for HTML and Markdown (pure).

Rows, findings and costs come in; a header and lines of text go out. A missing number is `–`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweeps.answer.costs import Cost
from sweeps.answer.findings import Findings
from sweeps.answer.results import ResultRow
from sweeps.answer.scores import Estimate
from sweeps.report.phrases import needed_text, number, percent, with_interval
from sweeps.spec.values import SweepSpec

NONE = "–"


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A header and lines of the same length; the first `num_text` columns are text."""

    header: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    num_text: int = 1


def _count(value: float | None) -> str:
    return NONE if value is None else number(value)


def _share(value: float | None) -> str:
    return NONE if value is None else percent(value)


def _digits(value: float | None, digits: int) -> str:
    return NONE if value is None else f"{value:.{digits}g}"


def duration(seconds: float | None) -> str:
    """`12 s`, `3.4 min` or `1.7 h`."""
    if seconds is None:
        return NONE
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _mean(estimate: Estimate | None, num_seeds: int) -> str:
    if estimate is None:
        return NONE
    fewer = "" if estimate.num_seeds == num_seeds else f" ({estimate.num_seeds} of {num_seeds})"
    return with_interval(estimate) + fewer


def means_table(spec: SweepSpec, findings: Findings) -> Table:
    """Mean test accuracy in percent by regime and size; `(1 of 2)` counts finished seeds."""
    lines = []
    for regime in spec.regimes:
        cells = []
        for size in spec.sizes:
            point = findings.curve_point(regime, size if regime.trains_on_domain else None)
            cells.append(_mean(None if point is None else point.accuracy, len(spec.seeds)))
        lines.append((regime.value, *cells))
    header = ("regime", *(number(size) for size in spec.sizes))
    return Table(header=header, lines=tuple(lines))


def gain_table(findings: Findings) -> Table:
    """Share of the gain by size, then documents needed."""
    lines = [
        (
            number(size),
            with_interval(share, unit=" %")
            if size != findings.gain.largest
            else "100 % (by definition)",
            str(share.num_seeds),
        )
        for size, share in findings.gain.shares
    ]
    return Table(header=("domain documents", "share of the gain", "seeds"), lines=tuple(lines))


def needed_lines(findings: Findings) -> tuple[str, ...]:
    """Documents needed for each share, one sentence each."""
    return tuple(
        f"{100 * needed.share:.0f} % of the gain: {needed_text(needed)}."
        for needed in findings.gain.needed
    )


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
        "classifier rate",
        "decay",
        "C",
        "best epoch",
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
            _digits(row.lm_learning_rate, 2),
            _digits(row.classifier_learning_rate, 2),
            _digits(row.decay, 2),
            _digits(row.inverse_regularization, 2),
            _count(row.best_epoch),
            _count(row.steps),
            duration(row.seconds),
            row.status,
        )
        for row in rows
    )
    return Table(header=header, lines=lines)


def costs_table(costs: Sequence[Cost], accelerator: str) -> Table:
    """What was spent, by regime; money where its price is known.

    Args:
        costs: One line each.
        accelerator: What trials are counted in, `GPU` or `CPU`.
    """
    hours = (f"{accelerator} hours", "of these wasted")
    header = ("regime", "cells", "trials", "steps", "tokens", "time, all trials", *hours)
    has_money = any(cost.money is not None for cost in costs)
    lines = tuple(
        (
            cost.name,
            str(cost.num_cells),
            number(cost.num_trials),
            number(cost.steps),
            number(cost.tokens),
            duration(cost.seconds),
            _hours(cost.spent.accelerator_seconds),
            _hours(cost.spent.wasted_seconds),
            *([NONE if cost.money is None else f"{cost.money:,.2f}"] if has_money else ()),
        )
        for cost in costs
    )
    return Table(header=(*header, "money") if has_money else header, lines=lines)


def _hours(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours:,.2f}" if hours >= 0.1 else f"{hours:.2g}"


def environment_table(environment: Mapping[str, str]) -> Table:
    """Names and texts."""
    lines = tuple((name.replace("_", " "), text) for name, text in environment.items())
    return Table(header=("what", "value"), lines=lines, num_text=2)
