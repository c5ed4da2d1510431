"""Which words a model knows, and how the rows of one vocabulary map onto another. numpy only.

Counts of a corpus's types go in, a `Vocabulary` comes out, then one number per type (`lookup`) with
which a `TokenArray` encodes documents. fastai's special tokens always come first and in fastai's
order, so that exported encoders and fastai's own files agree about rows 0 to 8.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import repeat
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ulm.errors import VocabularyError

SPECIAL_WORDS = (
    "xxunk",
    "xxpad",
    "xxbos",
    "xxeos",
    "xxfld",
    "xxrep",
    "xxwrep",
    "xxup",
    "xxmaj",
)
"""`fastai.text.core.defaults.text_spec_tok`, in its order."""

UNKNOWN, PADDING, BEGIN = 0, 1, 2
ABSENT = -1


@dataclass(frozen=True, kw_only=True, slots=True)
class Vocabulary:
    """Words and their numbers.

    Args:
        words: word of each number; begins with `SPECIAL_WORDS`, no word twice.

    Raises:
        VocabularyError: where the special words are not first or a word occurs twice.
    """

    words: tuple[str, ...]
    index: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        head = self.words[: len(SPECIAL_WORDS)]
        if head != SPECIAL_WORDS:
            raise VocabularyError(
                f"a vocabulary must begin with {SPECIAL_WORDS}, found {head}; "
                f"put fastai's special words first"
            )
        index = {word: number for number, word in enumerate(self.words)}
        if len(index) < len(self.words):
            twice = next(w for number, w in enumerate(self.words) if index[w] != number)
            raise VocabularyError(
                f"a vocabulary must hold each word once, found {twice!r} twice; remove one"
            )
        object.__setattr__(self, "index", MappingProxyType(index))

    def __reduce__(self) -> tuple[object, ...]:
        # A mapping proxy can not be pickled.
        return partial(Vocabulary, words=self.words), ()

    def __len__(self) -> int:
        return len(self.words)


def _by_frequency(
    counts: NDArray[np.int64], types: Sequence[str], minimum_count: int, size: int
) -> list[str]:
    """Return at least the `size` most frequent words, if there are so many, special ones apart.

    The most frequent comes first, ties in the order of words.
    """
    special = set(SPECIAL_WORDS)
    frequent = np.flatnonzero(counts >= minimum_count)
    if len(frequent) > size:  # what is rarer than the last that fits is not put in order
        least = np.partition(counts[frequent], -size)[-size]
        frequent = frequent[counts[frequent] >= least]
    by_word = np.array(sorted(frequent.tolist(), key=types.__getitem__), dtype=np.int64)
    ranked = by_word[np.argsort(-counts[by_word], kind="stable")]
    words = map(types.__getitem__, ranked.tolist())
    return [word for word in words if word not in special]


def count_vocabulary(
    counts: NDArray[np.int64],
    types: Sequence[str],
    *,
    size: int,
    minimum_count: int,
    fill: Vocabulary | None = None,
) -> Vocabulary:
    """Choose the words of a model.

    Special words come first, then words that occur often enough, most frequent first; ties are
    broken by the order of words, so that the result does not depend on the order of documents.

    Args:
        counts: int64 [num_types], how often each type occurs in the documents of the cell.
        types: string of each type.
        size: most words in all, special ones included; more than 9.
        minimum_count: a word must occur at least this often, >= 1.
        fill: vocabulary that fills the remaining room, in its order (rule ``union``).

    Raises:
        VocabularyError: where size or minimum_count is too small.
    """
    if size <= len(SPECIAL_WORDS):
        raise VocabularyError(
            f"vocabulary must exceed the {len(SPECIAL_WORDS)} special words, found {size}; raise it"
        )
    if minimum_count < 1:
        raise VocabularyError(f"minimum_count must be at least 1, found {minimum_count}; raise it")
    assert len(counts) == len(types), "one count for each type"
    words = [*SPECIAL_WORDS, *_by_frequency(counts, types, minimum_count, size)][:size]
    if fill is not None:
        known = set(words)
        room = size - len(words)
        words += [word for word in fill.words if word not in known][:room]
    return Vocabulary(words=tuple(words))


def lookup(vocabulary: Vocabulary, types: Sequence[str]) -> NDArray[np.int32]:
    """Return the number of each type, int32 [num_types]; `UNKNOWN` where the word is not known."""
    number_of = dict(vocabulary.index).get  # asked twice as fast as through the proxy
    return np.fromiter(map(number_of, types, repeat(UNKNOWN)), np.int32, count=len(types))


def coverage(vocabulary: Vocabulary, counts: NDArray[np.int64], types: Sequence[str]) -> float:
    """Return the share of tokens that a vocabulary knows, 0 to 1; 1 where there are none.

    Args:
        vocabulary: the words.
        counts: int64 [num_types], how often each type occurs.
        types: string of each type.
    """
    total = int(counts.sum())
    known = lookup(vocabulary, types) != UNKNOWN
    return float(counts[known].sum() / total) if total else 1.0


def source_rows(old: Vocabulary, new: Vocabulary) -> NDArray[np.int64]:
    """Return where the embedding of each new word comes from.

    The caller fills absent words with the mean row, as ULMFiT does (Howard and Ruder 2018, and
    `fastai.text.learner.match_embeds`).

    Args:
        old: vocabulary of the trained model.
        new: vocabulary wanted.

    Returns:
        int64 [len(new)], row of the old vocabulary, `ABSENT` (-1) where it does not have the word.
    """
    index = old.index
    return np.fromiter((index.get(word, ABSENT) for word in new.words), np.int64, count=len(new))
