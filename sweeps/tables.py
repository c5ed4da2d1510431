"""Tables: plans, states and findings as text for a terminal.

Values come in, rich renderables go out; `cli` prints them. Colours carry nothing that the words do
not say, so that a pipe loses nothing.
"""

import shlex
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from sweeps.check_result import CheckResult
from sweeps.live import words
from sweeps.live.board import Board, StudyState
from sweeps.programs import typed
from sweeps.search.records import TrialState
from sweeps.spec.bill import Bill, NodeBill
from sweeps.spec.cells import Stage
from sweeps.spec.fleet import PRICE_LABEL
from sweeps.spec.plan import RegimePlan, Rest, SweepPlan
from sweeps.spec.values import SweepSpec

if TYPE_CHECKING:
    from sweeps.paths import SweepPaths
    from sweeps.run.doctor import Diagnosis
    from sweeps.run.launch import RunSummary

MOST_FAILURES = 10

_STYLES = {"ok": "green", "note": "yellow", "failed": "red"}


def plan_table(plan: SweepPlan) -> Table:
    """One row per regime, and their sum."""
    table = Table(title=f"{plan.name}: plan", title_justify="left")
    table.add_column("regime")
    names = ("cells", "language models", "classifiers", "final", "LM tokens", "steps", "one by one")
    for name in (*names, "accelerator hours"):
        table.add_column(name, justify="right")
    for row in plan.regimes:
        table.add_row(*_plan_row(row))
    table.add_section()
    table.add_row(*_plan_row(plan.total))
    return table


def _plan_row(row: RegimePlan) -> tuple[str, ...]:
    return (
        row.regime,
        str(row.cells),
        *(f"{row.trials[stage]:,}" for stage in Stage),
        f"{row.language_model_tokens / 1e6:,.1f} M",
        f"{row.steps:,}",
        words.duration(3600 * row.hours),
        f"{row.accelerator_hours:,.2f}",
    )


def plan_lines(plan: SweepPlan, price_per_hour: float | None) -> tuple[str, ...]:
    """What the table leaves out: storage, memory, money, assumptions, warnings.

    Args:
        plan: The plan.
        price_per_hour: Money for one accelerator hour, in any currency; None where not known.
    """
    lines = [
        f"storage up to {plan.storage_gib:,.1f} GiB, largest trial about {plan.peak_gib:.1f} GiB"
    ]
    if price_per_hour is not None:
        money = plan.total.accelerator_hours * price_per_hour
        lines.append(f"cost {money:,.2f} at {price_per_hour:g} per accelerator hour")
    lines += [f"assumed: {line}" for line in plan.assumptions]
    lines += [f"warning: {line}" for line in plan.warnings]
    return tuple(lines)


def rest_line(rest: Rest, num_left_out: int) -> str:
    """What of a plan is recorded already and what a run would train.

    Args:
        rest: What is left of the plan.
        num_left_out: Recorded trials that the spec does not ask for.
    """
    line = (
        f"recorded: {rest.num_recorded:,} of {rest.num_recorded + rest.num_left:,} trials; a run "
        f"trains {rest.num_left:,} more, {words.duration(3600 * rest.hours)} one by one"
    )
    if num_left_out:
        line += f"; {num_left_out:,} more are recorded that the spec does not ask for"
    return line


def bill_table(bill: Bill) -> Table:
    """One row per node type: what it holds, how many there may be, hours and money."""
    table = Table("node type", "market", title=bill.fleet.name, title_justify="left")
    names = ("CPUs", "GPUs", "nodes", "trials each", "price an hour", "node hours", "money")
    for name in names:
        table.add_column(name, justify="right")
    for line in bill.nodes:
        table.add_row(*_bill_row(line))
    table.add_section()
    table.add_row("all", *[""] * 6, f"{bill.node_hours:,.1f}", _money(bill.money))
    return table


def _bill_row(line: NodeBill) -> tuple[str, ...]:
    node = line.node
    return (
        node.name + (" (head)" if node.is_head and node.name != "head" else ""),
        node.market,
        f"{node.cpus:g}",
        f"{node.gpus:g}",
        str(line.count),
        str(line.trials),
        "" if node.price_per_hour is None else f"{node.price_per_hour:g}",
        f"{line.hours:,.1f}",
        _money(line.money),
    )


def _money(amount: float | None) -> str:
    return "" if amount is None else f"{amount:,.2f}"


def bill_lines(bill: Bill) -> tuple[str, ...]:
    """What the table leaves out: wall time, what bounds it, what is not known.

    Args:
        bill: The bill.
    """
    lines = [
        f"{bill.fits} trials fit on the largest cluster at once, the sweep can use {bill.at_once}",
        f"wall time about {words.duration(3600 * bill.wall_hours)}; the longest chain of trials "
        f"alone takes {words.duration(3600 * bill.chain_hours)}",
        "assumed: workers are given back "
        f"{bill.fleet.idle_minutes:g} minutes after their last trial; starting them, "
        "storage and traffic are not counted",
    ]
    if bill.unpriced:
        names = ", ".join(bill.unpriced)
        label = f'`labels: {{{PRICE_LABEL}: "0.526"}}`'
        lines.append(f"money unknown: {bill.fleet.name} has no price for {names}; add {label}")
    return tuple(lines)


def status_table(board: Board) -> Table:
    """One row per cell, its stages with trials ended of trials wanted and the best score."""
    title = f"{board.spec.name}: cells"
    table = Table("regime", "size", "seed", title=title, title_justify="left")
    for stage in Stage:
        table.add_column(str(stage))
    for cell in board.cells.values():
        stages = [_study(board.study(cell, s), s) if s in cell.stages else "" for s in Stage]
        size = "" if cell.size is None else f"{cell.size:,}"
        seed = "" if cell.is_general else str(cell.seed)
        table.add_row(cell.regime, size, seed, *stages)
    return table


def _study(state: StudyState, stage: Stage) -> str:
    if state.is_untouched:
        return "waiting"
    parts = [f"{state.ended}/{state.wanted}"]
    if state.best is not None:
        parts.append(words.score(stage, state.best))
    if state.running:
        parts.append(f"{state.running} running")
    if state.failed:
        parts.append(f"{state.failed} failed")
    return ", ".join(parts)


def failure_lines(board: Board) -> tuple[str, ...]:
    """Why trials failed, the newest first, so many that the screen holds them."""
    failed = [record for record in board.records if record.state is TrialState.FAILED]
    failed.sort(key=lambda record: record.ended_at or 0.0, reverse=True)
    lines = [
        f"{board.name(record)}, {words.attempt(record)}: {' '.join(words.ending(record).split())}"
        for record in failed[:MOST_FAILURES]
    ]
    if len(failed) > MOST_FAILURES:
        lines.append(f"{len(failed) - MOST_FAILURES} more failed; MLflow has the reasons of all")
    return tuple(lines)


def status_line(board: Board) -> str:
    """How many cells are done, how much of the planned work is behind, what was spent."""
    share = f"{100 * board.share_done:.0f} % of the planned work"
    finished = f"{board.num_finished} of {len(board.cells)} cells finished, {share}"
    return "; ".join(filter(None, (finished, words.spending(board.spec, board.spent))))


def checks_table(results: Iterable[CheckResult]) -> Table:
    """One row per check: what was checked, ok or failed, what to do."""
    table = Table("checked", "result", title_justify="left")
    table.add_column("detail", overflow="fold")  # else wide characters cut words off
    for found in results:
        result = Text(found.result, style=_STYLES[found.result])
        table.add_row(found.what, result, Text(found.detail))
    return table


def diagnoses_table(diagnoses: "Sequence[Diagnosis]") -> Table:
    """One row per machine, one column per check; what is not ok is told in lines below."""
    columns = list(dict.fromkeys(r.what for diagnosis in diagnoses for r in diagnosis.results))
    table = Table("node", *columns, title="cluster", title_justify="left")
    for diagnosis in diagnoses:
        found = {result.what: result for result in diagnosis.results}
        table.add_row(diagnosis.node, *(_cell(found.get(column)) for column in columns))
    return table


def _cell(found: CheckResult | None) -> Text:
    if found is None:
        return Text("")
    shown = found.detail if found.result == "ok" else found.result
    return Text(shown, style=_STYLES[found.result])


def run_lines(summary: "RunSummary", paths: "SweepPaths", spec: SweepSpec) -> list[str]:
    """What a run did and where its results are."""
    return [
        _trained(summary),
        *_left(summary),
        f"peak memory: {summary.memory}",
        *(f"tokenised once, {line}" for line in summary.tokenising),
        f"report: {paths.report_html}",
        f"record: {_record(paths, spec)}",
    ]


def _trained(summary: "RunSummary") -> str:
    recorded, wanted = summary.num_recorded, summary.num_wanted
    if summary.num_trained > 0:
        reused = recorded - summary.num_trained
        return f"trained {summary.num_trained} trials, {reused} were recorded before"
    if recorded >= wanted:
        return f"nothing to train: all {recorded} trials are recorded"
    return "nothing trained"


def _left(summary: "RunSummary") -> list[str]:
    """What the report lacks, and why."""
    recorded, wanted, lines = summary.num_recorded, summary.num_wanted, []
    if recorded < wanted:
        reason = "the report says why"
        if summary.is_over_budget:
            reason = "the budget is spent: no further trial was started"
        lines.append(f"unfinished: {recorded} of {wanted} trials are recorded, {reason}")
    if summary.num_broken:
        lines.append(f"broken: {summary.num_broken} of these trials; run again: each is asked anew")
    if summary.num_left_out:
        lines.append(
            f"left out: {summary.num_left_out} recorded trials that the spec does not ask for; "
            "they stay recorded"
        )
    return lines


def _record(paths: "SweepPaths", spec: SweepSpec) -> str:
    """Where the MLflow record is seen: a server's address, or the line that opens a database."""
    from sweeps.passwords import without_password
    from sweeps.record.tracking import is_server

    uri = without_password(spec.tracking.uri or paths.mlflow_uri)
    return (
        uri if is_server(uri) else shlex.join([typed("mlflow"), "ui", "--backend-store-uri", uri])
    )
