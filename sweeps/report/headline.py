"""Headline: the answer in one sentence, made of what the data support (pure).

Findings come in, one sentence goes out: the accuracy that is passed, the share of the gain, where
more text stops paying, and how the bag of words is passed. A clause whose interval does not support
it is left out; how the largest size stands to the bag of words is always said, and whether the
seeds tell that. With one seed nothing is said but that
it is no better than chance.
"""

from collections.abc import Sequence
from math import inf

from sweeps.answer.crossings import Crossing
from sweeps.answer.estimates import Interval
from sweeps.answer.findings import Findings, Lead
from sweeps.answer.statistics import Difference
from sweeps.report.phrases import number, plus, reached_without_text, rounded, span
from sweeps.spec.values import SweepSpec
from ulm.regimes import Regime

WORTHWHILE = 0.005  # a doubling that brings surely less than half a point is not worth collecting


def headline(spec: SweepSpec, findings: Findings) -> str | None:
    """The answer in one sentence, made of the clauses that the data support.

    Returns:
        None where they support none.
    """
    lead = findings.lead
    if lead is None:
        return None
    if lead.is_chance:
        found = [_chance(lead)]
    else:
        found = [*_passing(lead), *_share(findings), *_enough(lead)]
    found += over_bow(findings, lead)
    clauses = found or _over_ulm(findings, lead)
    if not clauses:
        return None
    return f"With {number(spec.labels.train)} labels, {'; '.join(clauses)}."


def _chance(lead: Lead) -> str:
    assert lead.chance is not None, "it is known to be no more"
    line = f"{100 * lead.chance:.1f} %, what always saying one class scores"
    return f"`{lead.regime}` is at no size above {line}"


def _sure(interval: Interval | None) -> str:
    return "" if interval is None else f" (95 %: {span(interval)})"


def _passing(lead: Lead) -> list[str]:
    """How the accuracy is reached that the lead passes: as `sweep advise` answers that target."""
    if lead.reach is None:
        return []
    name = f"{100 * lead.reach.target:.0f} %"
    if lead.reach.without_text:
        return [f"{name} is {reached_without_text(lead.reach)}"]
    way = lead.reach.shortest
    assert way is not None, "the lead passes it"
    assert way.crossing.documents is not None, "the lead passes it"
    if way.crossing.is_throughout:
        return [_throughout(way.regime, name, way.crossing)]
    return [
        f"`{way.regime}` passes {name} from {rounded(way.crossing.documents)} documents"
        f"{_sure(way.crossing.interval)}"
    ]


def _throughout(regime: str, line: str, crossing: Crossing) -> str:
    start = number(crossing.smallest)
    return f"`{regime}` is above {line} at every measured size, from {start} documents on"


def _share(findings: Findings) -> list[str]:
    if not findings.gain.needed or not findings.gain.needed[0].crossing.is_bracketed:
        return []
    needed = findings.gain.needed[0]
    return [
        f"three quarters of what {number(findings.gain.largest)} documents add needs "
        f"{rounded(needed.documents)} of them{_sure(needed.crossing.interval)}"
    ]


def _enough(lead: Lead) -> list[str]:
    stretch = lead.enough_from(WORTHWHILE)
    if stretch is None:
        return []
    return [
        f"beyond {number(stretch.start)} more text buys `{lead.regime}` less than half a point per "
        f"doubling (measured to {number(stretch.end)})"
    ]


def over_bow(findings: Findings, lead: Lead) -> list[str]:
    """How the bag of words is passed, and which regimes pass it with less text than the lead.

    Returns:
        Clauses; none without `bow`, nor with one seed.
    """
    crossing = findings.over_bow.get(lead.regime)
    sized = _of(findings.against_bow, lead.regime)
    if crossing is None or not sized:
        return []
    passed = crossing.documents if crossing.ends_above else None
    sooner = _above_before(findings, lead, inf if passed is None else passed)
    others_are_below = not _may_be_above(findings, lead, inf if passed is None else passed)
    is_passed_once = passed is not None and crossing.is_bracketed and crossing.begins_below
    if others_are_below and passed is not None and is_passed_once:
        return [f"below {rounded(passed)} documents{_sure(crossing.interval)} use TF-IDF"]
    if others_are_below and all(found.is_below for found in sized):
        return [f"up to {number(crossing.largest)} documents use TF-IDF"]
    own = _stays_above(lead.regime, crossing) or _and_from_where(sized[-1], crossing)
    named: dict[str, Difference] = {}
    for found in sooner:
        if found.first in findings.surely_above_bow:
            named.setdefault(found.first[0], found)
    clauses = [
        _stays_above(regime, findings.over_bow.get(regime)) or _compared(first, "TF-IDF")
        for regime, first in named.items()
    ]
    over_ulm = Regime.ULM in named
    return [*clauses, own, *(_over_ulm(findings, lead) if over_ulm else [])]


def _may_be_above(findings: Findings, lead: Lead, documents: float) -> bool:
    """Whether another regime's mean is above TF-IDF with fewer documents: TF-IDF is not advised."""
    others = (found for found in findings.against_bow if found.first[0] != lead.regime)
    return any(
        found.accuracy.value > 0 and _begins(findings, found) < documents for found in others
    )


def _begins(findings: Findings, found: Difference) -> float:
    """From which size on a regime may be above TF-IDF that is above it at a point."""
    crossing, start = findings.over_bow.get(found.first[0]), float(found.first[1] or 0)
    if crossing is None or not crossing.ends_above or crossing.documents is None:
        return start
    return min(start, crossing.documents)


def _of(found: Sequence[Difference], regime: str) -> list[Difference]:
    """The differences of a regime with a size axis, over two seeds or more, ascending."""
    own = [d for d in found if d.first[0] == regime and d.num_seeds > 1]
    return sorted(own, key=lambda difference: difference.first[1] or 0)


def _above_before(findings: Findings, lead: Lead, documents: float) -> list[Difference]:
    """Points of other regimes above TF-IDF, each by itself, that pass it below a size; ascending.

    Enough not to advise TF-IDF there; named is what is above among all that were compared.
    """
    ascending = sorted(findings.against_bow, key=lambda difference: difference.first[1] or 0)
    return [
        found
        for found in ascending
        if found.first[0] != lead.regime and found.is_above and _begins(findings, found) < documents
    ]


def _stays_above(regime: str, crossing: Crossing | None) -> str | None:
    """From which size on a curve is above TF-IDF, where two sizes or more tell."""
    if crossing is None or crossing.smallest == crossing.largest:
        return None
    if crossing.is_throughout:
        return _throughout(regime, "TF-IDF", crossing)
    if crossing.is_bracketed and crossing.documents is not None:
        start = f"{rounded(crossing.documents)} documents on{_sure(crossing.interval)}"
        return f"`{regime}` stays above TF-IDF from {start}"
    return None


def _and_from_where(found: Difference, crossing: Crossing) -> str:
    text = _compared(found, "TF-IDF")
    if not found.is_above:
        return text
    is_one = crossing.smallest == crossing.largest
    told = "one size does" if is_one else f"{found.num_seeds} seeds do"
    return f"{text}; from how many on it pays {told} not tell"


def _over_ulm(findings: Findings, lead: Lead) -> list[str]:
    """What the largest size adds to no domain text at all."""
    sized = _of(findings.domain_text, lead.regime)
    return [_compared(sized[-1], "`ulm`")] if sized else []


def _compared(found: Difference, name: str) -> str:
    """A point against a reference, and whether the seeds tell them apart."""
    regime, size = found.first
    who = f"`{regime}` with {number(size)} documents" if size else f"`{regime}` without domain text"
    interval, value = found.accuracy.interval, found.accuracy.value
    assert interval is not None, "two seeds have an interval"
    if interval.includes_zero:
        return (
            f"{found.num_seeds} seeds do not tell whether {who} is above {name}: the difference "
            f"is {plus(value)} points (95 %: {plus(interval.low)} to {plus(interval.high)})"
        )
    low, high = sorted(abs(100 * end) for end in (interval.low, interval.high))
    return (
        f"{who} is {abs(100 * value):.1f} points {'above' if value > 0 else 'below'} {name} "
        f"(95 %: {low:.1f}–{high:.1f})"
    )
