import pytest

from sweeps.answer.readable import readable, shortened


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        ("xxbos xxmaj it was good .", "It was good."),
        ("xxbos xxup bad , really !", "BAD, really!"),
        ("wow xxrep 4 ! never again", "wow!!!! never again"),
        ("xxwrep 3 very good", "very very very good"),
        ("she said ( twice ) no", "she said (twice) no"),
        ("it 's true , they did n't", "it's true, they didn't"),
        ('an " iphone " and " it is good " .', 'an "iphone" and "it is good".'),
        ('" a " ( " b " )', '"a" ("b")'),
        ("two ▁ spaces and new▁york", "two spaces and new york"),
        ("قال « نعم » ، ثم ؟", "قال « نعم »، ثم؟"),
        ("很 好 ， 真的 。", "很 好， 真的。"),
        ("xxbos xxmaj", ""),
        ("xxrep", ""),
    ],
)
def test_the_marks_of_the_tokeniser_are_undone(tokens, text):
    assert readable(tokens.split()) == text


def test_a_quote_left_open_ends_with_its_line():
    tokens = ["5", '"', "wide", "\n▁", '"', "fine", '"']
    assert readable(tokens) == '5 "wide\n"fine"'


def test_a_long_text_is_shown_by_its_beginning_and_its_end():
    text = " ".join(f"word{i}" for i in range(200))
    short = shortened(text, 100)
    assert len(short) <= 103
    assert short.startswith("word0 word1")
    assert short.endswith("word199")
    assert " … " in short
    assert shortened("short", 100) == "short"
