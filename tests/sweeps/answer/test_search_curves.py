from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from benchmarks.verdicts import search_verdicts
from sweeps.answer.results import ResultRow
from sweeps.answer.scores import make_scores
from sweeps.answer.search_curves import (
    Leaning,
    Verdict,
    expected_best,
    rate_sensitivities,
    search_curve,
)
from sweeps.answer.tried import SearchPanel, Tried, search_panels
from sweeps.answer.worth import worth_over
from sweeps.search.records import TrialState
from sweeps.spec.cells import Stage
from sweeps.spec.searches import Range
from tests.sweeps.example_sweep import example_records, example_spec, replayed
from tests.sweeps.example_sweep import study_of as study_key

SPEC = example_spec()
PANELS = search_panels(replayed(SPEC, example_records(SPEC)))
RATES = Range(low=1e-3, high=1e-1, log=True)


def tried(rate, score):
    return Tried(rate=rate, score=score, size=100, is_chosen=False, is_pruned=False)


def panel(*studies, stage=Stage.CLASSIFIER, num_held_out=20):
    return SearchPanel(
        regime="domain",
        stage=stage,
        searched=RATES,
        num_held_out=num_held_out if stage is Stage.CLASSIFIER else None,
        studies=studies,
    )


def study_of(*scores):
    return [tried(rate, score) for rate, score in zip((1e-2, 2e-2, 3e-2), scores, strict=False)]


def test_the_expected_best_is_the_mean_over_all_subsets():
    scores = [3.0, 1.0, 4.0, 1.5, 9.0]
    expected = [np.mean([max(c) for c in combinations(scores, k)]) for k in range(1, 6)]
    assert expected_best(scores) == pytest.approx(expected)


def test_the_expected_best_is_unbiased():
    rng = np.random.default_rng(0)
    found = [expected_best(rng.uniform(size=6))[2] for _ in range(4000)]
    assert np.mean(found) == pytest.approx(3 / 4, abs=0.01)  # of three uniforms


def test_a_last_trial_that_brings_a_point_was_not_the_last_one_needed():
    found = search_curve(panel(*[study_of(70, 74, 80.0)] * 2, num_held_out=1000))
    assert found.verdict is Verdict.NOT_ENOUGH
    assert found.expected[-1] == 80
    assert found.last_gain.value == pytest.approx(80 - (80 + 80 + 74) / 3)


def test_trials_that_score_alike_are_enough_and_two_say_nothing():
    alike = study_of(80.01, 80.02, 80.03)
    assert search_curve(panel(alike, alike)).verdict is Verdict.ENOUGH
    assert search_curve(panel(alike[:2], alike[:2])).verdict is Verdict.CANNOT_TELL
    assert search_curve(panel(alike[:1])) is None


def test_a_gain_that_few_labels_bring_by_chance_is_no_reason_to_go_on():
    studies = [study_of(70, 74, 80.0)] * 2  # two points a trial
    assert search_curve(panel(*studies, num_held_out=30)).verdict is Verdict.CANNOT_TELL
    assert search_curve(panel(*studies, num_held_out=1000)).verdict is Verdict.NOT_ENOUGH


def test_enough_is_said_only_with_its_whole_interval():
    nothing, much = study_of(70, 80, 80.0), study_of(70, 80, 82.4)
    found = search_curve(panel(nothing, much))
    assert found.last_gain.value < 0.5 < found.last_gain.interval.high
    assert found.verdict is Verdict.CANNOT_TELL
    assert search_curve(panel(nothing)).verdict is Verdict.CANNOT_TELL, "one study has no interval"


@pytest.mark.parametrize("shared", [0.0, 0.7])
@pytest.mark.parametrize(("num_held_out", "trials"), [(30, 3), (100, 3), (100, 8)])
def test_equal_rates_are_not_searched_too_little(num_held_out, trials, shared):
    found = search_verdicts(
        "all rates equal",
        100,
        shared=shared,
        num_held_out=num_held_out,
        trials=trials,
        num_studies=6,
    )
    assert found[Verdict.NOT_ENOUGH] <= 0.04


@pytest.mark.parametrize("landscape", ["half of the range fails", "good in 15 % of the range"])
def test_a_search_that_is_too_short_is_told_where_labels_allow(landscape):
    found = search_verdicts(landscape, 100, num_held_out=500, trials=3, num_studies=6)
    assert found[Verdict.NOT_ENOUGH] > 0.75
    found = search_verdicts(landscape, 100, num_held_out=30, trials=3, num_studies=6)
    assert found[Verdict.ENOUGH] < 0.05


def test_a_range_whose_best_rates_lie_beyond_what_three_trials_tried_is_told():
    rising, falling = study_of(70, 74, 80.0), study_of(80.0, 74, 70)
    assert search_curve(panel(*[rising] * 8)).leaning == Leaning(end="highest", num_studies=8, of=8)
    assert search_curve(panel(*[falling] * 8)).leaning.end == "lowest"
    losses = panel(*[falling] * 8, stage=Stage.LANGUAGE_MODEL)
    assert search_curve(losses).leaning.end == "highest"
    assert search_curve(panel(*[rising] * 4)).leaning is None, "once in 81 by chance"
    assert search_curve(panel(*[rising, falling] * 8)).leaning is None
    assert search_curve(panel(*[study_of(70, 80.0, None)] * 8)).leaning is None, "higher diverged"
    assert search_curve(panel(*[study_of(70, 80, 80.0)] * 8)).leaning is None, "a tie"


def test_equal_rates_lean_nowhere():
    rng = np.random.default_rng(0)
    sweeps = rng.normal(80, 2, (500, 10, 3))
    told = [search_curve(panel(*(study_of(*scores) for scores in each))).leaning for each in sweeps]
    assert sum(leaning is not None for leaning in told) <= 10


def test_losses_are_searched_downwards():
    found = search_curve(panel(study_of(5.0, 4.0, 4.5), stage=Stage.LANGUAGE_MODEL))
    assert found.expected[-1] == 4.0
    assert found.expected[0] == pytest.approx(4.5)
    assert found.last_gain.value > 0
    assert found.verdict is Verdict.NOT_ENOUGH


def test_a_trial_that_diverged_was_asked_and_is_worse_than_any_that_scored():
    scores = {1: 70.0, 2: 74.0, 3: 80.0, 4: None, 5: None}
    study = [tried(rate / 100, score) for rate, score in scores.items()]
    found = search_curve(panel(study, study, num_held_out=1000))
    worst = [70.0 if score is None else score for score in scores.values()]
    expected = [np.mean([max(c) for c in combinations(worst, k)]) for k in range(1, 6)]
    assert found.expected == pytest.approx(expected)
    assert found.last_gain.value == pytest.approx((80 - 74) / 5), "one in five trials is the last"
    assert found.verdict is Verdict.NOT_ENOUGH


def test_a_language_model_that_diverged_is_worse_than_any_that_scored():
    studies = [study_of(5.0, 4.0, None)] * 2
    found = search_curve(panel(*studies, stage=Stage.LANGUAGE_MODEL))
    assert found.expected == pytest.approx(((5 + 4 + 5) / 3, (4 + 4 + 5) / 3, 4.0))


def test_a_study_whose_trials_diverged_does_not_shorten_the_others():
    rates = np.geomspace(1e-3, 1e-1, 8)
    whole = [tried(rate, 80.0 + k / 10) for k, rate in enumerate(rates)]
    broken = [tried(rate, 80.0 + k / 10 if k < 3 else None) for k, rate in enumerate(rates)]
    found = search_curve(panel(whole, whole, broken))
    assert len(found.expected) == 8
    assert found.num_studies == 3


def test_what_chance_brings_is_that_of_the_trials_that_scored():
    # of two equal trials the better leads by more than of eight
    two_of_eight = [tried(r, s) for r, s in zip(range(1, 9), (70, 78.0, *[None] * 6), strict=True)]
    assert search_curve(panel(*[two_of_eight] * 2, num_held_out=100)).verdict is Verdict.CANNOT_TELL
    found = search_curve(panel(*[two_of_eight] * 2, num_held_out=5000))
    assert found.last_gain.value == pytest.approx(1.0)
    assert found.verdict is Verdict.NOT_ENOUGH


def test_enough_is_not_said_where_a_search_has_one_score_or_none():
    alike = study_of(80.01, 80.02, 80.03)
    for few in (study_of(80.0, None, None), study_of(None, None, None)):
        found = search_curve(panel(alike, alike, few))
        assert (found.num_studies, found.num_untold) == (2, 1)
        assert found.verdict is Verdict.CANNOT_TELL
    begun = search_curve(panel(alike, alike, study_of(80.0)[:1]))
    assert begun.verdict is Verdict.ENOUGH, "a study that has just begun is no failed one"


def test_rates_within_a_standard_error_of_the_best_are_as_good():
    # 20 held-out labels at 80 %: one standard error is 8.9 points
    study = [tried(r, s) for r, s in zip((1e-3, 5e-3, 1e-2, 5e-2), (50, 75, 80, 60), strict=True)]
    (found,) = rate_sensitivities([panel(study)])
    assert found.tolerance == pytest.approx(100 * (0.8 * 0.2 / 20) ** 0.5)
    assert (found.low, found.best, found.high) == pytest.approx((5e-3, 1e-2, 1e-2))
    assert (found.size, found.num_at_edge) == (100, 0)


@pytest.mark.parametrize("num_seeds", [1, 2, 25])
def test_more_seeds_neither_widen_nor_narrow_the_rates_that_are_as_good(num_seeds):
    rng = np.random.default_rng(0)
    studies = []
    for level in rng.normal(4.4, 0.05, num_seeds):  # seeds read other documents
        losses = level + np.array([0.05, 0.008, 0, 0.02])
        studies.append([tried(r, s) for r, s in zip((1e-3, 5e-3, 1e-2, 5e-2), losses, strict=True)])
    (found,) = rate_sensitivities([panel(*studies, stage=Stage.LANGUAGE_MODEL)])
    assert found.tolerance == 0.01
    assert (found.low, found.high) == (pytest.approx(5e-3), pytest.approx(1e-2))


def test_one_odd_seed_does_not_decide_which_rates_are_as_good():
    usual, odd = study_of(60, 80, 60.0), study_of(80, 60, 80.0)
    (found,) = rate_sensitivities([panel(usual, usual, odd)])
    assert (found.low, found.best, found.high) == pytest.approx((2e-2, 2e-2, 2e-2))


def test_a_best_rate_at_the_edge_is_counted():
    study = [tried(1e-3, 90.0), tried(1e-2, 50.0)]
    (found,) = rate_sensitivities([panel(study)])
    assert found.num_at_edge == 1


def test_every_size_of_a_sweep_has_its_rates():
    lines = rate_sensitivities(PANELS)
    of_models = [x for x in lines if x.stage is Stage.LANGUAGE_MODEL and x.regime == "domain"]
    assert [line.size for line in of_models] == [100, 400, 1600]
    assert all(line.low <= line.best <= line.high for line in lines)


def test_a_panel_shows_losses_as_they_are_and_accuracies_in_percent():
    records = list(example_records(SPEC))
    panels = {(p.regime, p.stage): p for p in search_panels(replayed(SPEC, records))}
    for stage, unit in ((Stage.LANGUAGE_MODEL, 1), (Stage.CLASSIFIER, 100)):
        studies = panels["domain", stage].studies
        shown = {(trial.rate, trial.score) for trials in studies for trial in trials}
        assert shown == {
            (record.params["learning_rate"], unit * record.outcome.value)
            for record in records
            if record.key.study.stage is stage and record.key.study.cell_id.startswith("domain")
        }


def test_a_pruned_trial_shows_its_last_epoch_and_a_failed_one_no_score():
    study = study_key(SPEC, "scratch", None, 0, Stage.CLASSIFIER)
    own = [record for record in example_records(SPEC) if record.key.study == study]
    finished, *others = own
    ended = [
        replace(record, state=state, outcome=None)
        for record, state in zip(others, (TrialState.PRUNED, TrialState.FAILED), strict=True)
    ]
    (found,) = search_panels(replayed(SPEC, [finished, *ended]))
    scores = {trial.rate: (trial.score, trial.is_pruned) for trial in found.studies[0]}
    assert scores == {
        finished.params["learning_rate"]: (100 * finished.outcome.value, False),
        ended[0].params["learning_rate"]: (100 * ended[0].progress[-1].value, True),
        ended[1].params["learning_rate"]: (None, False),
    }


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
