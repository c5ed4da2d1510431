"""Tokens put together from pieces are those of whole texts, special cases across them included."""

import numpy as np
import pytest

from ulm.text import pieces
from ulm.text.pieces import PieceTokeniser

pytestmark = pytest.mark.torch

# What spaCy's special cases are made of, and what they may meet.
SPECIAL = """
    : ) ( - 8 D ' s ' . _ / o O = < > 3 it he she that a.m p.m 10 good. it's it’s :) :-) ):
    (: 8) 8-) :-( o.O a.m. e.g. w/o and/or Dr. Ph.D. (great:) word, film. don't ,it's. ...
"""
FRAGMENTS = SPECIAL.split()
GLUE = ("", "", " ", " ", "  ", "\n", " \n", "\n ", "\t", "\u00a0")


@pytest.fixture(scope="module")
def spacy_tokenizer():
    from fastai.text.core import SpacyTokenizer

    return SpacyTokenizer().pipe.__self__.tokenizer


def random_texts(number, seed):
    generator = np.random.default_rng(seed)
    return [
        "".join(
            str(generator.choice(FRAGMENTS)) + str(generator.choice(GLUE))
            for _ in range(generator.integers(1, 12))
        )
        for _ in range(number)
    ]


def strings(tokenizer, texts):
    return [[tokenizer.vocab.strings[int(key)] for key in hashes] for hashes in texts]


def by_spacy(tokenizer, texts):
    return [[token.text for token in tokenizer(text)] for text in texts]


def test_tokens_are_spacys_for_texts_made_of_special_cases(spacy_tokenizer):
    texts = random_texts(4000, seed=0)
    ours = strings(spacy_tokenizer, PieceTokeniser(spacy_tokenizer)(texts))
    assert ours == by_spacy(spacy_tokenizer, texts)


def test_without_the_look_across_pieces_they_are_not(spacy_tokenizer, monkeypatch):
    monkeypatch.setattr(pieces.SpecialCases, "across", lambda self, pieces, index: False)
    texts = random_texts(4000, seed=0)
    ours = strings(spacy_tokenizer, PieceTokeniser(spacy_tokenizer)(texts))
    assert ours != by_spacy(spacy_tokenizer, texts)


def test_only_texts_in_which_special_cases_meet_are_read_whole(spacy_tokenizer):
    tokeniser = PieceTokeniser(spacy_tokenizer)
    assert tokeniser._numbers("it's a film, at 10 a.m. :-) he said") is not None
    assert tokeniser._numbers("so good:) ) he said") is None


def test_the_memory_of_pieces_is_bounded(spacy_tokenizer, monkeypatch):
    monkeypatch.setattr(pieces, "MAXIMUM_PIECES", 20)
    tokeniser = PieceTokeniser(spacy_tokenizer)
    texts = random_texts(60, seed=1)
    for start in range(0, 60, 10):
        part = texts[start : start + 10]
        assert strings(spacy_tokenizer, tokeniser(part)) == by_spacy(spacy_tokenizer, part)
    assert len(tokeniser._known) < 120


def test_an_empty_text_has_no_tokens(spacy_tokenizer):
    found = PieceTokeniser(spacy_tokenizer)(["", "a b", ""])
    assert [len(tokens) for tokens in found] == [0, 2, 0]
