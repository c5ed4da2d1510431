"""Vocabularies: order, ties, union, lookup and the rows of one in another."""

import pickle

import numpy as np
import pytest

from ulm.errors import VocabularyError
from ulm.text.vocabulary import (
    SPECIAL_WORDS,
    Vocabulary,
    count_vocabulary,
    coverage,
    lookup,
    source_rows,
)

TYPES = ("xxbos", "the", "film", "plot", "xxmaj", "dull", "fine")
COUNTS = np.array([10, 8, 3, 3, 9, 1, 2], dtype=np.int64)


def words(*names: str) -> Vocabulary:
    return Vocabulary(words=SPECIAL_WORDS + names)


def test_words_come_after_the_special_ones_most_frequent_first_and_ties_in_order():
    vocabulary = count_vocabulary(COUNTS, TYPES, size=50, minimum_count=2)
    assert vocabulary == words("the", "film", "plot", "fine")


def test_the_order_of_types_does_not_matter():
    order = np.array([6, 5, 4, 3, 2, 1, 0])
    types = tuple(TYPES[i] for i in order)
    assert count_vocabulary(COUNTS[order], types, size=50, minimum_count=1) == count_vocabulary(
        COUNTS, TYPES, size=50, minimum_count=1
    )


def test_the_size_counts_special_words_too():
    vocabulary = count_vocabulary(COUNTS, TYPES, size=11, minimum_count=1)
    assert vocabulary == words("the", "film")


def test_union_fills_the_room_with_general_words_in_their_order():
    general = words("of", "the", "and", "film", "to")
    vocabulary = count_vocabulary(COUNTS, TYPES, size=15, minimum_count=2, fill=general)
    assert vocabulary == words("the", "film", "plot", "fine", "of", "and")


def test_union_adds_nothing_where_there_is_no_room():
    general = words("of")
    assert count_vocabulary(COUNTS, TYPES, size=11, minimum_count=1, fill=general) == words(
        "the", "film"
    )


def test_a_type_that_is_not_known_is_looked_up_as_unknown():
    numbers = lookup(words("film", "the"), TYPES)
    assert numbers.dtype == np.int32
    assert numbers.tolist() == [2, 10, 9, 0, 8, 0, 0]


def test_coverage_is_the_share_of_known_tokens():
    assert coverage(words("the"), COUNTS, TYPES) == pytest.approx(27 / 36)
    assert coverage(words("the"), np.zeros(7, dtype=np.int64), TYPES) == 1.0


def test_rows_of_shared_words_are_found_and_others_are_absent():
    old, new = words("the", "film"), words("plot", "film", "the")
    assert source_rows(old, new).tolist() == [*range(9), -1, 10, 9]


def test_a_vocabulary_survives_pickling():
    vocabulary = words("the", "film")
    again = pickle.loads(pickle.dumps(vocabulary))
    assert again == vocabulary
    assert again.index["film"] == 10
    assert len(vocabulary) == 11


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("the",), "must begin with"),
        ((*SPECIAL_WORDS, "the", "a", "the"), "each word once, found 'the' twice"),
    ],
)
def test_a_vocabulary_that_breaks_a_rule_raises(names, message):
    with pytest.raises(VocabularyError, match=message):
        Vocabulary(words=tuple(names))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 9, "minimum_count": 1}, "must exceed the 9 special words, found 9"),
        ({"size": 20, "minimum_count": 0}, "at least 1, found 0"),
    ],
)
def test_a_size_without_room_for_words_raises(options, message):
    with pytest.raises(VocabularyError, match=message):
        count_vocabulary(COUNTS, TYPES, **options)


@pytest.mark.torch
def test_special_words_are_fastais_in_fastais_order():
    from fastai.text.core import defaults

    assert tuple(defaults.text_spec_tok) == SPECIAL_WORDS


def test_of_more_types_than_fit_the_most_frequent_stay_and_ties_in_order():
    """Most of the counts are equal, as of rare words; the cut lies among them."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        types = [*SPECIAL_WORDS, *(f"w{number:03}" for number in range(200))]
        counts = np.concatenate([np.full(len(SPECIAL_WORDS), 1_000), rng.integers(1, 6, 200)])
        order = rng.permutation(len(types))
        found = count_vocabulary(counts[order], [types[i] for i in order], size=60, minimum_count=1)
        known = dict(zip(types, counts, strict=True))
        ranked = sorted(types[len(SPECIAL_WORDS) :], key=lambda word: (-known[word], word))
        assert found.words == (*SPECIAL_WORDS, *ranked[: 60 - len(SPECIAL_WORDS)])
