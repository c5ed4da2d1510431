"""Money: what the sweep cost, and what a point of accuracy costs (pure).

Evidence comes in; a section goes out.
"""

from collections.abc import Sequence

from sweeps.answer.costs import Cost, costs
from sweeps.answer.scores import Point
from sweeps.answer.worth import Worth, worth_over
from sweeps.report.blocks import Block, Section, Table, Text
from sweeps.report.evidence import Evidence
from sweeps.report.phrases import NONE, duration, grouped, number, point_name, with_interval
from sweeps.spec.spaces import accelerator
from sweeps.spec.values import SweepSpec
from ulm.regimes import Regime


def money_section(evidence: Evidence) -> Section:
    """What was spent by regime, and the price of a point above the cheapest reference."""
    spec = evidence.spec
    spent = costs(evidence.ledger)
    blocks: list[Block] = [costs_table(spent, accelerator(spec)), Text(text=cost_note(spec))]
    reference = _reference(evidence)
    worth = () if reference is None else worth_over(evidence.scores, evidence.rows, reference)
    if reference is not None and worth:
        blocks += _worth(worth, reference, spec.budget.price_per_accelerator_hour)
    return Section(title="Cost", blocks=tuple(blocks))


def _reference(evidence: Evidence) -> Point | None:
    """`bow`, else `scratch`, where it is finished."""
    points = [(regime.value, None) for regime in (Regime.BOW, Regime.SCRATCH)]
    return next((point for point in points if evidence.scores.has(point)), None)


def cost_note(spec: SweepSpec) -> str:
    """What the hours of the cost table are, and the price they are multiplied with."""
    price = spec.budget.price_per_accelerator_hour
    priced = "" if price is None else f" One {accelerator(spec)} hour is counted as {price:g}."
    return (
        f"{accelerator(spec)} hours are those in which a worker had a trial, all attempts "
        "included. Wasted is what no result rests on: failed attempts, lost ones as far as no "
        "later one went on from them, attempts on a choice that was replaced, epochs trained "
        f"again.{priced}"
    )


def costs_table(spent: Sequence[Cost], name: str) -> Table:
    """What was spent, by regime; money where its price is known.

    Args:
        spent: One line each.
        name: What trials are counted in, `GPU` or `CPU`.
    """
    hours = (f"{name} hours", "of these wasted")
    header = ("regime", "cells", "trials", "steps", "tokens", "time, all trials", *hours)
    has_money = any(cost.money is not None for cost in spent)
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
        for cost in spent
    )
    return Table(header=(*header, "money") if has_money else header, lines=lines)


def _hours(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours:,.2f}" if hours >= 0.1 else f"{hours:.2g}"


def _worth(worth: Sequence[Worth], reference: Point, price: float | None) -> list[Block]:
    """A line for what gains something over a reference, the others in a sentence."""
    gaining = [found for found in worth if found.seconds_per_point is not None]
    others = grouped(w.gain.first for w in worth if w.seconds_per_point is None)
    name = point_name(reference)
    blocks: list[Block] = []
    if gaining:
        text = (
            f"What a point of accuracy above {name} costs in training time, the search of the cell "
            "included, the general model left out:"
        )
        blocks += [Text(text=text), worth_table(gaining, price)]
    if others:
        blocks.append(Text(text=f"No gain over {name}: {others}.", is_soft=True))
    return blocks


def worth_table(worth: Sequence[Worth], price: float | None) -> Table:
    """Gain, time and time per point of each point, and money where an hour has a price."""
    lines = tuple(
        (
            point_name(found.gain.first),
            with_interval(found.gain.accuracy),
            duration(found.seconds),
            *_per_point(found),
            *([] if price is None else [_money(found.accelerator_hours_per_point, price)]),
        )
        for found in worth
    )
    header = ("", "points gained", "more time a cell", "time a point", "95 %")
    return Table(header=header if price is None else (*header, "money a point"), lines=lines)


def _money(hours: float | None, price: float) -> str:
    return NONE if hours is None else f"{hours * price:,.2f}"


def _per_point(found: Worth) -> tuple[str, str]:
    if found.interval is None:
        return duration(found.seconds_per_point), NONE
    low, high = found.interval.low, found.interval.high
    dearest = "any" if high == float("inf") else duration(high)
    return duration(found.seconds_per_point), f"{duration(low)} to {dearest}"
