import math

import numpy as np
import pytest
from scipy import stats

from sweeps.answer.crossings import find_crossing, overtaking, passing, reaching, sharing
from tests.sweeps.answer.sweep_scores import curve, scores_of

SIZES = (100, 400, 1600)
BOTH, DOMAIN, BOW = "ulm+domain", "domain", ("bow", None)


def test_a_target_is_reached_log_linear_between_sizes_with_the_inverted_t_interval():
    around = np.array([0.01, -0.01, 0.0, 0.006])
    table = {(BOTH, n): m + around for n, m in zip(SIZES, (0.70, 0.80, 0.84), strict=True)}
    found = find_crossing(scores_of(table), SIZES, reaching(BOTH, 0.75))
    mean = 0.70 + around.mean()
    assert found.documents == pytest.approx(100 * 4 ** ((0.75 - mean) / 0.1))
    half = stats.ttest_1samp(around, 0).confidence_interval(0.95)
    for end, shift in ((found.interval.high, half.low), (found.interval.low, half.high)):
        at = 0.70 + shift + 0.1 * math.log(end / 100) / math.log(4)
        assert at == pytest.approx(0.75, abs=1e-4)
    assert found.is_bracketed
    assert (found.smallest, found.largest, found.num_seeds) == (100, 1600, 4)
    ahead = stats.t(3).ppf(0.975) * around.std(ddof=1) * math.sqrt(1 + 1 / 4)
    at = mean + 0.1 * math.log(found.for_one_run / 100) / math.log(4)
    assert at - ahead == pytest.approx(0.75, abs=1e-4)


def test_a_target_above_the_curve_is_not_reached_and_open_to_the_right():
    scores = scores_of(curve(BOTH, {100: 0.7, 400: 0.75, 1600: 0.8}))
    found = find_crossing(scores, SIZES, reaching(BOTH, 0.9))
    assert found.documents is None
    assert (found.interval.low, found.interval.high) == (1600, math.inf)
    assert found.for_one_run == math.inf
    assert not found.is_bracketed


def test_a_target_that_the_smallest_size_has_is_open_to_the_left():
    scores = scores_of(curve(BOTH, {100: 0.7, 400: 0.75, 1600: 0.8}))
    found = find_crossing(scores, SIZES, reaching(BOTH, 0.6))
    assert found.is_at_most
    assert (found.documents, found.interval.low, found.interval.high) == (100, 0, 100)
    assert found.for_one_run == 100


def test_one_run_between_two_sizes_scatters_as_one_at_a_size_does():
    """The sum of two cells that scatter by themselves scatters less than either."""
    around = np.array([0.01, -0.01] * 4)
    table = {(BOTH, n): m + around * s for n, m, s in ((100, 0.7, 1), (1600, 0.9, -1))}
    found = find_crossing(scores_of(table), (100, 1600), reaching(BOTH, 0.8))
    assert found.interval.high == pytest.approx(400, rel=0.1)
    at = 0.7 + 0.2 * math.log(found.for_one_run / 100) / math.log(16)
    assert at > 0.8 + stats.t(7).ppf(0.975) * around.std(ddof=1)


def differing(*leads, around=(0.0, 0.002, -0.002)):
    """`domain` above a level `ulm+domain` by so much at each size."""
    of_domain = {n: 0.8 + lead for n, lead in zip(SIZES, leads, strict=True)}
    level = curve(BOTH, dict.fromkeys(SIZES, 0.8), around=(0.0,) * len(around))
    return scores_of({**level, **curve(DOMAIN, of_domain, around)})


def test_a_tie_at_the_smallest_size_does_not_hide_the_crossing():
    for at_the_smallest in (-0.001, 0.0, 0.001):
        found = find_crossing(
            differing(at_the_smallest, -0.04, 0.02), SIZES, overtaking(DOMAIN, BOTH)
        )
        assert found.documents == pytest.approx(400 * 4 ** (2 / 3))
        assert found.is_bracketed
        assert 700 < found.interval.low < found.documents < found.interval.high < 1600


def test_a_curve_that_ends_below_does_not_cross_whatever_it_did_before():
    found = find_crossing(differing(0.016, -0.004, -0.007), SIZES, overtaking(DOMAIN, BOTH))
    assert found.documents is None
    assert not found.is_at_most
    assert (found.interval.low, found.interval.high) == (1600, math.inf)


def test_a_curve_that_may_end_below_may_not_cross_within_the_sizes():
    found = find_crossing(
        differing(0.0, -0.04, 0.01, around=(0.0, 0.01, -0.01)), SIZES, overtaking(DOMAIN, BOTH)
    )
    assert found.documents == pytest.approx(400 * 4**0.8)
    assert 400 < found.interval.low < found.documents
    assert found.interval.high == math.inf
    assert not found.is_bracketed


def test_a_curve_that_is_above_everywhere_is_so_from_the_smallest_size_on():
    found = find_crossing(differing(0.04, 0.001, 0.04), SIZES, overtaking(DOMAIN, BOTH))
    assert found.is_at_most
    assert found.documents == 100
    assert found.interval.low == 0
    assert 400 < found.interval.high < 1600, "at 400 the seeds do not tell"


def test_a_share_that_a_larger_size_has_not_is_needed_beyond_it():
    table = {("ulm", None): (0.7, 0.7), **curve(BOTH, {100: 0.78, 400: 0.72, 1600: 0.8}, (0, 0))}
    share = sharing(BOTH, ("ulm", None), (BOTH, 1600), 0.75)
    found = find_crossing(scores_of(table), SIZES, share)
    assert found.documents == pytest.approx(400 * 4 ** (11 / 16))


def test_where_the_last_interval_holds_the_target_nothing_is_bracketed():
    scores = scores_of(curve(BOTH, {100: 0.7, 1600: 0.8}, around=(0.01, -0.01, 0.0)))
    found = find_crossing(scores, SIZES, reaching(BOTH, 0.79))
    assert found.documents is not None
    assert found.interval.high == math.inf
    assert not found.is_bracketed


def test_regimes_cross_where_the_paired_difference_passes_zero():
    shared = np.array([0.03, -0.05, 0.01])
    own = np.array([0.001, -0.001, 0.0])
    table = {
        (regime, n): mean + shared + (own if regime == DOMAIN else 0)
        for regime, means in ((BOTH, (0.8, 0.82, 0.84)), (DOMAIN, (0.7, 0.80, 0.86)))
        for n, mean in zip(SIZES, means, strict=True)
    }
    found = find_crossing(scores_of(table), SIZES, overtaking(DOMAIN, BOTH))
    assert found.documents == pytest.approx(800, rel=1e-6)
    assert found.interval.low > 700
    assert found.interval.high < 900


def test_a_size_that_no_seed_shares_is_left_out():
    table = {(BOTH, 100): (0.7, 0.71), (BOTH, 400): (None, None), (BOTH, 1600): (0.8, 0.81)}
    found = find_crossing(scores_of(table), SIZES, reaching(BOTH, 0.755))
    assert found.documents == pytest.approx(400)
    assert find_crossing(scores_of(table), SIZES, passing(BOTH, BOW)) is None


def test_stretches_use_the_seeds_that_have_both_their_ends():
    table = {
        (BOTH, 100): (0.70, 0.71, 0.72),
        (BOTH, 400): (0.75, 0.76, 0.77),
        (BOTH, 1600): (0.80, 0.81, None),
    }
    found = find_crossing(scores_of(table), SIZES, reaching(BOTH, 0.9))
    assert found.num_seeds == 2


def test_one_seed_brackets_nothing():
    scores = scores_of(curve(BOTH, {100: 0.7, 1600: 0.8}, around=(0.0,)))
    found = find_crossing(scores, SIZES, reaching(BOTH, 0.75))
    assert found.documents == pytest.approx(400)
    assert found.interval is None
    assert not found.is_bracketed


def test_a_tie_is_no_passing():
    level = {
        **curve(DOMAIN, dict.fromkeys(SIZES, 0.697)),
        **curve(BOTH, dict.fromkeys(SIZES, 0.697)),
    }
    found = find_crossing(scores_of(level), SIZES, overtaking(DOMAIN, BOTH))
    assert found.documents is None
    assert found.above == ()
    assert not found.ends_above
    assert not found.is_throughout
    ends_level = find_crossing(differing(-0.02, -0.01, 0.0), SIZES, overtaking(DOMAIN, BOTH))
    assert ends_level.documents is None


def test_sizes_at_which_a_curve_is_above_are_known_though_it_does_not_pass():
    found = find_crossing(differing(-0.02, 0.03, -0.01), SIZES, overtaking(DOMAIN, BOTH))
    assert found.documents is None
    assert found.above == (400,)
    above = find_crossing(differing(0.02, 0.03, 0.03), SIZES, overtaking(DOMAIN, BOTH))
    assert above.above == SIZES
    assert above.is_throughout


def test_one_more_finished_cell_takes_no_answer_away():
    table = {**curve(BOTH, {100: 0.70, 400: 0.80}), ("bow", None): (0.75, 0.752, 0.748)}
    before = find_crossing(scores_of(table), SIZES, passing(BOTH, BOW))
    for cell in ((0.9, None, None), (None, None, 0.2)):
        more = scores_of({**table, (BOTH, 1600): cell})
        assert find_crossing(more, SIZES, passing(BOTH, BOW)) == before
    assert before.is_bracketed
    two = scores_of({**table, (BOTH, 1600): (0.9, 0.9, None)})
    assert find_crossing(two, SIZES, passing(BOTH, BOW)).largest == 1600
