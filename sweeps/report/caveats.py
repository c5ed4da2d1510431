"""Caveats: what a reader must know before believing the numbers (pure).

Evidence comes in; sentences go out, with regime names between backticks: gaps and failures, chosen
settings at the edge of their range, what limits the precision of a score and what no interval
contains.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise

from sweeps.answer.results import ResultRow
from sweeps.answer.search_curves import SearchCurve, Verdict, at_edge
from sweeps.answer.statistics import fewest_seeds, num_comparisons
from sweeps.report.blind_spots import blind_spots, named_cells
from sweeps.report.evidence import Evidence
from sweeps.report.phrases import counted, joined, number, percent
from sweeps.spec.general import MOST_SHARED
from sweeps.spec.values import SweepSpec
from ulm.regimes import Regime


def caveats(evidence: Evidence) -> tuple[str, ...]:
    """What a reader must know: few seeds, gaps, failures, the search, precision."""
    spec, rows = evidence.spec, evidence.rows
    return (
        *blind_spots(spec, rows, evidence.classes),
        *_seeds(rows),
        *not_drawn(evidence),
        *not_paired(evidence),
        *_read_off(rows),
        *_missing(spec, rows, evidence.spent_hours),
        *_unpredicted(evidence.unpredicted),
        *_edges(spec, rows),
        *_leanings(evidence.search_curves),
        *short_searches(evidence.search_curves),
        *_general(spec, rows, evidence.share_in_general),
        *_always(spec, rows),
    )


def _seeds(rows: Sequence[ResultRow]) -> list[str]:
    finished = [row for row in rows if row.is_finished]
    counts: dict[str, list[int]] = {}
    for (regime, _), seeds in Counter((row.regime, row.size) for row in finished).items():
        counts.setdefault(regime, []).append(seeds)
    # a size that one seed has, where another has more, is not spoken of
    by_regime = {r: min([n for n in own if n > 1] or own) for r, own in counts.items()}
    num_seeds = min(by_regime.values(), default=0)
    fewest = fewest_seeds(num_comparisons((row.regime, row.size) for row in finished))
    if num_seeds == 0 or num_seeds >= fewest:
        return []
    behind = [f"`{regime}`" for regime, seeds in by_regime.items() if seeds == num_seeds]
    whose = "" if len(behind) == len(by_regime) else f" of {joined(behind)}"
    if num_seeds == 1:
        there = "There is one seed" + whose
        return [f"{there}: nothing here says how much another seed would differ."]
    text = (
        f"{fewest} seeds that agree are the fewest that allow a claim: with "
        f"{num_seeds}{whose} an order of regimes is what was seen, not a proof."
    )
    if num_seeds == 2:
        text += (
            " Two seeds leave one degree of freedom: the intervals are wide, and they hold what "
            "they claim only as far as seeds scatter normally, which two cannot show."
        )
    return [text]


def not_drawn(evidence: Evidence) -> list[str]:
    """What is the same at every seed, or nearly, so that seeds do not show how it varies."""
    finished = [row for row in evidence.rows if row.is_finished]
    if len({row.seed for row in finished}) < 2:
        return []
    fixed = []
    if any(Regime(row.regime).starts_from_general for row in finished):
        fixed.append("of the general model, which was made once")
    labels, pool_labels = evidence.spec.labels.train, evidence.pool_labels
    if labels == pool_labels:
        fixed.append(f"of the {number(labels)} labels, which are the same at every seed")
    elif pool_labels is not None and labels > pool_labels / 2:
        shared = _share(labels, pool_labels)
        fixed.append(f"of the {number(labels)} labels, of which two seeds share {shared}")
    largest = max((row.size for row in finished if row.size is not None), default=0)
    pool_documents = evidence.pool_documents
    if pool_documents is not None and largest > pool_documents / 2:
        shared = _share(largest, pool_documents)
        fixed.append(
            f"of the domain documents at {number(largest)}, of which two seeds share {shared}"
        )
    return [f"No interval contains the draw {', nor that '.join(fixed)}."] if fixed else []


def not_paired(evidence: Evidence) -> list[str]:
    """Neighbouring sizes that no seed has both of."""
    scores, notes = evidence.scores, []
    for regime in dict.fromkeys(regime for regime, size in scores.points if size is not None):
        known = [size for size in evidence.spec.sizes if scores.has((regime, size))]
        apart = [
            f"{number(low)} and {number(high)}"
            for low, high in pairwise(known)
            if not scores.has((regime, low), (regime, high))
        ]
        if apart:
            notes.append(
                f"`{regime}`: no seed has both {joined(apart)} documents; between them curves are "
                "read off the means of different seeds."
            )
    return notes


def _read_off(rows: Sequence[ResultRow]) -> list[str]:
    if len({row.size for row in rows if row.is_finished and row.size is not None}) < 2:
        return []
    return [
        "Numbers of documents are read off between measured sizes, where curves count as straight "
        "over the logarithm of size. Their intervals hold as far as curves are; what is said of a "
        "measured size holds whatever their shape."
    ]


def _share(part: int, whole: int) -> str:
    percent_shared = f"{100 * part / whole:.0f} %"
    return "nearly all" if percent_shared == "100 %" else percent_shared


def _general(spec: SweepSpec, rows: Sequence[ResultRow], share: float | None) -> list[str]:
    if not any(Regime(row.regime).starts_from_general for row in rows):
        return []
    if spec.general.is_of(spec.corpus):
        read = "the domain's own documents, without those for testing"
    elif share is not None and share > MOST_SHARED:
        read = f"{percent(share)} of the domain's own documents"
    else:
        return []
    return [
        f"The general model was pretrained on {read}: `ulm` has read domain text, and what others "
        "add to it is not what that brings."
    ]


def _missing(spec: SweepSpec, rows: Sequence[ResultRow], spent_hours: float | None) -> list[str]:
    """What has no score, or that of a shorter search, and why where that is known."""
    left = [row for row in rows if row.is_extended or not row.is_finished]
    left.sort(key=lambda row: row.status)
    notes = [
        f"{named_cells(list(group))}: {status}."
        for status, group in groupby(left, key=lambda row: row.status)
    ]
    hours = spec.budget.hours
    if all(row.is_failed for row in left):
        return notes
    if spent_hours is not None:
        notes.append(
            f"The last run started no further trial because its {spent_hours:g} h "
            "(`budget.hours`) were spent; the next goes on."
        )
    elif hours is not None:
        notes.append(f"A run starts no trial after {hours:g} h (`budget.hours`); the next goes on.")
    return notes


def _unpredicted(rows: Sequence[ResultRow]) -> list[str]:
    if not rows:
        return []
    return [
        f"No predictions are kept of {named_cells(rows)}: intervals that rest on them count what "
        "test documents may add at most, and are rather too wide."
    ]


def _edges(spec: SweepSpec, rows: Sequence[ResultRow]) -> list[str]:
    search, notes = spec.search, []
    for name, searched, column in (
        (
            "language model learning rate",
            search.language_model.learning_rate,
            "lm_learning_rate",
        ),
        (
            "classifier learning rate",
            search.classifier.learning_rate,
            "classifier_learning_rate",
        ),
        (
            "inverse regularisation of `bow`",
            search.bow.inverse_regularization,
            "inverse_regularization",
        ),
    ):
        chosen = [value for row in rows if (value := getattr(row, column)) is not None]
        edge = sum(at_edge(value, searched) for value in chosen)
        if edge:
            notes.append(
                f"The chosen {name} lies at the edge of its range [{searched.low:g}, "
                f"{searched.high:g}] in {edge} of {counted(len(chosen), 'cell')}: a wider range "
                "may give a better score."
            )
    return notes


def _leanings(curves: Iterable[SearchCurve]) -> list[str]:
    """Few trials hardly ever come near an end of their range; they can still point there."""
    notes = []
    for curve in curves:
        if curve.leaning is not None:
            towards = "higher" if curve.leaning.end == "highest" else "lower"
            what = "C" if curve.regime == Regime.BOW else f"{curve.stage.words} rate"
            notes.append(
                f"The best {what} of `{curve.regime}` is the {curve.leaning.end} that was tried in "
                f"{curve.leaning.num_studies} of {counted(curve.leaning.of, 'cell')}: {towards} "
                "ones may be better still, so add trials or widen the range."
            )
    return notes


def short_searches(curves: Iterable[SearchCurve]) -> list[str]:
    """Searches whose last trial still brought a gain."""
    short = [curve for curve in curves if curve.verdict is Verdict.NOT_ENOUGH]
    if not short:
        return []
    named = joined(f"`{curve.regime}` ({curve.stage.words})" for curve in short)
    return [f"The last trial of the search still brought a gain for {named}: add trials."]


def _always(spec: SweepSpec, rows: Sequence[ResultRow]) -> list[str]:
    notes = []
    if spec.search.parallel_trials > 1:
        notes.append(
            f"{spec.search.parallel_trials} trials of a study may run at once "
            "(`search.parallel_trials`): pruning depends on when others end, so "
            "the sweep run again need not give the same table."
        )
    if any(row.lm_loss is not None for row in rows):
        notes.append(
            "Language model losses are per token of each cell's own vocabulary: where vocabularies "
            "differ, between sizes or regimes, so does what a loss means."
        )
    held_out = spec.labels.num_held_out
    if spec.labels.folds is None:
        notes.append(
            f"Classifiers are chosen on {held_out} held-out labels, so a validation accuracy moves "
            f"in steps of {100 / held_out:.1f} points; test scores are of a refit on all "
            f"{spec.labels.train} labels."
        )
    documents = {row.test_documents for row in rows if row.test_documents}
    if documents and max(documents) < 25_000:
        half = 98 / min(documents) ** 0.5
        notes.append(
            f"Scores are of {number(min(documents))} test documents: the choice of these alone is "
            f"worth up to ±{half:.1f} points."
        )
    return notes
