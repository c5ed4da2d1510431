"""Claims: whether the leading regime is better than another, and what a claim still needs (pure).

Scores come in; out goes for each comparison at the largest size: the difference with its interval,
the probability of a win at a new seed with its own, the seeds that a claim would need, and
McNemar's test on the predictions of the models that were trained.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sweeps.answer.paired import PairedTest, paired_test, seeds_to_claim
from sweeps.answer.scores import Point, Scores
from sweeps.answer.statistics import Difference, difference


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """One comparison.

    Args:
        difference: First minus second.
        seeds_needed: Seeds that a claim needs if the win probability is what was seen; None where
            it is one half.
        test: McNemar's test; None without predictions on shared documents.
    """

    difference: Difference
    seeds_needed: int | None
    test: PairedTest | None


def claims_of(scores: Scores, first: Point) -> tuple[Claim, ...]:
    """The first point against every regime at its size, or without one, and its next smaller size.

    Pairs without a common seed are left out.
    """
    found = []
    for second in _opponents(scores.points, first):
        compared = difference(scores, first, second)
        if compared is not None:
            found.append(
                Claim(
                    difference=compared,
                    seeds_needed=seeds_to_claim(compared.probability.value),
                    test=paired_test(scores, first, second),
                )
            )
    return tuple(found)


def _opponents(points: Sequence[Point], first: Point) -> list[Point]:
    regime, size = first
    others = [p for p in points if p[0] != regime and p[1] in (None, size)]
    smaller = [n for name, n in points if name == regime and n is not None and n < (size or 0)]
    return others + ([(regime, max(smaller))] if smaller else [])
