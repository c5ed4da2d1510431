"""Findings: everything the report says, as numbers (pure).

Rows, and per-document hits where they are kept, come in; one frozen value goes out that sentences,
tables and figures read from. Which comparisons are made is decided here and nowhere else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweeps.answer.results import ResultRow
from sweeps.answer.scores import Point, make_scores
from sweeps.answer.statistics import (
    CurvePoint,
    Difference,
    Gain,
    curve_points,
    difference,
    share_of_gain,
)
from sweeps.spec.values import SweepSpec
from ulm.regimes import Regime


@dataclass(frozen=True, kw_only=True, slots=True)
class Leader:
    """Who is first at a size among all regimes, those without a size axis included.

    Args:
        size: Domain documents.
        best: The point with the highest mean.
        margin: Best minus second best, paired; None where they share no seed.
    """

    size: int
    best: CurvePoint
    margin: Difference | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """What a sweep found.

    Args:
        curves: Mean accuracy of every point with a finished cell.
        leaders: Who is first at each size that a regime with a size axis has finished.
        against_bow: Every other point minus `bow`.
        growth: Largest minus smallest size, for the regimes with a size axis.
        pretraining: `ulm+domain` minus `domain`, by size.
        domain_text: `ulm+domain` minus `ulm`, by size.
        gain: Share of the gain.
        num_seeds: Seeds that have a finished cell.
        draws_documents: Whether intervals reflect the choice of test documents too.
    """

    curves: tuple[CurvePoint, ...]
    leaders: tuple[Leader, ...]
    against_bow: tuple[Difference, ...]
    growth: tuple[Difference, ...]
    pretraining: tuple[Difference, ...]
    domain_text: tuple[Difference, ...]
    gain: Gain
    num_seeds: int
    draws_documents: bool

    def curve_point(self, regime: str, size: int | None) -> CurvePoint | None:
        """The point of a regime and size, None where no cell of it is finished."""
        found = (p for p in self.curves if (p.regime, p.size) == (regime, size))
        return next(found, None)


def _present(differences: Sequence[Difference | None]) -> tuple[Difference, ...]:
    return tuple(found for found in differences if found is not None)


def find(
    spec: SweepSpec,
    rows: Sequence[ResultRow],
    hits: Mapping[str, NDArray[np.bool_]] | None = None,
) -> Findings:
    """Compare what is finished.

    Args:
        spec: The sweep.
        rows: One row per cell; unfinished ones are left out of every number.
        hits: Cell id → bool [D]: which test documents were classified correctly.
    """
    scores = make_scores(rows, hits)
    curves = curve_points(scores)
    sizes = spec.sizes
    bow: Point = (Regime.BOW.value, None)
    ulm: Point = (Regime.ULM.value, None)

    def leader(size: int) -> Leader | None:
        ranked = sorted(
            (point for point in curves if point.size in (None, size)),
            key=lambda point: -point.accuracy.value,
        )
        if len(ranked) < 2 or not any(point.size == size for point in ranked):
            return None  # no contest, or those that could win here have not been seen yet
        first = (ranked[0].regime, ranked[0].size)
        second = (ranked[1].regime, ranked[1].size)
        return Leader(size=size, best=ranked[0], margin=difference(scores, first, second))

    def both(size: int) -> Point:
        return (Regime.ULM_DOMAIN.value, size)

    growing = [regime.value for regime in spec.regimes if regime.trains_on_domain]
    others = [point for point in scores.points if point != bow]
    return Findings(
        curves=curves,
        leaders=tuple(found for found in map(leader, sizes) if found is not None),
        against_bow=_present([difference(scores, point, bow) for point in others]),
        growth=_present(
            [difference(scores, (regime, sizes[-1]), (regime, sizes[0])) for regime in growing]
            if len(sizes) > 1
            else []
        ),
        pretraining=_present(
            [difference(scores, both(n), (Regime.DOMAIN.value, n)) for n in sizes]
        ),
        domain_text=_present([difference(scores, both(n), ulm) for n in sizes]),
        gain=share_of_gain(scores, sizes),
        num_seeds=len(scores.seeds),
        draws_documents=scores.draws_documents,
    )
