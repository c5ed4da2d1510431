"""Target advice: how many documents a target accuracy needs, or why that cannot be said (pure).

Scores, a question and an extrapolation come in; sentences and the cells to add go out. `Advice` is
what every part of `sweep advise` returns.
"""

from dataclasses import dataclass

from sweeps.advice.question import Question
from sweeps.advice.wanted import Wanted, wanted_sizes
from sweeps.answer.crossings import Crossing, find_crossing, reaching
from sweeps.answer.extrapolation import ALL_REFUTED, Extrapolation, range_of, why_not
from sweeps.answer.findings import Growth
from sweeps.answer.scores import Interval, Scores
from sweeps.report.phrases import counted, joined, number, rounded, span
from sweeps.spec.values import SweepSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class Advice:
    """What to do next.

    Args:
        lines: Sentences, regime names between backticks.
        wanted: Seeds and sizes that would answer what the data do not; empty where they do.
    """

    lines: tuple[str, ...]
    wanted: Wanted


def said(*lines: str, wanted: Wanted | None = None) -> Advice:
    """Lines and what they want."""
    return Advice(lines=lines, wanted=wanted or Wanted())


def target_advice(
    spec: SweepSpec,
    scores: Scores,
    lead: Growth,
    question: Question,
    model: Extrapolation | None,
) -> Advice:
    """What the target accuracy of a question needs; nothing where none is named."""
    if question.target is None:
        return said()
    crossing = find_crossing(scores, spec.sizes, reaching(lead.regime, question.target))
    if crossing is None:
        return said()
    name = f"{100 * question.target:g} %"
    if crossing.is_bracketed:
        return _bracketed(name, lead.regime, crossing)
    if not crossing.begins_below and crossing.is_at_most:
        return _from_the_start(name, lead.regime, crossing)
    if crossing.documents is None and crossing.num_seeds > 1 and not _touches_end(crossing):
        if model is None or not model.trusted:
            reason = why_not(scores, lead.regime, spec.sizes) or ALL_REFUTED
            return said(
                f"{_not_within(name, crossing)}, and its curve is not extrapolated: {reason}.",
                wanted=wanted_sizes(spec, question.most_documents),
            )
        return _beyond(spec, name, question, question.target, crossing, model)
    return _unresolved(spec, name, lead.regime, question, crossing)


def _touches_end(crossing: Crossing) -> bool:
    """Whether the largest size may have the target already."""
    return crossing.interval is None or crossing.interval.low < crossing.largest


def _bracketed(name: str, regime: str, crossing: Crossing) -> Advice:
    assert crossing.documents is not None, "what is bracketed is reached"
    text = (
        f"Target {name}: `{regime}` reaches it from about {rounded(crossing.documents)} documents"
    )
    if crossing.interval is None:
        return said(f"{text}.")
    return said(
        f"{text} (95 %: {span(crossing.interval)}); collect {rounded(crossing.interval.high)} to "
        "be on the safe side, and no more for this target."
    )


def _from_the_start(name: str, regime: str, crossing: Crossing) -> Advice:
    smallest = number(crossing.smallest)
    if crossing.interval is None or crossing.interval.high > crossing.smallest:
        return said(
            f"Target {name}: the mean of `{regime}` at {smallest} documents, the smallest size, is "
            "above it, its interval is not: no answer below that size, more seeds decide.",
            wanted=Wanted(num_seeds=crossing.num_seeds + 2),
        )
    return said(f"Target {name}: {smallest} documents, the smallest size, reach it already.")


def _not_within(name: str, crossing: Crossing) -> str:
    return f"Target {name}: not reached within {number(crossing.largest)} documents"


def _beyond(
    spec: SweepSpec,
    name: str,
    question: Question,
    target: float,
    crossing: Crossing,
    model: Extrapolation,
) -> Advice:
    begin, predictions = _not_within(name, crossing), model.documents_for(target)
    ends = range_of(predictions)
    if ends.low > model.limit:
        return said(
            f"{begin}, and by every form not within {rounded(model.limit)} either: up to there "
            "more text does not reach it; more labels or a larger model might."
        )
    forms = joined(f"{p.form} {_documents(p.value, model.limit)}" for p in predictions)
    return said(
        f"{begin}; extrapolated it needs {_range(ends, model.limit)} documents ({forms}): forms "
        "that fit the measured sizes alike, so this is a range and not a number; measure a larger "
        "size before paying for all of it.",
        wanted=wanted_sizes(spec, question.most_documents),
    )


def _documents(value: float, limit: float) -> str:
    return f"more than {rounded(limit)}" if value > limit else rounded(value)


def _range(ends: Interval, limit: float) -> str:
    return f"{rounded(ends.low)} to {_documents(ends.high, limit)}"


def _unresolved(
    spec: SweepSpec, name: str, regime: str, question: Question, crossing: Crossing
) -> Advice:
    if crossing.num_seeds < 2:
        return said(
            f"Target {name}: no answer, {counted(crossing.num_seeds, 'seed')} shows no spread; add "
            "seeds.",
            wanted=Wanted(num_seeds=3),
        )
    seen = "is not reached in the mean"
    if crossing.documents is not None:
        seen = f"is passed by the mean at about {rounded(crossing.documents)} documents"
    reason = "the interval of the curve holds it at the end of the measured range"
    if crossing.interval is not None:
        reason += f" (95 %: {span(crossing.interval)})"
    return said(
        f"Target {name}: {seen} of `{regime}`, but {reason}: {counted(crossing.num_seeds, 'seed')} "
        "cannot say where; add seeds, and a larger size where the range ends too early.",
        wanted=Wanted(num_seeds=crossing.num_seeds + 2).joined(
            Wanted() if crossing.ends_above else wanted_sizes(spec, question.most_documents)
        ),
    )
