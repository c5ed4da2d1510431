"""Costs: what a sweep spent, by regime (pure).

Trial records come in; steps, tokens and seconds go out, of all trials: pruned, failed, lost and
replaced ones included, because they were paid for.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sweeps.answer.results import group_by_cell, trial_seconds
from sweeps.search.records import TrialRecord
from sweeps.spec.cells import Cell


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What one regime, or the whole sweep, spent.

    Args:
        name: A regime, `general`, or `total`.
        num_cells: Its cells.
        num_trials: Trials asked, repeated attempts included.
        steps: Optimiser steps of the trials that ran through.
        tokens: Tokens they were trained on.
        seconds: Seconds of all trials; trials that ran at the same time each count.
    """

    name: str
    num_cells: int
    num_trials: int
    steps: int
    tokens: int
    seconds: float


def _sum(records: Iterable[TrialRecord], name: str) -> int:
    return int(sum(r.outcome.metrics.get(name, 0) for r in records if r.outcome is not None))


def _cost(name: str, num_cells: int, records: Sequence[TrialRecord]) -> Cost:
    return Cost(
        name=name,
        num_cells=num_cells,
        num_trials=len(records),
        steps=_sum(records, "steps"),
        tokens=_sum(records, "tokens"),
        seconds=sum(trial_seconds(record) for record in records),
    )


def costs(cells: Sequence[Cell], records: Iterable[TrialRecord]) -> tuple[Cost, ...]:
    """One line per regime in the order of the cells, then the total."""
    groups = group_by_cell(records)
    lines, every = [], []
    for regime in dict.fromkeys(cell.regime for cell in cells):
        own = [cell for cell in cells if cell.regime == regime]
        spent = [record for cell in own for record in groups.get(cell.id, ())]
        lines.append(_cost(regime, len(own), spent))
        every += spent
    return (*lines, _cost("total", len(cells), every))
