"""Advice: what to collect next, what it should bring, how sure that is, and when to stop (pure).

Evidence and a question come in; lines of text and the cells to add go out. Within the
measured sizes advice rests on intervals; beyond them on the range over several forms, up to four
times the largest size; where neither answers it says so and names the cells that would.
"""

from math import inf

import numpy as np

from sweeps.advice.collecting import Outlook, outlook_at
from sweeps.advice.question import Question
from sweeps.advice.target_advice import Advice, said, target_advice
from sweeps.advice.wanted import (
    CHANCE,
    MOST_SEEDS,
    Wanted,
    asks_for_documents,
    wanted_sizes,
    wanted_to_decide,
)
from sweeps.answer.extrapolation import REACH, Extrapolation
from sweeps.answer.findings import Findings, Lead
from sweeps.answer.paired import MOST_MORE, POWER, more_seeds_to_claim
from sweeps.answer.scores import Scores
from sweeps.answer.statistics import Doubling
from sweeps.report.caveats import not_drawn, not_paired, short_searches
from sweeps.report.evidence import Evidence
from sweeps.report.headline import WORTHWHILE, over_bow
from sweeps.report.phrases import (
    READ_OFF,
    counted,
    forms_used,
    joined,
    number,
    percent,
    plus,
    points_text,
    signed,
)
from sweeps.spec.values import SweepSpec


def advise(evidence: Evidence, question: Question) -> Advice:
    """Answer a question from what is finished."""
    spec, scores, findings = evidence.spec, evidence.scores, evidence.findings
    lead = findings.lead
    if lead is None:
        return Advice(
            lines=("No advice yet: no regime that reads domain text has a finished cell.",),
            wanted=Wanted(),
        )
    lines: list[str] = []
    wanted = Wanted()
    for part in (
        target_advice(spec, scores, question),
        _next_text(evidence, lead, question),
        _stop(spec, scores, lead, question),
        _pool(spec, question),
        _reference(findings, lead),
        _sureness(spec, scores, findings, lead),
    ):
        lines += part.lines
        wanted = wanted.joined(part.wanted)
    lines += [*_forms(evidence.model), *short_searches(evidence.search_curves)]
    lines += [*not_drawn(evidence), *not_paired(evidence)]
    labels = number(spec.labels.train)
    lines.append(f"Documents are counted in all, your {labels} labelled ones included.")
    return Advice(lines=tuple(lines), wanted=wanted.beyond(spec))


def _next_text(evidence: Evidence, lead: Lead, question: Question) -> Advice:
    spec, scores = evidence.spec, evidence.scores
    known = [size for size in spec.sizes if scores.has((lead.regime, size))]
    size = question.budget_documents or 2 * known[-1]
    outlook = outlook_at(evidence.rows, scores, lead.regime, known, size, evidence.model)
    if isinstance(outlook, str):
        return said(
            f"{number(size)} documents: no answer, {outlook}.",
            wanted=_wanted_to_say_more(spec, lead, size, question),
        )
    lines = [_outlook_text(outlook, lead.regime)]
    money = _money_text(outlook, question)
    return said(*lines, *([money] if money else []))


def _wanted_to_say_more(spec: SweepSpec, lead: Lead, size: int, question: Question) -> Wanted:
    """Sizes that would say more of a size that nothing is said of: itself where it is small.

    None where nobody asked for it and more text surely brings little.
    """
    if question.budget_documents is None and lead.enough_from(WORTHWHILE):
        return Wanted()
    if spec.labels.train <= size < spec.sizes[0]:
        return Wanted(sizes=(size,))
    return wanted_sizes(spec, question.most_documents)


def _outlook_text(outlook: Outlook, regime: str) -> str:
    low, high = outlook.accuracy.low, outlook.accuracy.high
    forms = f"extrapolated by {forms_used(outlook.num_forms)}, or it levels off"
    read_off = "95 %" if outlook.is_measured else f"95 %, {READ_OFF}"
    what = forms if outlook.num_forms else read_off
    text = (
        f"{number(outlook.size)} documents: `{regime}` should score {percent(low)} to "
        f"{percent(high)} on average over seeds ({what})"
    )
    gain = outlook.gain
    if gain is not None:
        text += (
            f", {plus(gain.low)} to {plus(gain.high)} points against {number(outlook.start)} "
            "documents"
        )
    return f"{text}."


def _money_text(outlook: Outlook, question: Question) -> str | None:
    parts, total = [], 0.0
    more = max(0, outlook.size - outlook.start)
    if question.price_per_document is not None:
        cost = more * question.price_per_document
        parts.append(f"{number(more)} documents cost {cost:,.2f}")
        total += cost
    if question.price_per_gpu_hour is not None and outlook.accelerator_hours is not None:
        cost = outlook.accelerator_hours * question.price_per_gpu_hour
        parts.append(f"{outlook.accelerator_hours:.2g} accelerator hours a cell cost {cost:,.2f}")
        total += cost
    if not parts:
        return None
    text = f"For that {joined(parts)}"
    if outlook.gain is None or outlook.gain.high <= 0:
        return f"{text}; a gain is not to be expected."
    cheapest = total / (100 * outlook.gain.high)
    dearest = total / (100 * outlook.gain.low) if outlook.gain.low > 0 else inf
    most = "any price" if dearest == inf else f"{dearest:,.2f}"
    return f"{text}: {cheapest:,.2f} to {most} a point of accuracy."


def _stop(spec: SweepSpec, scores: Scores, lead: Lead, question: Question) -> Advice:
    stretch = lead.enough_from(WORTHWHILE)
    if stretch is not None:
        return said(
            f"Stop at {number(stretch.start)} documents: from there to {number(stretch.end)} a "
            f"doubling brings `{lead.regime}` less than half a point between any two sizes, with "
            "its whole interval."
        )
    if not lead.by_step:
        return said(
            "When to stop: no answer, no seed has two neighbouring sizes.",
            wanted=wanted_sizes(spec, question.most_documents),
        )
    last = lead.by_step[-1]
    text, interval = _doubling_text(last), last.accuracy.interval
    if interval is None or last.accuracy.num_seeds < 2:
        return said(
            f"When to stop: no answer, {text} at one seed; add seeds.", wanted=Wanted(num_seeds=3)
        )
    if interval.low > WORTHWHILE:
        return said(f"Not yet: {text}, surely more than half a point.")
    little = last if last.is_below(WORTHWHILE) else _flat(lead)
    if little is not None:
        return said(
            f"When to stop: no answer, {_doubling_text(little)}, and no rise before it is sure: "
            "more text helps little here, or only beyond these sizes.",
            wanted=wanted_sizes(spec, question.most_documents),
        )
    remedy, wanted = _remedy(scores, last)
    return said(
        f"When to stop: no answer, {text}, which holds half a point; {remedy}.", wanted=wanted
    )


def _remedy(scores: Scores, found: Doubling) -> tuple[str, Wanted | None]:
    """What would tell whether a doubling brings half a point, where its interval holds that."""
    spread, weights = scores.spread(*found.points), np.array(found.weights)
    distance = abs(found.accuracy.value - WORTHWHILE)
    if asks_for_documents(spread, weights, distance):
        return "more test documents are needed: with these no number of seeds decides", None
    wanted = wanted_to_decide(spread, weights, distance)
    if wanted is None:
        return f"more than {MOST_SEEDS} seeds would be needed to decide", None
    return (
        f"{number(wanted.num_seeds)} seeds in all would decide with a chance of "
        f"{100 * CHANCE:.0f} %, if these tell value and scatter"
    ), wanted


def _doubling_text(found: Doubling) -> str:
    return (
        f"from {number(found.start)} to {number(found.end)} documents a doubling brought "
        f"`{found.regime}` {signed(found.accuracy)}"
    )


def _flat(lead: Lead) -> Doubling | None:
    """All sizes, where a doubling over them surely brings little and no rise is sure."""
    risen = any(doubling.is_rising for doubling in lead.from_the_start)
    whole = lead.from_the_start[-1:]
    return next((d for d in whole if d.is_below(WORTHWHILE) and not risen), None)


def _pool(spec: SweepSpec, question: Question) -> Advice:
    """What it takes to go beyond the text there is, where advice may go there."""
    pool = question.pool_documents
    furthest = max(REACH * spec.sizes[-1], question.budget_documents or 0)
    if pool is None or furthest <= pool:
        return said()
    return said(
        f"The recorded corpus has {number(pool)} documents for training: what lies beyond must be "
        "collected first, and a sweep of more text needs a new name, since its subsets are others."
    )


def _reference(findings: Findings, lead: Lead) -> Advice:
    """Where TF-IDF is passed, in the words of the headline."""
    text = "; ".join(over_bow(findings, lead))
    return said(f"{text[:1].upper()}{text[1:]}.") if text else said()


def _sureness(spec: SweepSpec, scores: Scores, findings: Findings, lead: Lead) -> Advice:
    """Seeds that a claim about the leader still needs."""
    num_seeds = max(scores.count((lead.regime, size)) for size in spec.sizes)
    if num_seeds < 3:
        return said(
            f"{counted(num_seeds, 'seed')} of `{lead.regime}`: intervals rest on "
            f"{counted(num_seeds - 1, 'degree')} of freedom; three seeds are the fewest worth "
            "planning with.",
            wanted=Wanted(num_seeds=3),
        )
    last = findings.leaders[-1].margin if findings.leaders else None
    if last is None or last.is_better:
        return said()
    text = (
        f"Who is first at {number(findings.leaders[-1].size)} documents is not a claim: "
        f"{points_text(last)}"
    )
    if last.is_contradicted:
        return said(
            f"{text}; `{last.first[0]}` is ahead on average, and below `{last.second[0]}` at more "
            "seeds than above: look at the seeds that lift it."
        )
    more = more_seeds_to_claim(last)
    if more is None or last.num_seeds + more > MOST_SEEDS:
        needed = f"over {MOST_MORE}" if more is None else number(more)
        remedy = "choose by cost"
        if last.is_above:
            remedy = f"`{last.first[0]}` is ahead on average, but not at every seed"
        return said(
            f"{text}; if more seeds went as these it would take {needed} of them: {remedy}."
        )
    return said(
        f"{text}; {counted(more, 'more seed')} that went as these would make it one, with a chance "
        f"of {100 * POWER:.0f} %.",
        wanted=Wanted(num_seeds=last.num_seeds + more),
    )


def _forms(model: Extrapolation | None) -> list[str]:
    if model is None:
        return []
    lines = []
    for found in model.fitted:
        miss = found.miss
        if miss is not None:
            refuted = "; not used" if found.is_refuted else ""
            lines.append(
                f"Form {found.form.name}, {found.form.formula}: fitted without "
                f"{number(model.sizes[-1])} documents it misses them by "
                f"{signed(miss)}{refuted}."
            )
    return lines
