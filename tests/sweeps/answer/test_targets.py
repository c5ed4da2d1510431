import numpy as np
from scipy.stats import t

from sweeps.answer.findings import find, make_sweep_scores
from sweeps.answer.targets import reach
from tests.sweeps.answer.sweep_scores import GRID, rows_of, scores_of
from tests.sweeps.example_sweep import example_spec

AROUND = 0.01 * np.array([1.0, -1.0, 1.0, -1.0])
WIDTH = float(AROUND.std(ddof=1) / np.sqrt(len(AROUND)))  # of a mean over seeds


def half(level):
    return WIDTH * float(t.ppf(level, len(AROUND) - 1))


def test_of_several_regimes_without_text_one_is_above_by_an_error_that_they_share():
    """`bow` is surely above alone, and not where any of three would have done."""
    target = 0.8
    mean = target + (half(0.975) + half(1 - 0.025 / 3)) / 2
    alone = {("bow", None): mean + AROUND}
    three = {**alone, ("ulm", None): 0.7 + AROUND, ("scratch", None): 0.6 + AROUND}
    assert [regime for regime, _ in reach(scores_of(alone), (), target).without_text] == ["bow"]
    assert reach(scores_of(three), (), target).without_text == ()
    higher = {**three, ("bow", None): target + 1.01 * half(1 - 0.025 / 3) + AROUND}
    assert [regime for regime, _ in reach(scores_of(higher), (), target).without_text] == ["bow"]


def test_what_is_surely_apart_from_bow_has_an_error_of_5_percent_for_all_compared():
    spec = example_spec(sizes=GRID, seeds=(0, 1, 2, 3))
    for others in (1, 3):
        level = 1 - 0.025 / others
        for factor, is_sure in ((0.97, False), (1.03, True)):
            table = {("bow", None): [0.8] * 4, ("ulm", None): 0.8 + factor * half(level) + AROUND}
            sure = frozenset({("ulm", None)} if is_sure else ())
            names = ("scratch", None), ("domain", GRID[0])
            table |= dict.fromkeys(names[: others - 1], 0.8 + AROUND)
            found = find(spec, make_sweep_scores(spec, rows_of(table)))
            assert len(found.against_bow) == others
            assert found.surely_above_bow == sure
            table["ulm", None] = 0.8 - factor * half(level) + AROUND
            found = find(spec, make_sweep_scores(spec, rows_of(table)))
            assert found.surely_below_bow == sure
