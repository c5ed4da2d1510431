"""Headline: the answer in one sentence, made of what the data support (pure).

Findings come in, one sentence goes out: the accuracy that is passed, the share of the gain, where
more text stops paying, where the bag of words is better. A clause whose interval does not support
it is left out; where that leaves none, it says how the largest size stands to the references, and
whether the seeds tell that. With one seed there is no sentence.
"""

from collections.abc import Iterator

from sweeps.answer.findings import Findings, Growth
from sweeps.answer.statistics import Difference
from sweeps.report.phrases import number, rounded, span
from sweeps.spec.values import SweepSpec

WORTHWHILE = 0.005  # a doubling that brings surely less than half a point is not worth collecting


def headline(spec: SweepSpec, findings: Findings) -> str | None:
    """The answer in one sentence, made of the clauses that the data support.

    Returns:
        None where they support none.
    """
    lead = findings.lead
    if lead is None:
        return None
    found = [*_passing(lead), *_share(findings), *_enough(lead)]
    below = _below(findings, lead) or (_not_above(findings, lead) if found else [])
    clauses = [*found, *below] or _standing(findings, lead) or _undecided(findings, lead)
    if not clauses:
        return None
    return f"With {number(spec.labels.train)} labels, {'; '.join(clauses)}."


def _passing(lead: Growth) -> list[str]:
    if lead.passage is None or lead.passage.crossing.documents is None:
        return []
    crossing, sure = lead.passage.crossing, ""
    if crossing.interval is not None:
        sure = f" (95 %: {span(crossing.interval)})"
    return [
        f"`{lead.regime}` passes {100 * lead.passage.target:.0f} % from "
        f"{rounded(crossing.documents or 0)} documents{sure}"
    ]


def _share(findings: Findings) -> list[str]:
    if not findings.gain.needed or not findings.gain.needed[0].is_bracketed:
        return []
    needed = findings.gain.needed[0]
    sure = "" if needed.interval is None else f" (95 %: {span(needed.interval)})"
    return [
        f"three quarters of what {number(findings.gain.largest)} documents add needs "
        f"{rounded(needed.documents)} of them{sure}"
    ]


def _enough(lead: Growth) -> list[str]:
    stretch = lead.enough_from(WORTHWHILE)
    if stretch is None:
        return []
    return [
        f"beyond {number(stretch.start)} more text buys less than half a point per doubling "
        f"(measured to {number(stretch.end)})"
    ]


def _below(findings: Findings, lead: Growth) -> list[str]:
    """Where the bag of words is the better choice."""
    crossing = lead.over_bow
    if crossing is None or crossing.num_seeds < 2:
        return []
    is_sure = crossing.begins_below and crossing.is_bracketed
    if is_sure and crossing.documents is not None and crossing.interval is not None:
        return [f"below {rounded(crossing.documents)} (95 %: {span(crossing.interval)}) use TF-IDF"]
    sized = _over_bow(findings, lead)
    ends = [d.accuracy.interval.high for d in sized if d.accuracy.interval is not None]
    if len(ends) == len(sized) and max(ends) < 0:
        return [f"up to {number(crossing.largest)} documents use TF-IDF"]
    return []


def _over_bow(findings: Findings, lead: Growth) -> list[Difference]:
    return [d for d in findings.against_bow if d.first[0] == lead.regime]


def _not_above(findings: Findings, lead: Growth) -> list[str]:
    """What a good word for more text must not leave unsaid."""
    crossing = lead.over_bow
    if crossing is None or crossing.num_seeds < 2 or crossing.documents is not None:
        return []
    if any(d.accuracy.value > 0 for d in _over_bow(findings, lead)):
        return [f"`{lead.regime}` at {number(crossing.largest)} documents is not above TF-IDF"]
    return ["no measured size is above TF-IDF"]


def _standing(findings: Findings, lead: Growth) -> list[str]:
    """The largest size against the bag of words, else against `ulm`, where they differ surely."""
    found = (_against(difference, name) for difference, name in _at_largest(findings, lead))
    return [text for text in found if text is not None][:1]


def _undecided(findings: Findings, lead: Growth) -> list[str]:
    """That the seeds do not tell, with what is seen at the largest size."""
    for found, name in _at_largest(findings, lead):
        interval, points = found.accuracy.interval, 100 * found.accuracy.value
        if interval is None or found.num_seeds < 2:
            continue
        return [
            f"{found.num_seeds} seeds do not tell whether domain text pays: `{lead.regime}` with "
            f"{number(found.first[1] or 0)} documents minus {name} is {points:+.1f} points "
            f"(95 %: {100 * interval.low:+.1f} to {100 * interval.high:+.1f})"
        ]
    return []


def _at_largest(findings: Findings, lead: Growth) -> Iterator[tuple[Difference, str]]:
    for differences, name in ((findings.against_bow, "TF-IDF"), (findings.domain_text, "`ulm`")):
        sized = [d for d in differences if d.first[0] == lead.regime]
        if sized:
            yield max(sized, key=lambda d: d.first[1] or 0), name


def _against(found: Difference, name: str) -> str | None:
    interval, seeds = found.accuracy.interval, found.num_seeds
    if interval is None or interval.includes_zero or seeds < 2:
        return None
    low, high = sorted(abs(100 * end) for end in (interval.low, interval.high))
    is_above = found.accuracy.value > 0
    text = (
        f"`{found.first[0]}` with {number(found.first[1] or 0)} documents is "
        f"{abs(100 * found.accuracy.value):.1f} points {'above' if is_above else 'below'} {name} "
        f"(95 %: {low:.1f}–{high:.1f})"
    )
    return f"{text}; from how many on it pays {seeds} seeds do not tell" if is_above else text
