from itertools import combinations

import numpy as np
import pytest

from sweeps.answer.results import ResultRow
from sweeps.answer.scores import make_scores
from sweeps.answer.search_curves import (
    Verdict,
    expected_best,
    rate_sensitivities,
    search_curve,
)
from sweeps.answer.tried import SearchPanel, Tried, search_panels
from sweeps.answer.worth import worth_over
from sweeps.spec.cells import Stage, make_cells
from sweeps.spec.searches import Range
from tests.sweeps.example_sweep import example_records, example_spec

SPEC = example_spec()
PANELS = search_panels(SPEC, make_cells(SPEC), example_records(SPEC))
RATES = Range(low=1e-3, high=1e-1, log=True)


def tried(rate, score, size_index=0):
    return Tried(rate=rate, score=score, size_index=size_index, is_chosen=False, is_pruned=False)


def panel(*studies, stage=Stage.CLASSIFIER):
    return SearchPanel(regime="domain", stage=stage, searched=RATES, studies=studies)


def test_the_expected_best_is_the_mean_over_all_subsets():
    scores = [3.0, 1.0, 4.0, 1.5, 9.0]
    expected = [np.mean([max(c) for c in combinations(scores, k)]) for k in range(1, 6)]
    assert expected_best(scores) == pytest.approx(expected)


def test_the_expected_best_is_unbiased():
    rng = np.random.default_rng(0)
    found = [expected_best(rng.uniform(size=6))[2] for _ in range(4000)]
    assert np.mean(found) == pytest.approx(3 / 4, abs=0.01)  # of three uniforms


def test_a_last_trial_that_brings_a_point_was_not_the_last_one_needed():
    studies = [[tried(r, s) for r, s in zip((1e-2, 2e-2, 3e-2), (70, 74, 80.0), strict=True)]] * 2
    found = search_curve(panel(*studies))
    assert found.verdict is Verdict.NOT_ENOUGH
    assert found.expected[-1] == 80
    assert found.last_gain.value == pytest.approx(80 - (80 + 80 + 74) / 3)


def test_trials_that_score_alike_are_enough_and_two_say_nothing():
    alike = [tried(r, 80.0 + r) for r in (1e-2, 2e-2, 3e-2)]
    assert search_curve(panel(alike, alike)).verdict is Verdict.ENOUGH
    assert search_curve(panel(alike[:2])).verdict is Verdict.UNKNOWN
    assert search_curve(panel(alike[:1])) is None


def test_losses_are_searched_downwards():
    study = [tried(r, s) for r, s in zip((1e-2, 2e-2, 3e-2), (5.0, 4.0, 4.5), strict=True)]
    found = search_curve(panel(study, stage=Stage.LANGUAGE_MODEL))
    assert found.expected[-1] == 4.0
    assert found.expected[0] == pytest.approx(4.5)
    assert found.last_gain.value > 0


def test_rates_within_a_standard_error_of_the_best_are_as_good():
    # 20 held-out labels at 80 %: one standard error is 8.9 points
    study = [tried(r, s) for r, s in zip((1e-3, 5e-3, 1e-2, 5e-2), (50, 75, 80, 60), strict=True)]
    (found,) = rate_sensitivities(SPEC, [panel(study)])
    assert found.standard_error == pytest.approx(100 * (0.8 * 0.2 / 20) ** 0.5)
    assert (found.low, found.best, found.high) == (5e-3, pytest.approx(1e-2), 1e-2)
    assert (found.size, found.num_at_edge) == (100, 0)


def test_a_best_rate_at_the_edge_is_counted():
    study = [tried(1e-3, 90.0), tried(1e-2, 50.0)]
    (found,) = rate_sensitivities(SPEC, [panel(study)])
    assert found.num_at_edge == 1


def test_every_size_of_a_sweep_has_its_rates():
    lines = rate_sensitivities(SPEC, PANELS)
    of_models = [x for x in lines if x.stage is Stage.LANGUAGE_MODEL and x.regime == "domain"]
    assert [line.size for line in of_models] == [100, 400, 1600]
    assert all(line.low <= line.best <= line.high or line.num_studies > 1 for line in lines)


def row(regime, seed, accuracy, seconds):
    return ResultRow(
        regime=regime,
        size=None,
        seed=seed,
        test_accuracy=accuracy,
        search_seconds=seconds,
        accelerator_seconds=seconds,
        status="finished",
    )


def test_a_point_costs_the_seconds_above_the_reference_divided_by_the_points():
    rows = [row("bow", s, 0.80, 10.0) for s in (0, 1, 2)]
    rows += [row("ulm", s, a, 370.0) for s, a in enumerate((0.82, 0.83, 0.81))]
    (found,) = worth_over(make_scores(rows), rows, ("bow", None))
    assert found.seconds_per_point == pytest.approx(180)
    assert found.accelerator_hours_per_point == pytest.approx(370 / 3600 / 2)
    ends = found.gain.accuracy.interval
    assert found.interval.low == pytest.approx(360 / (100 * ends.high))
    assert found.interval.high == float("inf")


def test_nothing_gained_has_no_price():
    rows = [row("bow", s, 0.80, 10.0) for s in (0, 1)] + [row("ulm", s, 0.7, 9.0) for s in (0, 1)]
    (found,) = worth_over(make_scores(rows), rows, ("bow", None))
    assert found.seconds_per_point is None
    assert found.accelerator_hours_per_point is None
    assert worth_over(make_scores(rows), rows, ("scratch", None)) == ()
