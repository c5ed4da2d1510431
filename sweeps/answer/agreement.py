"""Agreement: whether seeds put regimes and sizes in the same order (pure).

Scores come in; Kendall's W goes out: 1 where all seeds rank all points alike, 0 where ranks look
drawn by lot. W is preferred to a share of seeds that agree because it uses every point, counts a
swap of neighbours less than a reversal, and has a value from two seeds on.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincc
from scipy.stats import rankdata

from sweeps.answer.scores import Floats, Scores


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """Kendall's coefficient of concordance of seeds over points.

    Args:
        concordance: W in [0, 1], corrected for ties.
        p_value: Of no agreement, chi-squared with P - 1 degrees of freedom; rough below 8 points.
        num_points: Points that all these seeds have.
        num_seeds: Seeds compared.
    """

    concordance: float
    p_value: float
    num_points: int
    num_seeds: int


def concordance(values: Floats) -> tuple[float, float]:
    """Kendall's W and its p-value (Kendall & Babington Smith 1939; ties: Siegel 1956, page 234).

    Args:
        values: float64 [P, S], higher is better; at least two of each.
    """
    num_points, num_seeds = values.shape
    ranks = rankdata(values, axis=0)
    sums = ranks.sum(axis=1)
    ties = 0.0
    for column in ranks.T:
        counts = np.unique(column, return_counts=True)[1].astype(float)
        ties += float((counts**3 - counts).sum())
    largest = num_seeds**2 * (num_points**3 - num_points) - num_seeds * ties
    if largest <= 0:
        return 1.0, 1.0  # every seed ties every point
    found = 12 * float(((sums - sums.mean()) ** 2).sum()) / largest
    chi_squared = num_seeds * (num_points - 1) * found
    return found, float(gammaincc((num_points - 1) / 2, chi_squared / 2))


def agreement(scores: Scores) -> Agreement | None:
    """Agreement of the seeds that have the most points; None below two seeds or two points."""
    finished = np.isfinite(scores.values)
    if not finished.any():
        return None
    seeds = np.flatnonzero(finished.sum(axis=0) == finished.sum(axis=0).max())
    points = np.flatnonzero(finished[:, seeds].all(axis=1))
    if len(seeds) < 2 or len(points) < 2:
        return None
    found, p_value = concordance(scores.values[np.ix_(points, seeds)])
    return Agreement(
        concordance=found, p_value=p_value, num_points=len(points), num_seeds=len(seeds)
    )
