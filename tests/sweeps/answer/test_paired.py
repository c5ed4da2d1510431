import numpy as np
import pytest
from scipy import stats

from sweeps.answer.agreement import agreement, concordance
from sweeps.answer.paired import mcnemar, more_seeds_to_claim, noether_seeds, paired_test
from sweeps.answer.scores import make_scores
from sweeps.answer.statistics import difference, win_interval
from tests.sweeps.answer.sweep_scores import rows_of, scores_of

BOW, ULM = ("bow", None), ("ulm", None)


@pytest.mark.parametrize(("probability", "seeds"), [(0.75, 29), (0.9, 12), (0.25, 29), (1.0, 8)])
def test_noethers_sample_size_is_as_published(probability, seeds):
    assert noether_seeds(probability) == seeds


def test_no_number_of_seeds_tells_an_even_chance():
    assert noether_seeds(0.5) is None
    assert more_seeds_to_claim(compared(2, 4)) is None


def compared(wins, num_seeds, regimes=("scratch", "domain")):
    """`ulm` minus `bow`, in a sweep of so many more regimes."""
    table = {
        BOW: (0.8,) * num_seeds,
        ULM: (0.9,) * wins + (0.7,) * (num_seeds - wins),
        **{(name, None): (0.1,) * num_seeds for name in regimes},
    }
    return difference(scores_of(table), ULM, BOW)


@pytest.mark.parametrize(("num_seeds", "more"), [(2, 5), (6, 1), (7, 0), (9, 0)])
def test_seeds_that_agree_need_as_many_more_as_the_fewest_that_claim(num_seeds, more):
    assert more_seeds_to_claim(compared(num_seeds, num_seeds)) == more
    assert more_seeds_to_claim(compared(0, num_seeds)) == more, "either way round"
    assert compared(num_seeds, num_seeds).is_claimed is (more == 0)


@pytest.mark.parametrize(("wins", "num_seeds"), [(3, 4), (4, 5), (9, 10), (12, 15)])
def test_with_so_many_more_seeds_the_claim_is_made_as_often_as_promised(wins, num_seeds):
    found = compared(wins, num_seeds)
    more = more_seeds_to_claim(found)

    def claims(more):
        draws = np.random.default_rng(0).binomial(more, wins / num_seeds, 4000)
        lows = {n: win_interval(wins + n, num_seeds + more, 3).low for n in set(draws)}
        return np.mean([lows[n] > 0.5 for n in draws])

    assert found.num_comparisons == 3
    assert claims(more) > 0.94
    assert claims(more - 1) < 0.96


def test_noethers_sample_size_has_the_power_it_promises():
    rng = np.random.default_rng(0)
    gap = np.sqrt(2) * stats.norm.ppf(0.75)  # P(A > B) = .75 for two normal samples
    count = noether_seeds(0.75)
    first, second = rng.normal(gap, 1, (1500, count)), rng.normal(0, 1, (1500, count))
    found = stats.mannwhitneyu(first, second, axis=1, alternative="greater")
    assert (found.pvalue < 0.05).mean() == pytest.approx(0.95, abs=0.03)


@pytest.mark.parametrize(("first", "second"), [(0, 1), (3, 9), (10, 10), (40, 21), (300, 351)])
def test_mcnemar_is_the_mid_p_of_the_binomial_test(first, second):
    total, smaller = first + second, min(first, second)
    mid = 2 * stats.binom.cdf(smaller, total, 0.5) - stats.binom.pmf(smaller, total, 0.5)
    assert mcnemar(first, second).mid == pytest.approx(min(1.0, mid))


@pytest.mark.parametrize(
    ("first", "second", "expected"), [(9, 3, 0.14599609375), (40, 21, 0.0204147137996349)]
)
def test_mcnemar_agrees_with_statsmodels(first, second, expected):
    # statsmodels 0.15.0: from statsmodels.stats.contingency_tables import mcnemar
    # mcnemar([[0, 9], [3, 0]], exact=True).pvalue, mcnemar([[0, 40], [21, 0]], exact=True).pvalue
    outcome = stats.binom.pmf(second, first + second, 0.5)
    assert mcnemar(first, second).mid + outcome == pytest.approx(expected, rel=1e-12)


def test_mcnemar_of_equal_predictions_is_one():
    assert mcnemar(0, 0).mid == 1.0


def test_seeds_are_combined_over_documents_and_not_by_adding_counts():
    hits = np.array([1, 1, 1, 0, 0, 0], dtype=bool)
    lost = np.array([0, 0, 1, 0, 0, 1], dtype=bool)
    rows = rows_of({BOW: (0.5, 0.5), ULM: (1 / 3, 1 / 3)})
    by_cell = {row.cell: hits if row.regime == "bow" else lost for row in rows}
    found = paired_test(make_scores(rows, by_cell), BOW, ULM)
    assert (found.first_only, found.second_only) == (2, 1)


def test_the_combined_test_keeps_its_level_where_seeds_share_documents():
    rng = np.random.default_rng(1)
    pvalues = []
    for _ in range(400):
        difficulty = rng.normal(size=(2, 1, 120))  # of each classifier, the same at all seeds
        hits = difficulty + 0.3 * rng.normal(size=(2, 4, 120)) > 0
        rows = rows_of({BOW: hits[0].mean(axis=1), ULM: hits[1].mean(axis=1)})
        by_cell = {row.cell: hits[int(row.regime == "ulm"), row.seed] for row in rows}
        pvalues.append(paired_test(make_scores(rows, by_cell), BOW, ULM).mid)
    assert (np.array(pvalues) < 0.05).mean() < 0.08


def test_there_is_no_paired_test_without_predictions_or_on_other_documents():
    rows = rows_of({BOW: (0.5,), ULM: (0.5,)})
    hits = {row.cell: np.ones(4, dtype=bool) for row in rows}
    assert paired_test(make_scores(rows), BOW, ULM) is None
    two = rows_of({BOW: (0.5, 0.5), ULM: (0.5, 0.5)})
    hits = {row.cell: np.ones(4, dtype=bool) for row in two}
    samples = {0: np.arange(4), 1: np.arange(4) + 2}
    assert paired_test(make_scores(two, hits, samples), BOW, ULM) is None


def test_concordance_is_friedmans_statistic_scaled():
    values = np.random.default_rng(2).normal(size=(6, 4)) + np.arange(6)[:, None] * 0.4
    found = concordance(values)
    expected = stats.friedmanchisquare(*values)
    assert found == pytest.approx(expected.statistic / (4 * 5))


def test_concordance_of_two_seeds_is_their_rank_correlation_rescaled():
    values = np.random.default_rng(3).normal(size=(7, 2))
    rho = stats.spearmanr(values[:, 0], values[:, 1]).statistic
    assert concordance(values) == pytest.approx((rho + 1) / 2)


def test_ties_are_corrected_as_friedman_does():
    values = np.array([[1, 1, 2], [1, 2, 2], [3, 3, 3], [4, 3, 5.0]])
    expected = stats.friedmanchisquare(*values)
    assert concordance(values) == pytest.approx(expected.statistic / (3 * 3))


def test_seeds_that_agree_have_concordance_one_and_gaps_are_left_out():
    table = {BOW: (0.8, 0.9), ULM: (0.7, 0.8), ("domain", 100): (0.6, None)}
    assert agreement(scores_of(table)) is None  # one seed has every point
    found = agreement(scores_of({**table, ("domain", 100): (0.6, 0.7)}))
    assert (found.concordance, found.num_points, found.num_seeds) == (1.0, 3, 2)


def test_seeds_that_tie_every_point_have_no_order_to_agree_on():
    assert (
        agreement(scores_of({BOW: (0.7, 0.7), ULM: (0.7, 0.7), ("domain", 100): (0.7, 0.7)}))
        is None
    )
    assert agreement(scores_of({BOW: (0.7, 0.7), ULM: (0.7, 0.8)})).concordance > 0
