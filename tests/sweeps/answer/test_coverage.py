"""A fast version of benchmarks/coverage.py: a fixed seed, and bounds that leave room for chance."""

import numpy as np
import pytest

from benchmarks.coverage import LARGEST, SIZES, claims, coverage, simulate, simulated_claims
from sweeps.answer.gain import share_of_gain

SWEEPS = 150  # a share of .95 then has a standard error of 1.8 %


@pytest.mark.parametrize("num_seeds", [3, 5])
def test_intervals_hold_the_truth_as_often_as_they_claim(num_seeds):
    found = simulated_claims(SWEEPS, num_seeds, 0)
    bootstrap = found.pop("curve mean, percentile bootstrap (not used)")
    for name, of_name in found.items():
        held, given, _ = coverage(of_name)
        assert held > 0.89, name
        assert given > 0.9, name
    assert coverage(bootstrap)[0] < 0.89  # why it is not used


def test_the_published_headline_is_recovered_from_a_simulated_grid():
    scores = simulate(np.random.default_rng(5), 5, 1000)
    gain = share_of_gain(scores, SIZES, (0.75,))
    (needed,) = gain.needed
    assert needed.is_bracketed
    assert needed.interval.low < 0.33 * LARGEST < needed.interval.high
    third = dict(gain.shares)[16_000].interval, dict(gain.shares)[32_000].interval
    assert third[0].low < 0.75 < third[1].high


def test_without_noise_the_headline_is_exact(monkeypatch):
    monkeypatch.setattr("benchmarks.coverage.CELL_SD", 1e-9)
    scores = simulate(np.random.default_rng(0), 3, 0)
    (needed,) = share_of_gain(scores, SIZES, (0.75,)).needed
    assert needed.documents == pytest.approx(0.33 * LARGEST, rel=1e-3)
    assert all(
        claim.interval.low <= claim.truth * (1 + 1e-4) for claim in claims(scores) if claim.interval
    )
