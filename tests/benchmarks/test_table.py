"""The table that benchmark scripts share."""

import pytest

from benchmarks.table import (
    HEADER,
    RULE,
    Ratio,
    Row,
    all_interleaved,
    interleaved,
    print_table,
    read_rows,
    summary,
)

ROWS = [
    Row(what="a step", against="fastai", reach="≥ 2 ×", measured="2.10 ×", reached=True),
    Row(what="a sweep", against="Ray", reach="≥ 4 ×", measured="3.90 ×", reached=False),
    Row(what="a GPU | step", against="–", reach="≥ 3 ×", measured="no GPU here"),
]


def test_rows_are_read_back_from_what_a_script_printed(capsys):
    print("one machine, numpy 2\n")
    print_table(ROWS)
    print("| a row | of another table |")
    printed = capsys.readouterr().out.splitlines()
    assert printed[2:4] == [HEADER, RULE]
    assert [str(row) for row in read_rows(printed)] == [str(row) for row in ROWS]


def test_the_summary_names_what_falls_short():
    assert summary(ROWS) == "1 of 2 rows reached.\nfalls short: a sweep"


def test_the_sides_of_a_ratio_take_turns_and_the_first_call_of_each_is_not_counted():
    calls = []
    seconds = {"ours": iter([9.0, 1.0, 1.0, 2.0]), "theirs": iter([9.0, 2.0, 4.0, 6.0])}

    def side(name):
        calls.append(name)
        return next(seconds[name])

    ratio = interleaved(lambda: side("ours"), lambda: side("theirs"), rounds=3)
    assert calls == ["ours", "theirs"] * 4
    assert ratio == Ratio(ours=(1.0, 1.0, 2.0), theirs=(2.0, 4.0, 6.0))
    assert ratio.median == pytest.approx(3.0)
    assert str(ratio) == "3.00 × (2.00–4.00, 3 rounds)"


def test_several_sides_of_ours_share_the_turns_of_the_other():
    calls = []
    seconds = {"fp32": iter([9.0, 2.0]), "bf16": iter([9.0, 1.0]), "theirs": iter([9.0, 4.0])}

    def side(name):
        calls.append(name)
        return next(seconds[name])

    ratios = all_interleaved(
        [lambda: side("fp32"), lambda: side("bf16")], lambda: side("theirs"), rounds=1
    )
    assert calls == ["fp32", "bf16", "theirs"] * 2
    assert [ratio.median for ratio in ratios] == [2.0, 4.0]
