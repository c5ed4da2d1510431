from datetime import datetime

from sweeps.live import words
from sweeps.spec.cells import Stage


def test_numbers_are_written_for_people():
    assert [words.duration(s) for s in (48, 720, 11_100)] == ["48 s", "12 min", "3 h 05 min"]
    assert words.score(Stage.LANGUAGE_MODEL, 4.4219) == "loss 4.422"
    assert words.score(Stage.FINAL, 0.8173) == "81.7 %"


def test_a_range_says_a_unit_that_both_ends_share_once():
    assert words.span(1200, 2040) == "20–34 min"
    assert words.span(60, 240) == "60 s – 4 min"
    assert words.span(3600, 7800) == "60 min – 2 h 10 min"
    assert words.span(720, 721) == "12 min"


def test_a_moment_says_its_day_only_where_it_is_not_today():
    now = datetime(2026, 3, 2, 22, 0).timestamp()
    assert words.moment(now + 3600, now) == "23:00"
    assert words.moment(now + 8 * 3600, now) == "Tue 06:00"
    assert words.moment(now + 10 * 24 * 3600, now) == "12 Mar 22:00"
