"""Target advice: how many documents a target accuracy needs, or why that cannot be said (pure).

Scores, a question and an extrapolation come in; sentences and the cells to add go out. `Advice` is
what every part of `sweep advise` returns.
"""

from dataclasses import dataclass

from sweeps.advice.question import Question
from sweeps.advice.wanted import Wanted, wanted_sizes
from sweeps.answer.extrapolation import ALL_REFUTED, extrapolate, range_of, why_not
from sweeps.answer.scores import Scores
from sweeps.answer.targets import Passage, Reach, reach
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
        return said(f"{name}: {reached_without_text(found)}; {_of_one_run(spec, found)}.")
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
        return _reached(spec, name, way, found)
    if crossing.interval is not None and crossing.interval.low >= crossing.largest:
        return _beyond(spec, scores, name, question, way, target)
    return _unresolved(spec, name, question, way)


def _reached(spec: SweepSpec, name: str, way: Passage, found: Reach) -> Advice:
    crossing, regime, wanted = way.crossing, way.regime, Wanted()
    assert crossing.interval is not None, "it ends above"
    assert crossing.documents is not None, "it ends above"
    smallest, safe = number(crossing.smallest), rounded_up(crossing.interval.high, spec.sizes[-1])
    if crossing.is_throughout:
        text = f"{smallest} documents, the smallest size, reach it with `{regime}`"
    elif crossing.is_bracketed:
        text = (
            f"`{regime}` reaches it from about {rounded(crossing.documents)} documents (95 %: "
            f"{span(crossing.interval)}), so surely with {safe}"
        )
    else:
        wanted = Wanted(num_seeds=crossing.num_seeds + 2)
        text = (
            f"`{regime}` surely reaches it from {safe} documents on, perhaps from {smallest}, the "
            "smallest size (more seeds or a smaller one may show it)"
        )
    return said(f"{name}: on average over seeds {text}; {_of_one_run(spec, found)}.", wanted=wanted)


def _of_one_run(spec: SweepSpec, found: Reach) -> str:
    """What the one run needs that the reader will make, where the mean needs less."""
    if found.alone_without_text:
        named = joined(f"`{regime}`" for regime in found.alone_without_text)
        return f"one run of {named} reaches it too, with a probability of 97.5 %"
    one = found.one_run
    if one is None:
        return (
            "for one run no measured size is surely enough: where that counts, add seeds, larger "
            "sizes or test documents"
        )
    is_measured = one.documents in spec.sizes
    enough = (
        number(one.documents) if is_measured else rounded_up(one.documents, most=spec.sizes[-1])
    )
    return (
        f"one run of `{one.regime}` does from {enough} documents on, with a probability of 97.5 %: "
        f"collect {enough}"
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
