"""Neighbours: which words changed their company between two encoders (numpy).

Two vocabularies with their embeddings come in; the frequent words that share fewest of their
nearest neighbours go out. The two spaces need not be aligned, because only ranks within each are
compared (Gonen et al. 2020, *Simple, Interpretable and Stable Method for Detecting Words with Usage
Change across Corpora*, section 3).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweeps.answer.estimates import Floats
from ulm.text.vocabulary import SPECIAL_WORDS

COMPARED = 2000  # most frequent words that both know
NEIGHBOURS = 50  # of these the nearest are compared, at most a tenth of the words
SHOWN, NAMED = 10, 6


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Embedding:
    """Words, most frequent first, and their rows, float [V, E]."""

    words: tuple[str, ...]
    rows: NDArray[np.floating]


@dataclass(frozen=True, kw_only=True, slots=True)
class Moved:
    """A word whose neighbours changed.

    Args:
        word: The word.
        kept: Share of its nearest neighbours that stayed.
        before: Its nearest neighbours in the first encoder, nearest first.
        after: In the second.
    """

    word: str
    kept: float
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Movement:
    """What moved between two encoders.

    Args:
        num_words: Words that were compared.
        num_neighbours: Nearest neighbours that were compared of each.
        kept: Share of neighbours that stayed, mean over the words.
        moved: The words that kept fewest.
    """

    num_words: int
    num_neighbours: int
    kept: float
    moved: tuple[Moved, ...]


def _shared_words(first: Embedding, second: Embedding) -> list[str]:
    """Frequent words that both know, in the order of the second; no marks, numbers or specials."""
    known = set(first.words) - set(SPECIAL_WORDS)
    return [word for word in second.words if word in known and word.isalpha()][:COMPARED]


def _ranked(embedding: Embedding, words: Sequence[str], count: int) -> NDArray[np.intp]:
    """The `count` nearest other words of each word by cosine, [words, count]."""
    index = {word: row for row, word in enumerate(embedding.words)}
    rows: Floats = embedding.rows[[index[word] for word in words]].astype(np.float64)
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    likeness = rows @ rows.T
    np.fill_diagonal(likeness, -np.inf)
    return np.argsort(-likeness, axis=1, kind="stable")[:, :count]


def movement(first: Embedding, second: Embedding) -> Movement | None:
    """Compare two encoders; None where they share fewer than fifty words."""
    words = _shared_words(first, second)
    if len(words) < 50:
        return None
    count = min(NEIGHBOURS, len(words) // 10)
    before, after = (_ranked(embedding, words, count) for embedding in (first, second))
    kept = np.array([len(np.intersect1d(b, a)) for b, a in zip(before, after, strict=True)]) / count
    return Movement(
        num_words=len(words),
        num_neighbours=count,
        kept=float(kept.mean()),
        moved=tuple(
            Moved(
                word=words[place],
                kept=float(kept[place]),
                before=tuple(words[i] for i in before[place][:NAMED]),
                after=tuple(words[i] for i in after[place][:NAMED]),
            )
            for place in np.argsort(kept, kind="stable")[:SHOWN]
        ),
    )
