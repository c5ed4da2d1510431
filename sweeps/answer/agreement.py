"""Agreement: whether seeds put regimes and sizes in the same order (pure).

Scores come in; Kendall's W goes out: 1 where all seeds rank all points alike, 0 where ranks look
drawn by lot. W is preferred to a share of seeds that agree because it uses every point, counts a
swap of neighbours less than a reversal, and has a value from two seeds on.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from sweeps.answer.estimates import Floats
from sweeps.answer.scores import Scores


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """Kendall's coefficient of concordance of seeds over points.

    Args:
        concordance: W in [0, 1], corrected for ties.
        num_points: Points that all these seeds have.
        num_seeds: Seeds compared.
    """

    concordance: float
    num_points: int
    num_seeds: int


def concordance(values: Floats) -> float | None:
    """Kendall's W (Kendall & Babington Smith 1939; ties: Siegel 1956, page 234).

    Args:
        values: float64 [P, S], higher is better; at least two of each.

    Returns:
        None where every seed ties every point: there is no order to agree on.
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
        return None
    return float(12 * ((sums - sums.mean()) ** 2).sum() / largest)


def agreement(scores: Scores) -> Agreement | None:
    """Agreement of the seeds that have the most points; None below two seeds or two points.

    None too where every seed ties all of these.
    """
    finished = np.isfinite(scores.values)
    if not finished.any():
        return None
    seeds = np.flatnonzero(finished.sum(axis=0) == finished.sum(axis=0).max())
    points = np.flatnonzero(finished[:, seeds].all(axis=1))
    if len(seeds) < 2 or len(points) < 2:
        return None
    found = concordance(scores.values[np.ix_(points, seeds)])
    if found is None:
        return None
    return Agreement(concordance=found, num_points=len(points), num_seeds=len(seeds))
