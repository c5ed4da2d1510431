"""Majority: what always saying the most frequent class scores, and which cells do no more (numpy).

A sweep's paths and rows come in; the share of that class and the cells go out. Where classes are
uneven, an accuracy says little without it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sweeps.answer.predictions import read_predictions
from sweeps.answer.results import ResultRow
from sweeps.paths import SweepPaths

UNEVEN = 0.05  # above an equal share of every class


@dataclass(frozen=True, kw_only=True, slots=True)
class Majority:
    """The most frequent class of the test documents.

    Args:
        share: Of the test documents, mean over cells; 0.94 is 94 %.
        is_uneven: Whether that is clearly above an equal share of every class.
        constant: Ids of the cells that say one class for every test document.
    """

    share: float
    is_uneven: bool
    constant: frozenset[str]


def find_majority(paths: SweepPaths, rows: Sequence[ResultRow]) -> Majority | None:
    """Look at the predictions of finished cells; None where there are none."""
    shares, constant, num_classes = [], set(), 0
    for row in rows:
        found = read_predictions(paths.predictions(row.cell)) if row.is_finished else None
        if found is None or not len(found.labels):
            continue
        num_classes = found.probabilities.shape[1]
        shares.append(np.bincount(found.labels).max() / len(found.labels))
        if len(np.unique(found.probabilities.argmax(axis=1))) == 1:
            constant.add(row.cell)
    if not shares:
        return None
    share = float(np.mean(shares))
    return Majority(
        share=share,
        is_uneven=share > 1 / num_classes + UNEVEN,
        constant=frozenset(constant),
    )
