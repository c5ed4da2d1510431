import numpy as np
import pytest

from benchmarks.verdicts import claims_of_equals
from sweeps.answer.claims import claims_of
from sweeps.answer.scores import make_scores
from tests.sweeps.answer.sweep_scores import rows_of, scores_of

TOP = ("ulm+domain", 400)
TABLE = {
    ("bow", None): (0.8, 0.8, 0.8),
    ("ulm", None): (0.7, 0.7, 0.9),
    ("domain", 100): (0.5, 0.5, 0.5),
    ("domain", 400): (0.6, 0.6, 0.6),
    ("ulm+domain", 100): (0.7, 0.7, 0.7),
    ("ulm+domain", 200): (0.75, 0.75, 0.75),
    TOP: (0.82, 0.81, 0.83),
}


def test_the_top_is_compared_with_every_regime_at_its_size_and_its_next_smaller_size():
    found = claims_of(scores_of(TABLE), TOP)
    assert [claim.difference.second for claim in found] == [
        ("bow", None),
        ("ulm", None),
        ("domain", 400),
        ("ulm+domain", 200),
    ]


def test_more_seeds_follow_from_the_wins_that_were_seen():
    by_second = {c.difference.second[0]: c for c in claims_of(scores_of(TABLE), TOP)}
    assert by_second["bow"].difference.wins == 3
    assert by_second["bow"].more_seeds == 5  # eight that agree are a claim among four
    assert by_second["ulm"].difference.probability.value == pytest.approx(2 / 3)
    assert by_second["ulm"].more_seeds > 29


def test_claims_are_as_many_as_the_comparisons_they_share_their_error_with():
    found = claims_of(scores_of(TABLE), TOP)
    assert {claim.difference.num_comparisons for claim in found} == {len(found)}


def test_with_equal_regimes_one_sweep_in_twenty_claims_anything():
    assert claims_of_equals(600, 20) <= 0.05 < claims_of_equals(600, 20, together=False)


def test_predictions_allow_the_paired_test_and_are_not_required():
    assert all(claim.test is None for claim in claims_of(scores_of(TABLE), TOP))
    rows = rows_of(TABLE)
    hits = {row.cell: np.arange(100) < 100 * row.test_accuracy for row in rows}
    (bow, *_) = claims_of(make_scores(rows, hits), TOP)
    assert (bow.test.first_only, bow.test.second_only) == (3, 0)
