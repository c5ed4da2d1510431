"""Caveats: what a reader must know before believing the numbers (pure).

The spec and the rows come in; sentences go out, with regime names between backticks: gaps and
failures, chosen settings at the edge of their range, what limits the precision of a score and what
no interval contains.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby

from sweeps.answer.classes import FEW, Classes
from sweeps.answer.results import ResultRow
from sweeps.answer.search_curves import SearchCurve, Verdict, at_edge
from sweeps.answer.statistics import fewest_seeds, num_comparisons
from sweeps.report.evidence import Evidence
from sweeps.report.phrases import counted, joined, number, percent, plain
from sweeps.spec.general import MOST_SHARED
from sweeps.spec.values import SweepSpec
from ulm.regimes import Regime

UNSEEN = 0.1  # of the test documents
KNOWN, KNOWN_TO_GENERAL = 0.8, 0.6  # of the tokens
_MAX_NAMED = 6


def caveats_of(evidence: Evidence) -> tuple[str, ...]:
    """What a reader of this sweep must know."""
    return caveats(
        evidence.spec,
        evidence.rows,
        evidence.search_curves,
        evidence.pool_documents,
        evidence.classes,
        evidence.spent_hours,
        evidence.share_in_general,
    )


def caveats(
    spec: SweepSpec,
    rows: Sequence[ResultRow],
    curves: Sequence[SearchCurve] = (),
    pool_documents: int | None = None,
    classes: Classes | None = None,
    spent_hours: float | None = None,
    share_in_general: float | None = None,
) -> tuple[str, ...]:
    """What a reader must know: few seeds, gaps, failures, the search, precision.

    Args:
        spec: The sweep.
        rows: One row per cell.
        curves: What one more trial of each search would have brought.
        pool_documents: Documents that language models may see; None where unknown.
        classes: Of the test documents, and what cells make of them; None where unknown.
        spent_hours: Wall hours that the last run ended by; None where it ended otherwise.
        share_in_general: Share of the domain's documents, those for testing left out, that the
            general model was pretrained on; None where unknown.
    """
    return (
        *_classes(rows, classes),
        *_unseen(rows),
        *_unknown(spec, rows),
        *_seeds(rows),
        *_not_drawn(rows, pool_documents),
        *_missing(spec, rows, spent_hours),
        *_edges(spec, rows),
        *_leanings(curves),
        *_short_searches(curves),
        *_general(spec, rows, share_in_general),
        *_always(spec, rows),
    )


def _classes(rows: Sequence[ResultRow], classes: Classes | None) -> list[str]:
    """What an accuracy is worth where one class is frequent, or some are never said."""
    if classes is None:
        return []
    notes = []
    if classes.is_uneven:
        notes.append(
            f"Always saying the most frequent class scores {percent(classes.share)}: what is not "
            "above that is no more accurate."
        )
    constant = [row for row in rows if row.cell in classes.constant]
    if constant:
        notes.append(f"{_named(constant)} said one class for every test document.")
    return notes + (_hidden(rows, classes) if classes.hides_some else [])


def _hidden(rows: Sequence[ResultRow], classes: Classes) -> list[str]:
    """Classes that are never found, and those of which it is chance whether they are."""
    notes: list[str] = []
    unsaid: list[str] = []
    for regime in dict.fromkeys(row.regime for row in rows):
        found = classes.num_unsaid(row for row in rows if row.regime == regime)
        if any(found):
            few = "" if min(found) == max(found) else f"{min(found)} to "
            unsaid.append(f"`{regime}` {few}{max(found)}")
    if unsaid:
        notes.append(
            f"Of {len(classes.names)} classes some are never said of any test document, which "
            f"accuracy hardly shows: by {joined(unsaid)}. The mean recall of classes stands under "
            "Scores."
        )
    rare = [
        f"`{plain(name)}` ({count})"
        for name, count in zip(classes.names, classes.counts, strict=True)
        if count < FEW
    ]
    if rare:
        more = [f"{len(rare) - _MAX_NAMED} more"] if len(rare) > _MAX_NAMED else []
        notes.append(
            f"Classes with fewer than {FEW} test documents: {joined([*rare[:_MAX_NAMED], *more])}. "
            "Whether they are found is chance, and the mean recall with it."
        )
    return notes


def _unseen(rows: Sequence[ResultRow]) -> list[str]:
    """Test documents that are nothing to `bow`, as emoji are."""
    unseen = [
        row.unseen_documents / row.test_documents
        for row in rows
        if row.unseen_documents is not None and row.test_documents
    ]
    if not unseen or max(unseen) <= UNSEEN:
        return []
    return [
        f"`bow` knows no word in {percent(max(unseen))} of the test documents: its words are two "
        "letters or digits or longer, as scikit-learn's are, emoji and single characters are none. "
        "Its line is no reference here."
    ]


def _unknown(spec: SweepSpec, rows: Sequence[ResultRow]) -> list[str]:
    """Tokens that language models do not know, which are one and the same word to them."""
    largest, notes = spec.sizes[-1], []
    known = [r.coverage for r in rows if r.size == largest and r.coverage is not None]
    if known and min(known) < KNOWN:
        notes.append(
            f"With {number(largest)} documents a vocabulary knows {percent(min(known))} of the "
            "test tokens: all others are one unknown word to a language model. More text may help, "
            "or `model.vocabulary` and `model.minimum_count`; text without blanks between words is "
            "not split."
        )
    general = [r.general_coverage for r in rows if r.general_coverage is not None]
    if general and min(general) < KNOWN_TO_GENERAL:
        notes.append(
            f"The general model knows {percent(min(general))} of the tokens of the domain: general "
            "text of another language, or of another kind, is little to start from."
        )
    return notes


def _seeds(rows: Sequence[ResultRow]) -> list[str]:
    finished = [row for row in rows if row.is_finished]
    num_seeds = len({row.seed for row in finished})
    fewest = fewest_seeds(num_comparisons((row.regime, row.size) for row in finished))
    if num_seeds == 0 or num_seeds >= fewest:
        return []
    text = (
        f"{fewest} seeds that agree are the fewest that allow a claim: with "
        f"{num_seeds} an order of regimes is what was seen, not a proof."
    )
    if num_seeds == 1:
        return ["There is one seed: nothing here says how much another seed would differ."]
    if num_seeds == 2:
        text += (
            " Two seeds leave one degree of freedom: the intervals are wide, and they hold what "
            "they claim only as far as seeds scatter normally, which two cannot show."
        )
    return [text]


def _not_drawn(rows: Sequence[ResultRow], pool_documents: int | None) -> list[str]:
    """What is the same at every seed, or nearly, so that seeds do not show how it varies."""
    finished = [row for row in rows if row.is_finished]
    if len({row.seed for row in finished}) < 2:
        return []
    fixed = []
    if any(Regime(row.regime).starts_from_general for row in finished):
        fixed.append("of the general model, which was made once")
    largest = max((row.size for row in finished if row.size is not None), default=0)
    if pool_documents is not None and largest > pool_documents / 2:
        shared = f"{100 * largest / pool_documents:.0f} %"
        fixed.append(
            f"of the domain documents at {number(largest)}, of which two seeds share {shared}"
        )
    return [f"No interval contains the draw {', nor that '.join(fixed)}."] if fixed else []


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
        f"{_named(list(group))}: {status}."
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


def _short_searches(curves: Iterable[SearchCurve]) -> list[str]:
    short = [curve for curve in curves if curve.verdict is Verdict.NOT_ENOUGH]
    if not short:
        return []
    named = joined(f"`{curve.regime}` ({curve.stage.words})" for curve in short)
    return [f"The last trial of the search still brought a gain for {named}: add trials."]


def _named(rows: Sequence[ResultRow]) -> str:
    """Cells by name, or counted by regime where they are many."""
    if len(rows) > _MAX_NAMED:
        counts = Counter(row.regime for row in rows)
        return joined(f"{counted(count, 'cell')} of `{name}`" for name, count in counts.items())
    sizes = ["" if row.size is None else f" at {number(row.size)}" for row in rows]
    return joined(
        f"`{row.regime}`{size} seed {row.seed}" for row, size in zip(rows, sizes, strict=True)
    )


def _always(spec: SweepSpec, rows: Sequence[ResultRow]) -> list[str]:
    notes = []
    if spec.search.parallel_trials > 1:
        notes.append(
            f"{spec.search.parallel_trials} trials of a study may run at once "
            "(`search.parallel_trials`): suggestions depend on when others end, so "
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
