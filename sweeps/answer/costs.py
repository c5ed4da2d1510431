"""Costs: what a sweep spent, by regime (pure).

A ledger comes in; steps, tokens, hours and money go out, of all its attempts: pruned, failed, lost
and replaced ones included, because they were paid for. What counts as time and as waste is said in
`sweeps.search.spending`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sweeps.answer.results import group_by_cell, own_seconds
from sweeps.search.ledger import Ledger
from sweeps.search.records import TrialRecord
from sweeps.search.spending import Spent, sum_of
from sweeps.spec.cells import Cell, Stage, make_cells
from sweeps.spec.cost import TrialCosts
from sweeps.spec.rates import Rates
from sweeps.spec.values import SweepSpec
from sweeps.spec.volume import Volumes
from ulm.regimes import Regime


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What one regime, or the whole sweep, spent.

    Args:
        name: A regime, `general`, or `total`.
        num_cells: Its cells.
        num_trials: Trials asked, repeated attempts included.
        steps: Optimiser steps of the trials that ran through.
        tokens: Tokens they were trained on.
        seconds: Training seconds of all trials; trials that ran at the same time each count.
        spent: Accelerator seconds of all trials, and how many of them were wasted.
        money: What these cost; None where the spec names no price.
    """

    name: str
    num_cells: int
    num_trials: int
    steps: int
    tokens: int
    seconds: float
    spent: Spent
    money: float | None


def _sum(records: Iterable[TrialRecord], name: str) -> int:
    return int(sum(r.outcome.metrics.get(name, 0) for r in records if r.outcome is not None))


def recorded_rates(
    spec: SweepSpec, records: Iterable[TrialRecord], volumes: Volumes
) -> Rates | None:
    """Rates of a sweep's finished language models and classifiers.

    None before there are both; a sweep that trains no language model needs none.

    Args:
        spec: The sweep.
        records: Its trials.
        volumes: Sizes of its corpora, which say what each trial did.
    """
    foreseen = TrialCosts.of(spec, volumes=volumes)
    cells = {cell.id: cell for cell in make_cells(spec)}
    flop, seconds = {True: 0.0, False: 0.0}, {True: 0.0, False: 0.0}
    for record in records:
        cell = cells.get(record.key.study.cell_id)
        if record.outcome is None or cell is None or cell.regime == Regime.BOW:
            continue
        load = foreseen.load(cell, record.key.study.stage)
        flop[load.is_language_model] += load.flop
        seconds[load.is_language_model] += record.outcome.metrics.get("seconds", 0.0)
    has_models = any(Stage.LANGUAGE_MODEL in cell.stages for cell in cells.values())
    if not seconds[False] or (has_models and not seconds[True]):
        return None
    classifier = flop[False] / seconds[False]
    return Rates(
        language_model=flop[True] / seconds[True] if has_models else classifier,
        classifier=classifier,
        basis="measured in this sweep",
    )


def costs(ledger: Ledger) -> tuple[Cost, ...]:
    """One line per regime in the order of the cells, then the total."""
    cells, groups = ledger.cells, group_by_cell(ledger.attempts)
    price = ledger.spec.budget.price_per_accelerator_hour

    def cost(name: str, own: Sequence[Cell]) -> Cost:
        records = [record for cell in own for record in groups.get(cell.id, ())]
        spent = sum_of(ledger.spent_on(cell) for cell in own)
        return Cost(
            name=name,
            num_cells=len(own),
            num_trials=len(records),
            steps=_sum(records, "steps"),
            tokens=_sum(records, "tokens"),
            seconds=sum(own_seconds(record) for record in records),
            spent=spent,
            money=spent.money(price),
        )

    regimes = dict.fromkeys(cell.regime for cell in cells)
    lines = [cost(regime, [c for c in cells if c.regime == regime]) for regime in regimes]
    return (*lines, cost("total", cells))
