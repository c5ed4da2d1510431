"""Sentences: the answer in plain words, made from the findings (pure).

Findings and rows come in; sentences go out, with regime names between backticks. A sentence never
says more than its numbers: with few seeds an order is reported as seen, and called better only
where the win probability's interval is above one half.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby, takewhile

from sweeps.answer.findings import Findings, Leader
from sweeps.answer.gain import is_asked
from sweeps.answer.results import ResultRow
from sweeps.answer.statistics import Difference
from sweeps.report.headline import headline
from sweeps.report.phrases import (
    counted,
    grouped,
    joined,
    needed_text,
    number,
    percent,
    point_name,
    points_text,
    signed,
    with_interval,
)
from sweeps.spec.values import SweepSpec
from ulm.regimes import Regime


def _leaders(findings: Findings) -> list[str]:
    """Who is first, runs of sizes with the same leader taken together."""
    sentences = []
    for regimes, run in groupby(findings.leaders, key=lambda leader: leader.regimes):
        group = list(run)
        sizes = joined(number(leader.size) for leader in group)
        values = [percent(leader.best.accuracy.value) for leader in group]
        scores = joined(values if len(set(values)) > 1 else values[:1])
        who = joined(f"`{regime}`" for regime in regimes)
        if len(regimes) > 1:
            who, margin = f"{who} score equally and highest", ""
        else:
            who = f"{who} scores highest"
            is_counted = group[-1] is findings.leaders[-1]  # among the comparisons of a claim
            margin = _margin(group[-1], is_alone=len(group) == 1, is_counted=is_counted)
        sentences.append(f"At {sizes} domain documents {who} ({scores}){margin}.")
    return sentences


def _margin(leader: Leader, *, is_alone: bool, is_counted: bool) -> str:
    margin = leader.margin
    word = "better than" if margin.is_better and is_counted else "ahead of"
    but = ", though more seeds put it below" if margin.is_contradicted else ""
    where = "" if is_alone else f"at {number(leader.size)} "
    return f"; {where}it is {word} `{margin.second[0]}` by {points_text(margin)}{but}"


def _pays_off(spec: SweepSpec, findings: Findings) -> list[str]:
    """From which size on the mean is above `bow`: the question the sweep was made for."""
    bow = findings.curve_point(Regime.BOW.value, None)
    if bow is None:
        return []
    line = f"`bow` ({percent(bow.accuracy.value)}, seconds on a CPU)"
    labels = f"With {number(spec.labels.train)} labels"
    below = [d for d in findings.against_bow if d.accuracy.value <= 0]
    starts = _starts(findings)
    if starts:
        first, *others = (_start_text(start) for start in starts)
        sentences = [f"{labels}, mean accuracy passes the line of {line} with {first}."]
        sentences += [f"It also passes it with {other}." for other in others]
    elif below:
        nearest = max(below, key=lambda found: found.accuracy.value)
        sentences = [
            f"{labels}, no regime stays above the line of {line}; nearest is "
            f"{point_name(nearest.first)} with {points_text(nearest)}."
        ]
    else:
        return []
    passing = [found.first for run in _runs_above(findings) for found in run]
    falling = [d.first for d in findings.against_bow if d not in below and d.first not in passing]
    if falling:
        sentences.append(f"Above it, but not at every larger size: {grouped(falling)}.")
    surely = [found.first for found in below if found.first in findings.surely_below_bow]
    perhaps = [found.first for found in below if found.first not in surely]
    if perhaps:
        sentences.append(f"Not above it, nor surely below: {grouped(perhaps)}.")
    if surely:
        sentences.append(
            f"Surely below it: {grouped(surely)}. What is below that line is not worth a GPU."
        )
    return sentences


def _starts(findings: Findings) -> list[Difference]:
    """Per regime the smallest size from which every measured one is above `bow`, least text first.

    Of equal sizes the best comes first.
    """
    starts = [run[-1] for run in _runs_above(findings)]
    return sorted(starts, key=lambda start: (start.first[1] or 0, -start.accuracy.value))


def _runs_above(findings: Findings) -> Iterator[list[Difference]]:
    """Per regime the sizes from the largest down that are above `bow`, where there are any."""
    by_regime: dict[str, list[Difference]] = {}
    for found in findings.against_bow:
        by_regime.setdefault(found.first[0], []).append(found)
    for group in by_regime.values():
        descending = sorted(group, key=lambda found: -(found.first[1] or 0))
        if run := list(takewhile(lambda found: found.accuracy.value > 0, descending)):
            yield run


def _start_text(start: Difference) -> str:
    regime, size = start.first
    where = "" if size is None else f" from {number(size)} domain documents on"
    there = ", by" if size is None else ", there by"
    interval = start.accuracy.interval
    doubt = interval is None or interval.includes_zero or start.num_seeds < 2
    hedge = ", which may be chance" if doubt else ""
    return f"`{regime}`{where}{there} {points_text(start)}{hedge}"


def _growth(findings: Findings) -> list[str]:
    return [
        f"From {number(d.second[1] or 0)} to {number(d.first[1] or 0)} domain documents "
        f"`{d.first[0]}` changes by {points_text(d)}."
        for d in findings.growth
    ]


def _pretraining(findings: Findings) -> list[str]:
    """What each kind of text adds at the smallest and the largest size; `by_size` has them all."""
    sentences = []
    for found, what in (
        (findings.pretraining, "Starting from the general model (`ulm+domain` minus `domain`)"),
        (findings.domain_text, "Reading domain text first (`ulm+domain` minus `ulm`)"),
    ):
        ends = dict.fromkeys((*found[:1], *found[-1:]))
        values = joined(f"{signed(d.accuracy)} at {number(d.first[1] or 0)}" for d in ends)
        sentences += [f"{what} changes accuracy by {values}."] if found else []
    return sentences


def _gain(findings: Findings) -> list[str]:
    gain = findings.gain
    if gain.undefined is not None:
        return [f"The share of the gain is not defined: {gain.undefined}."]
    smaller = [(size, share) for size, share in gain.shares if size != gain.largest]
    sentences = []
    if smaller and gain.total is not None:
        shares = joined(f"{number(s)} give {with_interval(e, unit=' %')}" for s, e in smaller)
        sentences.append(
            f"Of the {with_interval(gain.total)} points that {number(gain.largest)} domain "
            f"documents add to `ulm`, {shares}."
        )
    if gain.needed:
        first = gain.needed[0]
        sentences.append(
            f"{100 * first.share:.0f} % of the gain needs {needed_text(first)}, read off between "
            "the measured sizes."
        )
    return sentences


def _scores(findings: Findings) -> list[str]:
    """What every point scores, where there is nothing to compare it with."""
    scores = (
        f"{point_name((point.regime, point.size))} {with_interval(point.accuracy, unit=' %')}"
        for point in findings.curves
    )
    return [f"Accuracy, with nothing to compare it with: {joined(scores)}."]


def _certainty(findings: Findings) -> str:
    num_seeds = findings.num_seeds
    documents = " and the choice of test documents" if findings.draws_documents else ""
    if num_seeds == 1:
        text = "There is one seed: nothing here says how much another seed would differ."
        return text + (" Brackets are over test documents only." if documents else "")
    fewest = min(point.accuracy.num_seeds for point in findings.curves)
    seeds = f"{'up to ' if fewest < num_seeds else ''}{counted(num_seeds, 'seed')}"
    return f"Brackets are 95 % intervals over {seeds}{documents}."


def state_of(rows: Sequence[ResultRow]) -> str:
    """How much of the grid is finished."""
    finished = sum(row.is_finished for row in rows)
    extended = sum(row.is_extended for row in rows)
    if finished == 0:
        return f"None of {counted(len(rows), 'cell')} is finished yet."
    before = f", {extended} of them by the search before it was extended" if extended else ""
    if finished == len(rows):
        return f"All {counted(finished, 'cell')} of the grid are finished{before}."
    return (
        f"{finished} of {counted(len(rows), 'cell')} are finished{before}; what follows is from "
        "these alone and may change."
    )


def gaps_of(rows: Sequence[ResultRow]) -> list[str]:
    """What a figure of the scores lacks, in a sentence; none where every cell has one."""
    failed = sum(row.is_failed for row in rows)
    left = sum(not row.is_finished for row in rows) - failed
    if not failed and not left:
        return []
    counts = {"failed": failed, "unfinished": left}
    text = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    regimes = dict.fromkeys(row.regime for row in rows)
    absent = regimes.keys() - {row.regime for row in rows if row.is_finished}
    none = joined(f"`{regime}`" for regime in regimes if regime in absent)
    among = f", all of {none} among them" if none else ""
    return [f"Missing of {counted(len(rows), 'cell')}: {text}{among}."]


def answer(spec: SweepSpec, findings: Findings, rows: Sequence[ResultRow]) -> tuple[str, ...]:
    """The answer, first things first.

    Args:
        spec: The sweep.
        findings: What was found.
        rows: One row per cell.

    Returns:
        Sentences; where nothing is finished, only that.
    """
    if not findings.curves:
        return (f"No answer yet. {state_of(rows)}",)
    leading = headline(spec, findings)
    found = [
        *([] if leading is None else [leading]),
        *_pays_off(spec, findings),
        *_leaders(findings),
        *_growth(findings),
        *_pretraining(findings),
    ]
    first, *rest = (
        *(found or _scores(findings)),
        *(_gain(findings) if is_asked(spec) else []),
        _certainty(findings),
    )
    finished = sum(row.is_finished for row in rows)
    if finished < len(rows):
        first = f"So far, from {finished} of {len(rows)} cells: {first[:1].lower()}{first[1:]}"
    return (first, *rest)
