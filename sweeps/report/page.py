"""Report: a sweep's answer as a page, as Markdown, as a figure and as a table.

A sweep's paths, spec and trial records come in; files in `paths.report` go out, each appearing
whole (written beside, then renamed). The page carries its figures inside and loads nothing, so it
can be mailed. It works on an unfinished sweep and says what is missing.
"""

import base64
import html
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from sweeps.answer.costs import costs
from sweeps.answer.findings import Findings, find
from sweeps.answer.predictions import load_hits
from sweeps.answer.results import ResultRow, make_rows, open_ledger, to_csv
from sweeps.answer.tried import search_panels
from sweeps.paths import SweepPaths
from sweeps.record.environment import describe_environment
from sweeps.report import plots, series, tables
from sweeps.report.caveats import caveats
from sweeps.report.freshness import digest_of, forget, remember
from sweeps.report.sentences import answer, state_of
from sweeps.search.records import TrialRecord
from sweeps.spec.cells import make_cells
from sweeps.spec.spaces import accelerator
from sweeps.spec.values import SweepSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportFiles:
    """What `write_report` wrote.

    Args:
        html: The page.
        markdown: The same in Markdown, without the search figures.
        figure: Accuracy against size; None while no cell is finished.
        table: One line per cell.
        rows: The table's rows.
        answer: The sentences at the top.
    """

    html: Path
    markdown: Path
    figure: Path | None
    table: Path
    rows: tuple[ResultRow, ...]
    answer: tuple[str, ...]

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file that was written."""
        files = (self.html, self.markdown, self.figure, self.table)
        return tuple(file for file in files if file is not None)


def words(text: str) -> Markup:
    """Escaped text with what stands between backticks as code."""
    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", html.escape(text)))


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")


def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=lambda name: name is not None and ".html" in name,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters |= {"words": words, "cell": _cell}
    return environment


def _band(findings: Findings) -> str:
    """What brackets and bands are, in a few words; empty where there are none."""
    documents = "test documents" if findings.draws_documents else ""
    if findings.num_seeds == 1:
        return f"95 % interval over {documents}" if documents else ""
    seeds = f"95 % interval over {findings.num_seeds} seeds"
    return f"{seeds} and {documents}" if documents else seeds


def _subtitle(findings: Findings) -> str:
    if findings.num_seeds == series.WITHOUT_BAND:
        return "mean over 2 seeds; dots: single seeds; for a band they are too few"
    band = _band(findings)
    return f"mean over seeds; band: {band}; dots: single seeds" if band else "one seed"


def _summary(paths: SweepPaths) -> dict[str, str]:
    """Wall time and memory of the last run, where one has ended."""
    try:
        found = json.loads(paths.summary_json.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    plain = {k: v for k, v in found.items() if isinstance(v, str | int | float)}
    return {k: f"{v:.4g}" if isinstance(v, float) else str(v) for k, v in plain.items()}


def _figures(
    spec: SweepSpec,
    rows: tuple[ResultRow, ...],
    records: tuple[TrialRecord, ...],
    findings: Findings,
) -> dict[str, bytes]:
    """PNG by name; a figure with nothing to show is left out."""
    figures = {}
    accuracy = series.accuracy_figure(spec, findings)
    if not accuracy.is_empty:
        figures["accuracy"] = plots.draw_accuracy(accuracy, _subtitle(findings))
    panels = search_panels(spec, make_cells(spec), records)
    if panels:
        figures["search"] = plots.draw_search(panels, spec.sizes)
    losses = series.loss_figure(spec, rows)
    if not losses.is_empty:
        figures["losses"] = plots.draw_losses(losses, "mean over seeds; dots: single seeds")
    return figures


def _cost_note(spec: SweepSpec) -> str:
    """What the hours of the cost table are, and the price they are multiplied with."""
    price = spec.budget.price_per_accelerator_hour
    priced = "" if price is None else f" One {accelerator(spec)} hour is counted as {price:g}."
    return (
        f"{accelerator(spec)} hours are those in which a worker had a trial, all attempts "
        "included. Wasted is what no result rests on: lost and failed attempts, attempts on a "
        f"choice that was replaced, epochs trained again.{priced}"
    )


def _context(
    spec: SweepSpec,
    rows: tuple[ResultRow, ...],
    attempts: tuple[TrialRecord, ...],
    findings: Findings,
    environment: Mapping[str, str],
) -> dict[str, Any]:
    return {
        "name": spec.name,
        "labels": f"{spec.labels.train:,}",
        "state": state_of(rows),
        "answer": answer(spec, findings, rows),
        "accuracy_caption": (
            "Level lines are regimes without a size axis; dots at the left are their seeds. "
            "`bow` is TF-IDF with logistic regression, `scratch` the same classifier with a random "
            "encoder."
        ),
        "interval_note": f", with the {band}" if (band := _band(findings)) else "",
        "means": tables.means_table(spec, findings),
        "undefined": findings.gain.undefined,
        "gain": tables.gain_table(findings),
        "needed": tables.needed_lines(findings),
        "cells": tables.cells_table(rows),
        "costs": tables.costs_table(costs(spec, make_cells(spec), attempts), accelerator(spec)),
        "cost_note": _cost_note(spec),
        "caveats": caveats(spec, rows),
        "environment": tables.environment_table(environment),
    }


def _write(path: Path, content: bytes) -> None:
    beside = path.with_name(path.name + ".part")
    beside.write_bytes(content)
    beside.replace(path)


def write_report(
    paths: SweepPaths,
    spec: SweepSpec,
    records: Iterable[TrialRecord],
    *,
    environment: Mapping[str, str] | None = None,
) -> ReportFiles:
    """Write the report of a sweep, finished or not.

    Args:
        paths: Where the sweep lies; `paths.report` is created.
        spec: Its spec.
        records: Every attempt its ledger remembers.
        environment: Names and texts of what it ran with; None describes this process.

    Returns:
        The files and what they say.
    """
    attempts, cells = tuple(records), make_cells(spec)
    forget(paths)
    rows = make_rows(spec, cells, attempts)
    findings = find(spec, rows, load_hits(paths, rows))
    shown = {**(describe_environment() if environment is None else environment), **_summary(paths)}
    figures = _figures(spec, rows, open_ledger(spec, cells, attempts)[0].records, findings)
    context = _context(spec, rows, attempts, findings, shown)
    context["figures"] = {
        name: base64.b64encode(figures[name]).decode() if name in figures else ""
        for name in ("accuracy", "search", "losses")
    }
    templates = _templates()
    paths.report.mkdir(parents=True, exist_ok=True)
    for path, template in (
        (paths.report_html, "report.html.jinja"),
        (paths.report_md, "report.md.jinja"),
    ):
        _write(path, templates.get_template(template).render(context).encode())
    _write(paths.results_csv, to_csv(rows).encode())
    if "accuracy" in figures:
        _write(paths.accuracy_png, figures["accuracy"])
    files = ReportFiles(
        html=paths.report_html,
        markdown=paths.report_md,
        figure=paths.accuracy_png if "accuracy" in figures else None,
        table=paths.results_csv,
        rows=rows,
        answer=context["answer"],
    )
    remember(paths, digest_of(paths, spec, attempts), files.paths)
    return files
