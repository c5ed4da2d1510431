"""Claims: whether the leading regime is better than another, and what a claim still needs (pure).

Scores come in; out goes for each comparison at the largest size: the difference with its interval,
the probability of a win at a new seed with its own, how many more seeds a claim would need, and
McNemar's test on the predictions of the models that were trained.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sweeps.answer.paired import McNemar, more_seeds_to_claim, paired_test
from sweeps.answer.scores import Point, Scores
from sweeps.answer.statistics import Difference, difference


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """One comparison.

    Args:
        difference: First minus second.
        more_seeds: Seeds that a claim still needs: 0 where it is one, None where 200 are too few.
        test: McNemar's test; None without predictions on shared documents.
    """

    difference: Difference
    more_seeds: int | None
    test: McNemar | None


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
                    more_seeds=more_seeds_to_claim(compared),
                    test=paired_test(scores, first, second),
                )
            )
    return tuple(found)


def _opponents(points: Sequence[Point], first: Point) -> list[Point]:
    regime, size = first
    others = [p for p in points if p[0] != regime and p[1] in (None, size)]
    smaller = [n for name, n in points if name == regime and n is not None and n < (size or 0)]
    return others + ([(regime, max(smaller))] if smaller else [])
