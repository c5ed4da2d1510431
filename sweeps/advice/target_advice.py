"""Target advice: how many documents a target accuracy needs, or why that cannot be said (pure).

Scores, a question and an extrapolation come in; sentences and the cells to add go out. `Advice` is
what every part of `sweep advise` returns.
"""

from dataclasses import dataclass
from math import inf

from sweeps.advice.question import Question
from sweeps.advice.wanted import Wanted, wanted_sizes
from sweeps.answer.crossings import Crossing
from sweeps.answer.extrapolation import ALL_REFUTED, extrapolate, range_of, why_not
from sweeps.answer.scores import Scores
from sweeps.answer.targets import Passage, reach
from sweeps.report.phrases import (
    counted,
    forms_used,
    joined,
    number,
    reached_without_text,
    rounded,
    rounded_up,
    span,
)
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


def target_advice(spec: SweepSpec, scores: Scores, question: Question) -> Advice:
    """What the target accuracy of a question needs; nothing where none is named.

    By the regime that needs least text for it, none at all included.
    """
    target = question.target
    if target is None:
        return said()
    name = f"Target {100 * target:g} %"
    found = reach(scores, spec.sizes, target)
    if found.without_text:
        return said(f"{name}: {reached_without_text(found)}.")
    way = found.shortest
    if way is None:
        return said()
    crossing = way.crossing
    if crossing.num_seeds < 2:
        return said(
            f"{name}: no answer, {counted(crossing.num_seeds, 'seed')} shows no spread; add seeds.",
            wanted=Wanted(num_seeds=3),
        )
    if crossing.ends_above:
        return _reached(name, way)
    if crossing.interval is not None and crossing.interval.low >= crossing.largest:
        return _beyond(spec, scores, name, question, way, target)
    return _unresolved(spec, name, question, way)


def _reached(name: str, way: Passage) -> Advice:
    crossing, regime = way.crossing, way.regime
    assert crossing.interval is not None, "it ends above"
    assert crossing.documents is not None, "it ends above"
    smallest = number(crossing.smallest)
    if crossing.is_throughout:
        return said(
            f"{name}: {smallest} documents, the smallest size, reach it with `{regime}` on average "
            f"over label sets; {_to_collect(crossing)}."
        )
    if crossing.is_bracketed:
        return said(
            f"{name}: `{regime}` reaches it, on average over label sets, from about "
            f"{rounded(crossing.documents)} documents (95 %: {span(crossing.interval)}); "
            f"{_to_collect(crossing)}."
        )
    return said(
        f"{name}: `{regime}` surely reaches it, on average over label sets, from "
        f"{rounded_up(crossing.interval.high)} documents on, perhaps from {smallest}, the smallest "
        f"size; {_to_collect(crossing)}. More seeds or a smaller size may show that fewer do.",
        wanted=Wanted(num_seeds=crossing.num_seeds + 2),
    )


def _to_collect(crossing: Crossing) -> str:
    """How many the one run needs that its reader will make; the mean is reached by fewer."""
    assert crossing.interval is not None, "it ends above"
    assert crossing.new_seed is not None, "it has an interval"
    if crossing.new_seed < inf:
        enough = rounded_up(crossing.new_seed)
        return f"collect {enough} for one run with labels of its own, and no more"
    return (
        f"collect {rounded_up(crossing.interval.high)} for that; one run with labels of its own "
        f"may miss it even with {number(crossing.largest)}, the largest size"
    )


def _beyond(
    spec: SweepSpec, scores: Scores, name: str, question: Question, way: Passage, target: float
) -> Advice:
    largest = way.crossing.largest
    begin = f"{name}: not reached within {number(largest)} documents"
    model = extrapolate(scores, way.regime, spec.sizes)
    if model is None or not model.trusted:
        reason = why_not(scores, way.regime, spec.sizes) or ALL_REFUTED
        return said(
            f"{begin}, and the curve of `{way.regime}` is not extrapolated: {reason}.",
            wanted=wanted_sizes(spec, question.most_documents),
        )
    predictions = model.documents_for(target)
    ends = range_of(predictions)
    if ends.low > model.limit:
        return said(
            f"{begin}, and by {forms_used(len(predictions))} of `{way.regime}` not within "
            f"{rounded(model.limit)} either: up to there more text does not reach it; more labels "
            "or a larger model might."
        )
    forms = joined(f"{p.form} {_documents(p.value, largest, model.limit)}" for p in predictions)
    return said(
        f"{begin}; extrapolated `{way.regime}` needs {_at_least(ends.low, largest)} ({forms}), by "
        f"{forms_used(len(predictions))}, unless it levels off before, which no measured size "
        "rules out; measure a larger size before paying for all of it.",
        wanted=wanted_sizes(spec, question.most_documents),
    )


def _at_least(value: float, largest: int) -> str:
    if value > largest:
        return f"{rounded(value)} documents or more"
    return f"more than {number(largest)} documents"


def _documents(value: float, largest: int, limit: float) -> str:
    """Documents that a form says are needed; not within the largest size, whatever it says."""
    if value > limit:
        return f"more than {rounded(limit)}"
    return rounded(value) if value > largest else f"more than {number(largest)}"


def _unresolved(spec: SweepSpec, name: str, question: Question, way: Passage) -> Advice:
    """Where the largest size may have the target, and may not."""
    crossing = way.crossing
    seen = "is not reached in the mean"
    if crossing.documents is not None:
        seen = f"is passed by the mean at about {rounded(crossing.documents)} documents"
    reason = "the interval of the curve holds it at the end of the measured range"
    if crossing.interval is not None:
        reason += f" (95 %: {span(crossing.interval)})"
    seeds = counted(crossing.num_seeds, "seed")
    return said(
        f"{name}: {seen} of `{way.regime}`, but {reason}: {seeds} cannot say where; add seeds, and "
        "a larger size where the range ends too early.",
        wanted=Wanted(num_seeds=crossing.num_seeds + 2).joined(
            wanted_sizes(spec, question.most_documents)
        ),
    )
