"""Target advice: how many documents a target accuracy needs, or why that cannot be said (pure).

Scores, a question and an extrapolation come in; sentences and the cells to add go out. `Advice` is
what every part of `sweep advise` returns.
"""

from dataclasses import dataclass

import numpy as np

from sweeps.advice.question import Question
from sweeps.advice.wanted import (
    CHANCE,
    MOST_SEEDS,
    Wanted,
    one_run_asks_for_documents,
    wanted_sizes,
    wanted_to_decide,
)
from sweeps.answer.extrapolation import ALL_REFUTED, extrapolate, range_of, why_not
from sweeps.answer.scores import Scores
from sweeps.answer.targets import Passage, Reach, reach
from sweeps.report.phrases import (
    READ_OFF,
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

FEWEST_TO_PLAN = 3  # seeds: two can not say how much seeds vary


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
        one, wanted = _of_one_run(spec, scores, found)
        return said(f"{name}: {reached_without_text(found)}; {one}.", wanted=wanted)
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
        return _reached(spec, scores, name, way, found)
    if crossing.is_beyond:
        return _beyond(spec, scores, name, question, way, target)
    return _unresolved(spec, name, question, way)


def _measured_around(
    spec: SweepSpec, scores: Scores, regime: str, documents: float
) -> tuple[int, int]:
    """The measured sizes that a size lies between; the same twice where it is one of them."""
    known = [size for size in spec.sizes if scores.has((regime, size))]
    above = next(size for size in known if size >= documents)
    below = max((size for size in known if size <= documents), default=above)
    return below, above


def _reached(spec: SweepSpec, scores: Scores, name: str, way: Passage, found: Reach) -> Advice:
    crossing, regime, wanted = way.crossing, way.regime, Wanted()
    assert crossing.interval is not None, "it ends above"
    assert crossing.documents is not None, "it ends above"
    smallest = number(crossing.smallest)
    _, above = _measured_around(spec, scores, regime, crossing.interval.high)
    safe = f"{number(above)}, which was measured"
    if crossing.is_throughout:
        text = f"{smallest} documents, the smallest size, reach it with `{regime}`"
    elif crossing.is_bracketed:
        text = (
            f"`{regime}` reaches it from about {rounded(crossing.documents)} documents (95 %: "
            f"{span(crossing.interval)}, {READ_OFF}), surely with {safe}"
        )
    else:
        wanted = Wanted(num_seeds=crossing.num_seeds + 2)
        text = (
            f"`{regime}` surely reaches it with {safe}, perhaps from {smallest} documents on, the "
            "smallest size (more seeds or a smaller one may show it)"
        )
    one, wanted_for_one = _of_one_run(spec, scores, found)
    return said(
        f"{name}: on average over seeds {text}; {one}.", wanted=wanted.joined(wanted_for_one)
    )


def _of_one_run(spec: SweepSpec, scores: Scores, found: Reach) -> tuple[str, Wanted]:
    """What the one run needs that the reader will make, where the mean needs less."""
    sure = "with a probability of 97.5 %"
    if found.alone_without_text:
        named = joined(f"`{regime}`" for regime in found.alone_without_text)
        return f"one run of {named} reaches it too, {sure}", Wanted()
    one = found.one_run
    if one is None:
        return _of_no_run(scores, found)
    documents = one.crossing.for_one_run
    assert documents is not None, "one run passes it"
    below, above = _measured_around(spec, scores, one.regime, documents)
    is_measured = above == documents
    enough = number(above) if is_measured else rounded_up(documents, most=above)
    text = f"one run of `{one.regime}` does from {enough} documents on, {sure}"
    if is_measured:
        return f"{text}: collect {enough} in all", Wanted()
    return (
        f"{text}, if the curve is straight from {number(below)} to {number(above)}: collect "
        f"{enough} in all, or {number(above)}, which was measured"
    ), Wanted()


def _of_no_run(scores: Scores, found: Reach) -> tuple[str, Wanted]:
    """What would make a measured size surely enough for one run, if more seeds can."""
    text, way = "for one run no measured size is surely enough", found.shortest
    open_end = f"{text}: where that counts, add seeds, larger sizes or test documents", Wanted()
    if way is None:
        return open_end
    point, most = (way.regime, way.crossing.largest), number(way.crossing.largest)
    spread, left = scores.spread(point), float(scores.means(point)[0]) - found.target
    if left <= 0 or spread.num_seeds < FEWEST_TO_PLAN:
        return open_end
    wanted = wanted_to_decide(spread, np.ones(1), left, is_one_run=True)
    which = f"{most} documents of `{way.regime}`"
    if wanted is not None:
        return (
            f"{text}; {wanted.num_seeds} seeds in all would show {which} to be with a chance of "
            f"{100 * CHANCE:.0f} %, if these tell value and scatter"
        ), wanted
    if one_run_asks_for_documents(spread, left):
        return f"{text}, nor do seeds make {which} so: more test documents are needed", Wanted()
    return (
        f"{text}, nor would {MOST_SEEDS} seeds show {which} to be: runs vary too much for what the "
        "mean is above the target; a larger size may do, or a lower target"
    ), Wanted()


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
