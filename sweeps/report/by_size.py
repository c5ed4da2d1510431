"""By size: which regime is first at each size, by how much, and what each kind of text adds (pure).

Findings come in; a section with one line per size goes out.
"""

from collections.abc import Sequence

from sweeps.answer.findings import Findings, Leader
from sweeps.answer.statistics import Difference
from sweeps.report.blocks import Section, Table, Text
from sweeps.report.phrases import NONE, each_of, joined, number, win_chance, with_interval
from ulm.regimes import Regime

_HEADER = (
    "documents",
    "best",
    "next",
    "best − next",
    "P(best > next)",
    "best − `bow`",
    "general model",
    "domain text",
)
_NUM_TEXT = 3


def by_size_section(findings: Findings) -> Section | None:
    """A line per size; None while no size has two regimes to compare."""
    if not findings.leaders:
        return None
    text = (
        "Points of accuracy, paired by seed. Best and next are picked on the seeds that they are "
        "compared on: the distance between them is rather too large than too small. P is the "
        "chance of scoring higher at a new seed; its intervals are "
        f"{each_of(findings.leaders[0].margin.num_comparisons)} each, not for all lines together."
    )
    finished = {point.size for point in findings.curves if point.size is not None}
    if left := sorted(finished - {leader.size for leader in findings.leaders}):
        text += f" At {joined(map(number, left))} regimes share too few seeds to be compared."
    if findings.pretraining:
        text += " What the general model adds is `ulm+domain` minus `domain`."
    if findings.domain_text:
        text += " What domain text adds is `ulm+domain` minus `ulm`."
    lines = tuple(_line(findings, leader) for leader in findings.leaders)
    return Section(
        title="Which regime at which size",
        blocks=(_without_empty(lines), Text(text=text, is_soft=True)),
    )


def _line(findings: Findings, leader: Leader) -> tuple[str, ...]:
    best, margin = leader.best, leader.margin
    return (
        number(leader.size),
        f"`{best.regime}`",
        f"`{margin.second[0]}`",
        _points(margin),
        win_chance(margin),
        _points(_starting_with(findings.against_bow, best.regime, best.size)),
        _points(_starting_with(findings.pretraining, Regime.ULM_DOMAIN, leader.size)),
        _points(_starting_with(findings.domain_text, Regime.ULM_DOMAIN, leader.size)),
    )


def _starting_with(found: Sequence[Difference], regime: str, size: int | None) -> Difference | None:
    return next((d for d in found if d.first == (regime, size)), None)


def _points(found: Difference | None) -> str:
    return NONE if found is None else with_interval(found.accuracy)


def _without_empty(lines: tuple[tuple[str, ...], ...]) -> Table:
    """A table of the columns that say something at some size."""
    told = [index for index in range(len(_HEADER)) if any(line[index] != NONE for line in lines)]
    return Table(
        header=tuple(_HEADER[index] for index in told),
        lines=tuple(tuple(line[index] for index in told) for line in lines),
        num_text=sum(index < _NUM_TEXT for index in told),
    )
