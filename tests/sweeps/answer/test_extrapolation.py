import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import curve_fit

from sweeps.advice.collecting import outlook_at
from sweeps.answer.estimates import Estimate, Interval
from sweeps.answer.extrapolation import _judged, extrapolate, range_of, why_not
from sweeps.answer.forms import FORMS, fit_form
from tests.sweeps.answer.sweep_scores import curve, scores_of

SIZES = tuple(500 * 2**k for k in range(8))
PLACES = np.array(SIZES, dtype=float)
FORM = {form.name: form for form in FORMS}


def errors_of(function, noise=0.0):
    return function(PLACES) + noise * np.random.default_rng(0).normal(size=len(PLACES))


@pytest.mark.parametrize(
    ("name", "function", "start"),
    [
        ("power law with floor", lambda n, d, a, c: d * n**-a + c, (2.0, 0.4, 0.1)),
        ("power law", lambda n, d, a: d * n**-a, (2.0, 0.3)),
        ("logarithm", lambda n, d, c: c - d * np.log(n), (0.02, 0.4)),
        ("exponential with floor", lambda n, d, b, c: d * np.exp(-n / b) + c, (0.1, 4000, 0.1)),
    ],
)
def test_a_fit_is_as_good_as_scipys(name, function, start):
    errors = errors_of(lambda n: function(n, *start), noise=0.002)
    found = fit_form(FORM[name], PLACES, errors[None, :])
    best, _ = curve_fit(function, PLACES, errors, p0=start, maxfev=20_000)
    ours = np.array([1 - found.accuracy_at(n)[0] for n in PLACES])
    theirs = function(PLACES, *best)
    assert ((ours - errors) ** 2).sum() == pytest.approx(((theirs - errors) ** 2).sum(), rel=0.02)
    assert found.accuracy_at(128_000)[0] == pytest.approx(1 - function(128_000.0, *best), abs=2e-3)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_documents_for_a_target_are_where_the_fit_reaches_it(form):
    found = fit_form(form, PLACES, errors_of(lambda n: 2.0 * n**-0.4 + 0.05)[None, :])
    documents = found.documents_for(0.85)[0]
    assert found.accuracy_at(documents)[0] == pytest.approx(0.85, abs=1e-6)


def test_a_target_above_the_floor_is_never_reached():
    found = fit_form(FORM["power law with floor"], PLACES, (2 * PLACES**-0.5 + 0.1)[None, :])
    assert found.documents_for(0.95)[0] == math.inf
    assert found.floor[0] == pytest.approx(0.1, abs=1e-3)


def test_a_curve_that_falls_is_fitted_flat():
    found = fit_form(FORM["logarithm"], PLACES, (0.1 + PLACES * 1e-6)[None, :])
    assert found.slope[0] == 0
    assert found.documents_for(0.5)[0] == 1.0
    assert found.documents_for(0.99)[0] == math.inf


def power(n):
    return 1 - (1.8 * n**-0.35 + 0.06)


def test_the_true_form_predicts_the_size_it_has_not_seen_and_others_are_refuted():
    scores = scores_of(curve("domain", {n: power(n) for n in SIZES}))
    model = extrapolate(scores, "domain", SIZES, num_draws=100)
    by_name = {found.form.name: found for found in model.fitted}
    assert abs(by_name["power law with floor"].miss.value) < 5e-4
    assert by_name["logarithm"].miss.value > 0.01
    assert by_name["logarithm"].is_refuted
    assert by_name["logarithm"] not in model.trusted


def test_the_range_over_forms_holds_what_lies_beyond_the_measured_sizes():
    scores = scores_of(curve("domain", {n: power(n) for n in SIZES}))
    model = extrapolate(scores, "domain", SIZES, num_draws=200)
    ends = range_of(model.accuracy_at(128_000))
    assert ends.low < power(128_000) < ends.high
    ends = range_of(model.documents_for(power(128_000)))
    assert ends.low < 128_000 < ends.high
    assert model.limit == 256_000


def test_the_range_of_forms_is_never_narrower_than_one_of_them():
    scores = scores_of(curve("domain", {n: power(n) for n in SIZES[:5]}))
    predictions = extrapolate(scores, "domain", SIZES[:5], num_draws=100).accuracy_at(40_000)
    ends = range_of(predictions)
    assert len(predictions) > 1
    assert all(ends.low <= p.interval.low <= p.value <= p.interval.high for p in predictions)


def test_a_gain_is_against_the_measured_accuracy_not_against_that_of_the_form():
    noise = np.random.default_rng(0).normal(0, 0.004, (len(SIZES), 3))
    table = {("domain", n): power(n) + noise[k] for k, n in enumerate(SIZES)}
    model = extrapolate(scores_of(table), "domain", SIZES)
    measured = np.mean(table["domain", SIZES[-1]])
    size = 2 * SIZES[-1]
    for gain, accuracy in zip(model.gain_at(size), model.accuracy_at(size), strict=True):
        assert gain.value == pytest.approx(accuracy.value - measured)
        assert gain.interval.low < gain.value < gain.interval.high


@pytest.mark.parametrize("sizes", [SIZES[:3], SIZES])
def test_no_measured_size_tells_that_a_curve_does_not_level_off_next(sizes):
    scores = scores_of(curve("domain", {n: 0.5 + 0.03 * np.log(n) for n in sizes}))
    model = extrapolate(scores, "domain", sizes)
    found = outlook_at((), scores, "domain", sizes, 2 * sizes[-1], model)
    last = scores.means(("domain", sizes[-1]))[0]
    assert found.gain.low == 0.0 < found.gain.high
    assert found.accuracy.low <= last < found.accuracy.high
    assert found.accuracy.high == range_of(model.accuracy_at(2 * sizes[-1])).high


def test_no_accuracy_beyond_the_sizes_is_above_1():
    scores = scores_of(
        curve("domain", {n: 0.9 + 0.02 * k for k, n in enumerate(SIZES[:4])}, (0.03, -0.03))
    )
    model = extrapolate(scores, "domain", SIZES[:4])
    found = model.accuracy_range(2 * SIZES[3])
    assert 0.0 <= found.low < found.high <= 1.0
    assert model.gain_range(2 * SIZES[3]).high <= 1.0 - found.low


def test_three_sizes_allow_two_parameters_and_two_sizes_nothing():
    table = curve("domain", {n: power(n) for n in SIZES[:3]})
    model = extrapolate(scores_of(table), "domain", SIZES, num_draws=50)
    assert {found.form.num_parameters for found in model.fitted} == {2}
    table = curve("domain", {n: power(n) for n in SIZES[:2]})
    assert extrapolate(scores_of(table), "domain", SIZES) is None


def test_one_seed_is_not_extrapolated_and_neither_is_a_curve_that_ends_where_it_began():
    for table, reason in (
        (curve("domain", {n: power(n) for n in SIZES}, around=(0.0,)), "two seeds"),
        (curve("domain", {n: 0.6 if n in (1000, 2000) else 0.5 for n in SIZES}), "rises"),
    ):
        assert extrapolate(scores_of(table), "domain", SIZES) is None
        assert reason in why_not(scores_of(table), "domain", SIZES)


def test_a_form_that_surely_misses_the_largest_size_is_refuted_though_none_is_better():
    """A curve that rises and falls: all forms rise, and all miss its end alike."""
    rising = {n: 0.6 + 0.03 * k for k, n in enumerate(SIZES)}
    model = extrapolate(scores_of(curve("domain", rising | {SIZES[-1]: 0.62})), "domain", SIZES)
    assert all(found.miss.interval.low > 0.01 for found in model.fitted)
    assert model.trusted == ()


def test_where_a_curve_levels_off_its_accuracy_is_as_sure_as_that_of_the_largest_size():
    sizes = (500, 1000, 2000)
    table = curve("domain", {n: 0.5 + 0.03 * np.log(n) for n in sizes}, (0.0, 0.01, -0.01, 0.004))
    scores = scores_of(table)
    model = extrapolate(scores, "domain", sizes)
    low, high = np.percentile(model.last_draws, [2.5, 97.5])
    interval = scores.contrast([("domain", sizes[-1])], [1.0]).interval
    assert low == pytest.approx(interval.low, abs=2e-3)
    assert high == pytest.approx(interval.high, abs=2e-3)
    assert model.accuracy_range(2 * sizes[-1]).low <= low + 1e-3
    # a seed that is better at the largest size is better beyond it: the gain is surer than either
    for gain, level in zip(
        model.gain_at(2 * sizes[-1]), model.accuracy_at(2 * sizes[-1]), strict=True
    ):
        width = gain.interval.high - gain.interval.low
        assert width < 0.7 * (level.interval.high - level.interval.low)


def test_a_form_that_misses_more_than_twice_as_much_as_the_best_is_refuted():
    sizes = (500, 1000, 2000, 4000)
    table = curve("domain", {n: 0.5 + 0.03 * np.log(n) for n in sizes})
    form = extrapolate(scores_of(table), "domain", sizes).fitted[0]

    def missing(value):
        miss = Estimate(value=value, interval=Interval(low=-0.5, high=0.5), num_seeds=3)
        return replace(form, miss=miss, is_refuted=False)

    best = missing(0.02)
    for value, is_refuted in ((0.039, False), (-0.039, False), (0.041, True), (-0.041, True)):
        assert _judged(missing(value), [best, missing(value)]).is_refuted is is_refuted
    close = missing(0.001)
    assert not _judged(missing(0.009), [close, missing(0.009)]).is_refuted, "within a point"
