"""Paired comparisons: how many more seeds a claim needs, and McNemar's test on predictions (pure).

A difference, or per-document hits of two points at the same seeds, comes in; numbers of seeds
and p-values go out. McNemar's test asks about these trained models on new documents; P(A > B) asks
about new seeds. Neither answers the other's question, so both are shown.
"""

from dataclasses import dataclass
from math import ceil

import numpy as np
from scipy.special import ndtri
from scipy.stats import binom

from sweeps.answer.scores import Point, Scores
from sweeps.answer.statistics import Difference, least_probability

POWER = 0.95  # chance of a claim with the seeds that are said to be needed
MOST_MORE = 200  # seeds; nobody adds more


def more_seeds_to_claim(found: Difference) -> int | None:
    """The fewest more seeds with which a difference is claimed with a chance of 95 %.

    By the rule that claims are made by, if seeds to come are won as often as those seen.

    Returns:
        0 where it is a claim already; None where 200 more do not suffice.
    """
    num_seeds = found.num_seeds
    wins = found.wins + found.ties / 2
    wins = max(wins, num_seeds - wins)
    for more in range(MOST_MORE + 1):
        later = np.arange(more + 1, dtype=np.float64)
        least = least_probability(wins + later, num_seeds + more, found.num_comparisons)
        if binom.pmf(later, more, wins / num_seeds)[least > 0.5].sum() >= POWER:
            return more
    return None


def noether_seeds(probability: float) -> int | None:
    """Seeds that a rank test of one comparison needs, not paired, where P(A > B) is `probability`.

    Noether's sample size (1987, section 2) as Bouthillier et al. (2021, appendix C) use it:
    N = (z(.95) + z(.95))^2 / (6 (1/2 - probability)^2); 29 at .75, 12 at .90.

    Args:
        probability: P(A > B), in [0, 1]; which of the two is called A does not matter.

    Returns:
        None where the probability is 1/2: no number suffices.
    """
    distance = abs(probability - 0.5)
    if distance == 0:
        return None
    return ceil((2 * float(ndtri(POWER))) ** 2 / (6 * distance**2) - 1e-9)


@dataclass(frozen=True, kw_only=True, slots=True)
class McNemar:
    """McNemar's test of two classifiers on the same documents.

    Args:
        first_only: Documents that favour the first.
        second_only: Documents that favour the second.
        mid: Two-sided mid-p-value, 2 P(X <= smaller) - P(X = smaller) with X ~ Binomial(first +
            second, 1/2) (Fagerland 2013).
    """

    first_only: int
    second_only: int
    mid: float


def mcnemar(first_only: int, second_only: int) -> McNemar:
    """The test from its two counts; its p-value is 1 where no document tells them apart."""
    smaller, half = min(first_only, second_only), binom(first_only + second_only, 0.5)
    mid = min(1.0, float(2 * half.cdf(smaller) - half.pmf(smaller)))
    return McNemar(first_only=first_only, second_only=second_only, mid=mid)


def paired_test(scores: Scores, first: Point, second: Point) -> McNemar | None:
    """McNemar's test on the predictions of two points, over documents as units.

    A document favours the point that classified it correctly at more seeds. Seeds share documents,
    so their p-values are dependent and their counts must not be added; documents are independent
    whatever seeds share.

    Returns:
        None without predictions, without a seed that has both, or where every seed was scored on
        other documents.
    """
    if not scores.shares_documents or not scores.has(first, second):
        return None
    hits = scores.paired_hits(first, second)
    if hits is None:
        return None
    lead = (hits[0].astype(np.int16) - hits[1].astype(np.int16)).sum(axis=0)
    return mcnemar(int((lead > 0).sum()), int((lead < 0).sum()))
