"""Blind spots: what an accuracy does not show of classes and words (pure).

The spec, its rows and what cells make of the classes come in; sentences go out: classes that are
frequent, rare or never said, documents that are nothing to `bow`, words that no vocabulary has.
"""

from collections import Counter
from collections.abc import Sequence

from sweeps.answer.classes import FEW, Classes
from sweeps.answer.results import ResultRow
from sweeps.report.phrases import counted, joined, number, percent, plain
from sweeps.spec.values import SweepSpec

UNSEEN = 0.1  # of the test documents
KNOWN, KNOWN_TO_GENERAL = 0.8, 0.6  # of the tokens
_MAX_NAMED = 6


def blind_spots(
    spec: SweepSpec, rows: Sequence[ResultRow], classes: Classes | None
) -> tuple[str, ...]:
    """What an accuracy hides.

    Args:
        spec: The sweep.
        rows: One row per cell.
        classes: Of the test documents, and what cells make of them; None where unknown.
    """
    return (*_classes(rows, classes), *_unseen(rows), *_unknown(spec, rows))


def named_cells(rows: Sequence[ResultRow]) -> str:
    """Cells by name, or counted by regime where they are many."""
    if len(rows) > _MAX_NAMED:
        counts = Counter(row.regime for row in rows)
        return joined(f"{counted(count, 'cell')} of `{name}`" for name, count in counts.items())
    sizes = ["" if row.size is None else f" at {number(row.size)}" for row in rows]
    return joined(
        f"`{row.regime}`{size} seed {row.seed}" for row, size in zip(rows, sizes, strict=True)
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
        notes.append(f"{named_cells(constant)} said one class for every test document.")
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
        "letters or digits or longer, as scikit-learn's are, emoji and single letters are none. "
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
