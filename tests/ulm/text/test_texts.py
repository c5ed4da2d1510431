"""Lazy sequences of documents: decoding, indexing, selection."""

import numpy as np
import pytest

from ulm.errors import CorpusError
from ulm.text.texts import FileTexts, PackedTexts, SelectedTexts, decode, sameness


def test_packed_texts_give_back_what_went_in():
    words = ["plain", "", "naïve – 数据", "line\nbreak"]
    texts = PackedTexts(iter(words))
    assert list(texts) == words
    assert texts[-1] == words[-1]
    assert texts[1:3] == words[1:3]
    with pytest.raises(IndexError):
        texts[4]


def test_file_texts_read_a_file_when_asked_and_not_before(tmp_path):
    path = tmp_path / "a.txt"
    texts = FileTexts([path])
    path.write_bytes(b"\xef\xbb\xbfone\r\ntwo\rthree")
    assert texts[0] == "one\ntwo\nthree"


def test_selected_texts_keep_the_order_asked_for():
    texts = SelectedTexts(["a", "b", "c"], np.array([2, 0]))
    assert list(texts) == ["c", "a"]


def test_a_byte_that_is_not_utf8_is_named_by_file_and_offset(tmp_path):
    path = tmp_path / "latin.txt"
    with pytest.raises(CorpusError, match=r"latin\.txt: text must be UTF-8, but byte 13 is 0xe9"):
        decode(b"caf\xe9", path, offset_bytes=10)


@pytest.mark.parametrize(
    "other",
    ["  No\tcafe\u0301,\nonly rain. ", "NO CAFÉ, ONLY RAIN.", "no CAFE\u0301, only rain."],
)
def test_texts_that_differ_in_case_blanks_and_the_form_of_accents_are_the_same(other):
    assert sameness(other) == sameness("No café, only rain.")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Good film 😀", "Good film 😡"),
        ("Great :-)", "Great :-("),
        ("is it good?", "is it good!"),
        ("C#", "C"),
        ("10²", "102"),
        ("किताब", "कतब"),  # vowels that are marks
        ("rated 8", "rated 9"),
        ("a way", "away"),
    ],
)
def test_texts_of_other_words_or_signs_are_not_the_same(one, other):
    assert sameness(one) != sameness(other)
