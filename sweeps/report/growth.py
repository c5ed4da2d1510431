"""Growth: what more domain text brings, where curves meet, and what lies beyond (pure).

Evidence comes in; two sections go out.
"""

from collections.abc import Iterator

from sweeps.answer.crossings import Crossing
from sweeps.answer.extrapolation import ALL_REFUTED, Extrapolation, FittedForm, why_not
from sweeps.answer.findings import Findings, Lead
from sweeps.answer.gain import is_asked
from sweeps.report.blocks import Block, Bullets, Section, Table, Text
from sweeps.report.evidence import Evidence
from sweeps.report.phrases import (
    NONE,
    crossing_span,
    joined,
    needed_text,
    number,
    percent,
    rounded,
    with_interval,
)


def growth_section(evidence: Evidence) -> Section | None:
    """Share of the gain, what a doubling brings, where curves meet; None without any of them."""
    findings = evidence.findings
    blocks: list[Block] = []
    if is_asked(evidence.spec):
        blocks += _gain(findings)
    if findings.lead is not None:
        blocks += _doublings(findings.lead)
    meetings = tuple(_meetings(findings))
    if meetings:
        text = (
            "Where curves meet, read off between the measured sizes; passed is what a curve stays "
            "above from there on:"
        )
        blocks += [Text(text=text)]
        blocks += [Bullets(items=meetings)]
    return Section(title="What more text brings", blocks=tuple(blocks)) if blocks else None


def _gain(findings: Findings) -> list[Block]:
    """Share of the gain at each size, and the documents that some shares need."""
    gain = findings.gain
    if gain.undefined is not None:
        return [Text(text=f"The share of the gain is not defined: {gain.undefined}.")]
    text = (
        "Share of the gain: what `ulm+domain` adds to `ulm`, with what it adds at the largest size "
        "as the whole."
    )
    return [Text(text=text), _gain_table(findings), *_needed(findings)]


def _doublings(lead: Lead) -> list[Block]:
    if not lead.by_step:
        return []
    lines = tuple((number(d.start), number(d.end), with_interval(d.accuracy)) for d in lead.by_step)
    return [
        Text(text=f"What a doubling of the domain text brings `{lead.regime}`, in points:"),
        Table(header=("from", "to", "per doubling"), lines=lines, num_text=0),
    ]


def _gain_table(findings: Findings) -> Table:
    """Share of the gain by size."""
    gain = findings.gain
    lines = [
        (
            number(size),
            "100 % (by definition)" if size == gain.largest else with_interval(share, unit=" %"),
            str(share.num_seeds),
        )
        for size, share in gain.shares
    ]
    return Table(
        header=("domain documents", "share of the gain", "seeds"), lines=tuple(lines), num_text=0
    )


def _needed(findings: Findings) -> list[Block]:
    items = tuple(
        f"{100 * needed.share:.0f} % of the gain: {needed_text(needed)}."
        for needed in findings.gain.needed
    )
    return [Bullets(items=items)] if items else []


def _meetings(findings: Findings) -> Iterator[str]:
    lead, overtaking = findings.lead, findings.overtaking
    for regime, crossing in findings.over_bow.items():
        yield _meeting(regime, "`bow`", crossing)
    if lead is not None and lead.passage is not None:
        target = f"{100 * lead.passage.target:.0f} %"
        yield _meeting(lead.regime, target, lead.passage.crossing)
    if overtaking is not None:
        yield _meeting("domain", "`ulm+domain`", overtaking)


def _meeting(regime: str, line: str, crossing: Crossing) -> str:
    interval = crossing.interval
    sure = "" if interval is None else f" (95 %: {crossing_span(crossing, interval)})"
    if crossing.documents is None and crossing.above:
        sizes = joined(map(number, crossing.above))
        return (
            f"`{regime}` is above {line} at {sizes} documents, but not at the largest, "
            f"{number(crossing.largest)}{sure}."
        )
    if crossing.documents is None:
        return (
            f"`{regime}` does not pass {line} within the measured range, up to "
            f"{number(crossing.largest)} documents{sure}."
        )
    if crossing.is_at_most:
        return (
            f"`{regime}` is above {line} from the smallest size on, "
            f"{number(crossing.smallest)} documents{sure}."
        )
    return f"`{regime}` passes {line} at about {rounded(crossing.documents)} documents{sure}."


def beyond_section(evidence: Evidence) -> Section | None:
    """What forms of the curve say beyond the largest size; None where nothing has a size axis."""
    lead = evidence.findings.lead
    if lead is None:
        return None
    model = evidence.model
    if model is None:
        reason = why_not(evidence.scores, lead.regime, evidence.spec.sizes)
        blocks: tuple[Block, ...] = (
            Text(text=f"The curve of `{lead.regime}` is not extrapolated: {reason}."),
        )
    else:
        blocks = _beyond(model)
    return Section(title="Beyond the largest size", blocks=blocks)


def _beyond(model: Extrapolation) -> tuple[Block, ...]:
    largest, twice = model.sizes[-1], 2 * model.sizes[-1]
    header = ("form", "error", f"misses {number(largest)} by", f"at {number(twice)}", "95 %")
    lines = tuple(_form_line(found, twice) for found in model.fitted)
    said = model.accuracy_at(twice)
    if not said:
        text = f"The curve of `{model.regime}` is not extrapolated: {ALL_REFUTED}."
    else:
        ends = model.accuracy_range(twice)
        text = (
            f"At {number(twice)} documents, twice the largest measured size, `{model.regime}` "
            f"should score {percent(ends.low)} to {percent(ends.high)} on average over seeds: "
            f"{_rests_on(len(said))}."
        )
    return (
        Text(text=text),
        Table(header=header, lines=lines, num_text=2),
        Text(
            text="Every form was also fitted without the largest size and asked for it: that is "
            "its miss, in points. A form is not used that misses it by more than a point, and "
            "surely so or by more than twice as much as the best. Three sizes tell only forms "
            "with two parameters apart, four those with a floor.",
            is_soft=True,
        ),
    )


def _rests_on(num_forms: int) -> str:
    if num_forms == 1:
        return "the range from a curve that levels off to the one form below that is used"
    return (
        f"the range over a curve that levels off and the {num_forms} forms below that are used, "
        "with their intervals"
    )


def _form_line(found: FittedForm, size: int) -> tuple[str, ...]:
    miss = NONE if found.miss is None else with_interval(found.miss)
    if found.is_refuted:
        return (found.form.name, found.form.formula, miss, "not used", NONE)
    said = found.predict(size)
    ends = f"{percent(said.interval.low)} to {percent(said.interval.high)}"
    return (found.form.name, found.form.formula, miss, percent(said.value), ends)
