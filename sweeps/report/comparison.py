"""Comparison: two or more sweeps side by side on one page.

Paths and ledger of each sweep come in; one self-contained file goes out: their answers, their
curves on one scale, what differs between their specs, their scores, gains and costs. Sweeps need
not share seeds or documents, so no difference between them is tested.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from sweeps.answer.costs import costs
from sweeps.answer.crossings import Crossing
from sweeps.answer.scores import Point
from sweeps.paths import SweepPaths
from sweeps.report.blocks import Block, Bullets, Fold, Gallery, Page, Plot, Section, Table, Text
from sweeps.report.canvas import to_svg
from sweeps.report.caveats import caveats
from sweeps.report.curve_plots import MARKS, NARROW, draw_curves, view_of
from sweeps.report.evidence import Evidence
from sweeps.report.page import render_html
from sweeps.report.phrases import (
    NONE,
    crossing_span,
    duration,
    joined,
    number,
    point_name,
    rounded,
    span,
    with_interval,
)
from sweeps.report.sections import describe_curves
from sweeps.report.sentences import answer, state_of
from sweeps.report.series import accuracy_figure
from sweeps.search.ledger import Ledger
from sweeps.spec.load import spec_to_json
from sweeps.spec.spaces import accelerator
from sweeps.storage import write_whole
from ulm.regimes import Regime

Said: TypeAlias = Callable[[Evidence], str]
_NOT_COMPARED = ("name", "storage", "tracking")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Named:
    """A sweep and what it is called here: its name, or its folder where two have the same."""

    name: str
    evidence: Evidence


def write_comparison(recorded: Sequence[tuple[SweepPaths, Ledger]]) -> Path:
    """Write the page beside the report of the first sweep; returns its path.

    Args:
        recorded: Paths and ledgers of two or more sweeps.
    """
    gathered = [Evidence.gather(paths, ledger) for paths, ledger in recorded]
    names = Counter(evidence.spec.name for evidence in gathered)
    sweeps = [
        Named(
            name=evidence.spec.name
            if names[evidence.spec.name] == 1
            else str(evidence.paths.folder),
            evidence=evidence,
        )
        for evidence in gathered
    ]
    first, *others = gathered
    path = first.paths.comparison_html([evidence.spec.name for evidence in others])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, render_html(comparison_page(sweeps)))
    return path


def comparison_page(sweeps: Sequence[Named]) -> Page:
    """The page of two or more sweeps."""
    names = joined(sweep.name for sweep in sweeps)
    sections = (
        Section(title="Answers", blocks=tuple(_answers(sweeps))),
        _differences(sweeps),
        Section(
            title="Scores",
            blocks=(
                Text(text="Mean test accuracy in percent, with its 95 % interval.", is_soft=True),
                _table("regime and domain documents", sweeps, _scores(sweeps)),
            ),
        ),
        Section(
            title="How much text",
            blocks=(
                Text(text=_NEEDS_NOTE, is_soft=True),
                _table("domain documents for", sweeps, _NEEDS),
            ),
        ),
        Section(title="Cost", blocks=(_costs(sweeps),)),
        Section(title="Before you believe it", blocks=tuple(_caveats(sweeps))),
    )
    return Page(title=names, subtitle=f"{len(sweeps)} sweeps side by side", sections=sections)


def _answers(sweeps: Sequence[Named]) -> Iterator[Block]:
    for sweep in sweeps:
        yield Text(text=f"`{sweep.name}`: {state_of(sweep.evidence.rows)}", is_soft=True)
        yield Text(
            text=answer(sweep.evidence.spec, sweep.evidence.findings, sweep.evidence.rows)[0],
            is_lead=True,
        )
    plots = tuple(_plots([sweep for sweep in sweeps if sweep.evidence.findings.curves]))
    if plots:
        yield Gallery(
            plots=plots,
            is_large=True,
            caption="Test accuracy in percent by domain documents, on one scale; lines are means "
            f"over seeds, level lines regimes without a size axis; {MARKS}.",
        )


def _plots(sweeps: Sequence[Named]) -> Iterator[Plot]:
    figures = [
        accuracy_figure(sweep.evidence.spec, sweep.evidence.findings, sweep.evidence.model)
        for sweep in sweeps
    ]
    views = [view_of(figure) for figure in figures]
    for sweep, figure in zip(sweeps, figures, strict=True):
        limits = min(low for low, _ in views), max(high for _, high in views)
        alt = f"{sweep.name}: {describe_curves(sweep.evidence.findings)}"
        title = (sweep.name, f"{number(sweep.evidence.spec.labels.train)} labels")
        drawn = draw_curves(figure, "{:.1f} %", inches=NARROW, title=title, limits=limits)
        yield Plot(svg=to_svg(drawn, alt), alt=alt)


def _differences(sweeps: Sequence[Named]) -> Section:
    specs = [_flat(json.loads(spec_to_json(sweep.evidence.spec))) for sweep in sweeps]
    lines = tuple(
        (f"`{key}`", *values)
        for key in dict.fromkeys(key for spec in specs for key in spec)
        if key.partition(".")[0] not in _NOT_COMPARED
        and len(set(values := tuple(spec.get(key, NONE) for spec in specs))) > 1
    )
    block: Block = Text(text="Their specs say the same.")
    if lines:
        header = ("key", *(sweep.name for sweep in sweeps))
        block = Table(header=header, lines=lines, num_text=len(header))
    return Section(title="What differs", blocks=(block,))


def _flat(value: Any, key: str = "") -> dict[str, str]:
    """Dotted keys and their values as text."""
    if not isinstance(value, dict):
        return {key: ", ".join(map(str, value)) if isinstance(value, list) else str(value)}
    found: dict[str, str] = {}
    for name, inner in value.items():
        found |= _flat(inner, f"{key}.{name}" if key else name)
    return found


def _table(what: str, sweeps: Sequence[Named], lines: Mapping[str, Said]) -> Table:
    """One column per sweep; every line has a name and says something of each."""
    return Table(
        header=(what, *(sweep.name for sweep in sweeps)),
        lines=tuple(
            (name, *(said(sweep.evidence) for sweep in sweeps)) for name, said in lines.items()
        ),
    )


def _scores(sweeps: Sequence[Named]) -> dict[str, Said]:
    """A line for every point of any sweep, in the order of regimes and sizes."""
    order = [regime.value for regime in Regime]
    curves = (curve for sweep in sweeps for curve in sweep.evidence.findings.curves)
    points = {(curve.regime, curve.size) for curve in curves}
    ordered = sorted(points, key=lambda point: (order.index(point[0]), point[1] or 0))
    return {point_name(point): partial(_score, point) for point in ordered}


def _score(point: Point, evidence: Evidence) -> str:
    found = evidence.findings.curve_point(*point)
    return NONE if found is None else with_interval(found.accuracy)


def _share(share: float, evidence: Evidence) -> str:
    found = next((n for n in evidence.findings.gain.needed if n.share == share), None)
    if found is None:
        return NONE
    interval = found.crossing.interval
    least = "at most " if found.crossing.is_at_most else ""
    sure = "" if interval is None else f" [{span(interval)}]"
    largest = number(evidence.findings.gain.largest)
    return f"{least}{rounded(found.documents)}{sure} of {largest}"


def _crossing(found: Crossing | None) -> str:
    if found is None:
        return NONE
    sure = "" if found.interval is None else f" [{crossing_span(found, found.interval)}]"
    if found.documents is None:
        return f"not up to {number(found.largest)}{sure}"
    return f"{'from the smallest, ' if found.is_at_most else ''}{rounded(found.documents)}{sure}"


def _over_bow(evidence: Evidence) -> Crossing | None:
    lead = evidence.findings.lead
    return None if lead is None else evidence.findings.over_bow.get(lead.regime)


_NEEDS_NOTE = (
    "In brackets 95 %. A share of the gain is one of what the sweep's own largest size adds to "
    "`ulm`: with other largest sizes shares are not comparable."
)
_NEEDS: dict[str, Said] = {
    "75 % of the gain": partial(_share, 0.75),
    "90 % of the gain": partial(_share, 0.9),
    "passing `bow`": lambda e: _crossing(_over_bow(e)),
    "`domain` passing `ulm+domain`": lambda e: _crossing(e.findings.overtaking),
}


def _costs(sweeps: Sequence[Named]) -> Table:
    lines = []
    for sweep in sweeps:
        total = costs(sweep.evidence.ledger)[-1]
        hours = total.spent.accelerator_seconds / 3600
        lines.append(
            (
                sweep.name,
                number(total.num_cells),
                number(total.num_trials),
                number(total.tokens),
                duration(total.seconds),
                f"{hours:.2g} {accelerator(sweep.evidence.spec)}",
            )
        )
    header = ("sweep", "cells", "trials", "tokens", "time, all trials", "hours")
    return Table(header=header, lines=tuple(lines))


def _caveats(sweeps: Sequence[Named]) -> Iterator[Block]:
    yield Text(
        text="The sweeps may differ in seeds, documents and machine: only what stands under one "
        "name was compared seed by seed."
    )
    for sweep in sweeps:
        notes = caveats(sweep.evidence)
        if notes:
            yield Fold(title=sweep.name, blocks=(Bullets(items=notes),))
