import numpy as np
import pytest

from sweeps.answer.neighbours import Embedding, movement
from ulm.text.vocabulary import SPECIAL_WORDS

RNG = np.random.default_rng(0)
WORDS = tuple(f"w{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(200))
ROWS = RNG.normal(size=(200, 8))


def test_a_rotated_space_has_the_same_neighbours():
    rotation, _ = np.linalg.qr(RNG.normal(size=(8, 8)))
    found = movement(
        Embedding(words=WORDS, rows=ROWS), Embedding(words=WORDS, rows=3 * ROWS @ rotation)
    )
    assert found.kept == pytest.approx(1.0)
    assert (found.num_words, found.num_neighbours) == (200, 20)


def test_the_word_that_went_elsewhere_is_the_first():
    rows = ROWS.copy()
    rows[17] = -rows[17]
    found = movement(Embedding(words=WORDS, rows=ROWS), Embedding(words=WORDS, rows=rows))
    assert found.moved[0].word == WORDS[17]
    assert found.moved[0].kept == 0
    assert not set(found.moved[0].before) & set(found.moved[0].after)


def test_neighbours_are_the_nearest_by_cosine_and_not_the_word_itself():
    likeness = ROWS @ ROWS[5] / np.linalg.norm(ROWS, axis=1)
    nearest = [WORDS[i] for i in np.argsort(-likeness) if i != 5]
    rows = ROWS.copy()
    rows[5] = -rows[5]
    found = movement(Embedding(words=WORDS, rows=ROWS), Embedding(words=WORDS, rows=rows))
    (moved,) = [word for word in found.moved if word.word == WORDS[5]]
    assert list(moved.before) == nearest[:6]


def test_special_words_marks_and_words_of_one_encoder_are_left_out():
    words = (*SPECIAL_WORDS, ".", "99", *WORDS)
    rows = RNG.normal(size=(len(words), 8))
    found = movement(
        Embedding(words=words, rows=rows), Embedding(words=words[:-10], rows=rows[:-10])
    )
    assert found.num_words == 190


def test_too_few_shared_words_say_nothing():
    few = Embedding(words=WORDS[:40], rows=ROWS[:40])
    assert movement(few, few) is None
