import math
import re

import numpy as np
import pytest

from sweeps.answer.findings import find
from sweeps.answer.predictions import load_hits, read_hits
from sweeps.answer.results import ResultRow
from sweeps.answer.scores import Interval, make_scores
from sweeps.answer.statistics import (
    crossing,
    curve_points,
    difference,
    seed_coverage,
    share_of_gain,
    win_interval,
)
from sweeps.paths import SweepPaths
from tests.sweeps.example_sweep import example_spec

SIZES = (100, 400, 1600)
ULM, BOW = ("ulm", None), ("bow", None)


def rows_of(table):
    """Rows from {(regime, size): accuracies by seed}; None is a cell that is not finished."""
    return [
        ResultRow(
            regime=regime,
            size=size,
            seed=seed,
            test_accuracy=value,
            status="unstarted" if value is None else "finished",
            cell=f"{regime}-{size}-{seed}",
        )
        for (regime, size), values in table.items()
        for seed, value in enumerate(values)
    ]


def scores_of(table, **options):
    return make_scores(rows_of(table), **options)


def test_a_curve_point_is_the_mean_with_the_range_of_two_seeds_as_interval():
    (point,) = curve_points(scores_of({("domain", 100): (0.70, 0.74)}))
    assert point.accuracy.value == pytest.approx(0.72)
    assert point.accuracy.interval == Interval(low=0.70, high=0.74)
    assert point.by_seed == ((0, 0.70), (1, 0.74))


def test_the_interval_of_many_seeds_is_near_the_normal_one():
    values = np.random.default_rng(3).normal(0.8, 0.02, 200)
    (point,) = curve_points(scores_of({BOW: values}))
    half = 1.96 * values.std() / math.sqrt(200)
    assert point.accuracy.interval.low == pytest.approx(values.mean() - half, abs=3e-4)
    assert point.accuracy.interval.high == pytest.approx(values.mean() + half, abs=3e-4)


def test_one_seed_has_no_interval():
    (point,) = curve_points(scores_of({BOW: (0.8,)}))
    assert point.accuracy.interval is None
    assert point.accuracy.num_seeds == 1


def test_an_unfinished_seed_is_left_out_of_the_mean():
    (point,) = curve_points(scores_of({BOW: (0.8, None, 0.9)}))
    assert point.accuracy.value == pytest.approx(0.85)
    assert point.by_seed == ((0, 0.8), (2, 0.9))


def test_the_range_of_two_seeds_holds_the_median_half_of_the_time():
    assert seed_coverage(1) == 0
    assert seed_coverage(2) == 0.5
    assert seed_coverage(5) == 0.9375


def test_what_seeds_share_cancels_in_a_difference():
    shared = np.array([-0.05, 0.0, 0.05])
    scores = scores_of({ULM: 0.75 + shared, BOW: 0.74 + shared})
    found = difference(scores, ULM, BOW)
    assert found.accuracy.value == pytest.approx(0.01)
    assert found.accuracy.interval.low == pytest.approx(0.01)
    assert found.accuracy.interval.high == pytest.approx(0.01)
    assert found.wins == 3


def test_a_difference_uses_only_seeds_that_have_both():
    found = difference(scores_of({ULM: (0.7, 0.8, 0.9), BOW: (0.6, None, 0.7)}), ULM, BOW)
    assert found.num_seeds == 2
    assert found.accuracy.value == pytest.approx(0.15)
    assert difference(scores_of({ULM: (0.7, None), BOW: (None, 0.8)}), ULM, BOW) is None
    assert difference(scores_of({ULM: (0.7,)}), ULM, BOW) is None


def test_a_tie_is_half_a_win():
    found = difference(scores_of({ULM: (0.7, 0.8), BOW: (0.7, 0.7)}), ULM, BOW)
    assert (found.wins, found.ties) == (1, 1)
    assert found.probability.value == 0.75


@pytest.mark.parametrize(
    ("wins", "num_seeds", "low", "high"),
    [(2, 2, 0.1581, 1.0), (0, 3, 0.0, 0.7076), (5, 5, 0.4782, 1.0), (8, 10, 0.4439, 0.9748)],
)
def test_the_win_interval_is_clopper_and_pearsons(wins, num_seeds, low, high):
    interval = win_interval(wins, num_seeds)
    assert interval.low == pytest.approx(low, abs=1e-4)
    assert interval.high == pytest.approx(high, abs=1e-4)


@pytest.mark.parametrize(("num_seeds", "is_claimed"), [(2, False), (5, False), (6, True)])
def test_six_seeds_that_agree_are_the_fewest_that_allow_a_claim(num_seeds, is_claimed):
    scores = scores_of({ULM: (0.8,) * num_seeds, BOW: (0.7,) * num_seeds})
    assert difference(scores, ULM, BOW).is_claimed is is_claimed


def gain_table(*rows):
    return {
        ULM: rows[0],
        **{("ulm+domain", n): row for n, row in zip(SIZES, rows[1:], strict=True)},
    }


def test_the_share_of_the_gain_is_the_ratio_of_means():
    table = gain_table((0.70, 0.72), (0.74, 0.75), (0.78, 0.79), (0.81, 0.81))
    gain = share_of_gain(scores_of(table), SIZES)
    assert gain.undefined is None
    assert gain.total.value == pytest.approx(0.10)
    shares = {size: estimate.value for size, estimate in gain.shares}
    assert shares == {
        100: pytest.approx(0.35),
        400: pytest.approx(0.75),
        1600: pytest.approx(1.0),
    }
    by_seed = ((0.74 - 0.70) / 0.11, (0.75 - 0.72) / 0.09)
    interval = dict(gain.shares)[100].interval
    assert (interval.low, interval.high) == (
        pytest.approx(min(by_seed)),
        pytest.approx(max(by_seed)),
    )
    n75, n90 = gain.needed
    assert n75.documents == pytest.approx(400)
    assert n90.documents == pytest.approx(400 * 4 ** (0.15 / 0.25))


def test_the_share_is_not_defined_where_the_gain_may_be_nothing():
    table = gain_table((0.70, 0.80), (0.7, 0.7), (0.7, 0.7), (0.75, 0.79))
    gain = share_of_gain(scores_of(table), SIZES)
    assert gain.shares == ()
    assert "interval [-1.0, +5.0], which is not above 0" in gain.undefined


def test_the_share_is_not_defined_for_one_seed():
    gain = share_of_gain(scores_of(gain_table((0.7,), (0.7,), (0.75,), (0.8,))), SIZES)
    assert gain.total.value == pytest.approx(0.1)
    assert "one seed shows no spread" in gain.undefined


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({}, "no cell of ulm is finished"),
        ({ULM: (0.7,)}, "no cell of ulm\\+domain at 1,600 documents is finished"),
        ({ULM: (0.7, None), ("ulm+domain", 1600): (None, 0.8)}, "no seed has finished both"),
    ],
)
def test_the_share_names_what_is_missing(table, reason):
    gain = share_of_gain(scores_of(table), SIZES)
    assert gain.total is None
    assert re.search(reason, gain.undefined)


def test_documents_needed_wait_until_one_seed_has_every_size():
    table = gain_table((0.70, 0.71), (0.75, 0.75), (None, None), (0.80, 0.81))
    gain = share_of_gain(scores_of(table), SIZES)
    assert [size for size, _ in gain.shares] == [100, 1600]
    assert gain.needed == ()


def test_a_share_that_the_smallest_size_has_already_is_needed_at_most():
    table = gain_table((0.70, 0.71), (0.79, 0.80), (0.80, 0.80), (0.80, 0.81))
    (n75, _) = share_of_gain(scores_of(table), SIZES).needed
    assert n75.is_at_most
    assert n75.documents == 100


@pytest.mark.parametrize(
    ("shares", "documents"),
    [
        ((0.0, 0.5, 1.0), 400 * 2),  # half way in the logarithm between 400 and 1,600
        ((0.8, 0.2, 1.0), 100),
        ((0.0, 0.9, 0.1), 100 * 4 ** (0.75 / 0.9)),  # the first crossing counts
        ((0.0, 0.1, 0.2), 1600),
    ],
)
def test_crossing_interpolates_in_the_logarithm(shares, documents):
    assert crossing(SIZES, shares, 0.75) == pytest.approx(documents)


def test_test_documents_widen_the_interval_of_one_seed_to_the_binomial_one():
    hits = np.random.default_rng(0).random(2000) < 0.8
    rows = rows_of({BOW: (float(hits.mean()),)})
    scores = make_scores(rows, {rows[0].cell: hits})
    assert scores.draws_documents
    (point,) = curve_points(scores)
    half = 1.96 * math.sqrt(0.8 * 0.2 / 2000)
    assert point.accuracy.interval.high - point.accuracy.interval.low == pytest.approx(
        2 * half, rel=0.1
    )


def test_documents_are_drawn_together_so_that_equal_predictions_differ_by_nothing():
    hits = np.random.default_rng(0).random(500) < 0.8
    rows = rows_of({BOW: (float(hits.mean()),), ULM: (float(hits.mean()),)})
    scores = make_scores(rows, {row.cell: hits for row in rows})
    assert difference(scores, ULM, BOW).accuracy.interval == Interval(low=0, high=0)


def test_hits_of_some_cells_only_are_not_used():
    rows = rows_of({BOW: (0.8,), ULM: (0.7,)})
    assert not make_scores(rows, {rows[0].cell: np.ones(10, dtype=bool)}).draws_documents


def test_hits_are_read_in_the_order_of_the_documents(tmp_path):
    paths = SweepPaths(storage=str(tmp_path), name="x")
    paths.predictions_folder.mkdir(parents=True)
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], dtype=np.float16)
    np.savez(
        paths.predictions("a"),
        documents=np.array([7, 3, 5]),
        labels=np.array([0, 0, 0]),
        probabilities=probabilities,
    )
    paths.predictions("b").write_bytes(b"half a file")
    rows = [
        ResultRow(regime="bow", size=None, seed=seed, status="finished", cell=cell)
        for seed, cell in enumerate("abc")
    ]
    found = load_hits(paths, rows)
    assert list(found) == ["a"]
    assert found["a"].tolist() == [False, True, True]
    assert read_hits(paths.predictions("c")) is None


def test_findings_name_the_leader_of_each_size_with_its_margin():
    spec = example_spec()
    table = {
        BOW: (0.80, 0.80),
        ULM: (0.70, 0.70),
        ("domain", 100): (0.60, 0.62),
        ("domain", 1600): (0.82, 0.84),
    }
    findings = find(spec, rows_of(table))
    leaders = {leader.size: leader for leader in findings.leaders}
    assert leaders[100].best.regime == "bow"
    assert leaders[1600].best.regime == "domain"
    assert leaders[1600].margin.second == BOW
    assert leaders[1600].margin.accuracy.value == pytest.approx(0.03)
    assert {found.first for found in findings.against_bow} == {
        ULM,
        ("domain", 100),
        ("domain", 1600),
    }
    (growth,) = findings.growth
    assert growth.accuracy.value == pytest.approx(0.22)
    assert findings.gain.undefined == "no cell of ulm+domain at 1,600 documents is finished"


def test_nothing_finished_is_found_as_nothing():
    findings = find(example_spec(), [])
    assert findings.curves == findings.leaders == findings.against_bow == ()
    assert findings.gain.undefined == "no cell of ulm is finished"
