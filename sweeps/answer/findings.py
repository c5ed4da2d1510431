"""Findings: everything the report says, as numbers (pure).

Rows, and per-document hits where they are kept, come in; one frozen value goes out that sentences,
tables and figures read from. Which comparisons are made is decided here and nowhere else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweeps.answer.agreement import Agreement, agreement
from sweeps.answer.crossings import (
    Crossing,
    find_crossing,
    overtaking,
    passing,
    reaching,
)
from sweeps.answer.gain import Gain, share_of_gain
from sweeps.answer.results import ResultRow
from sweeps.answer.scores import Point, Scores, make_scores
from sweeps.answer.statistics import (
    CurvePoint,
    Difference,
    Doubling,
    curve_points,
    difference,
    doublings,
    doublings_from_the_start,
    doublings_to_the_end,
)
from sweeps.spec.values import SweepSpec
from ulm.regimes import Regime

EQUAL = 1e-9  # means of the same counts may differ by rounding


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

    @property
    def regimes(self) -> tuple[str, ...]:
        """Who is first: the best, and the second where their means are equal."""
        if self.margin is None or abs(self.margin.accuracy.value) > EQUAL:
            return (self.best.regime,)
        return (self.best.regime, self.margin.second[0])


@dataclass(frozen=True, kw_only=True, slots=True)
class Passage:
    """Where a regime's curve passes an accuracy."""

    regime: str
    target: float
    crossing: Crossing


@dataclass(frozen=True, kw_only=True, slots=True)
class Growth:
    """What more text does for the regime that the answer is about.

    Args:
        regime: `ulm+domain` where it has a finished size, else the best at its largest size.
        passage: The roundest accuracy, multiples of five points first and then the highest, that it
            passes within the measured range; None where none is bracketed.
        over_bow: Where it passes `bow`; None without `bow`.
        by_step: What a doubling adds between neighbouring sizes.
        to_the_end: What a doubling adds on average from each size to the largest.
        from_the_start: What a doubling adds on average from the smallest size to each.
    """

    regime: str
    passage: Passage | None
    over_bow: Crossing | None
    by_step: tuple[Doubling, ...]
    to_the_end: tuple[Doubling, ...]
    from_the_start: tuple[Doubling, ...]

    def enough_from(self, least: float) -> Doubling | None:
        """The longest stretch to the largest size whose doublings surely bring less than a gain.

        Only after a rise that the data show: a curve that is flat from the start may rise later.
        """
        risen = {doubling.end for doubling in self.from_the_start if doubling.is_rising}
        found = (d for d in self.to_the_end if d.start in risen and d.is_below(least))
        return next(found, None)


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
        lead: What more text does for the regime the answer is about; None without a finished size.
        overtaking: Where `domain` passes `ulm+domain` for good; None where they share no size.
        agreement: Whether seeds order the points alike.
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
    lead: Growth | None
    overtaking: Crossing | None
    agreement: Agreement | None
    num_seeds: int
    draws_documents: bool

    def curve_point(self, regime: str, size: int | None) -> CurvePoint | None:
        """The point of a regime and size, None where no cell of it is finished."""
        found = (p for p in self.curves if (p.regime, p.size) == (regime, size))
        return next(found, None)


def _present(differences: Sequence[Difference | None]) -> tuple[Difference, ...]:
    return tuple(found for found in differences if found is not None)


def leading_regime(spec: SweepSpec, scores: Scores) -> str | None:
    """The regime that the answer is about: `ulm+domain`, else the best at the largest size."""
    sized = [point for point in scores.points if point[1] is not None]
    if any(regime == Regime.ULM_DOMAIN for regime, _ in sized):
        return Regime.ULM_DOMAIN.value
    if not sized:
        return None
    largest = max(size for _, size in sized if size is not None)
    ends = [point for point in sized if point[1] == largest]
    return max(ends, key=lambda point: float(scores.means(point)[0]))[0]


def _passage(scores: Scores, regime: str, sizes: Sequence[int]) -> Passage | None:
    means = [float(scores.means((regime, n))[0]) for n in sizes if scores.has((regime, n))]
    between = range(int(100 * min(means)) + 1, int(100 * max(means)) + 1)
    for percent in sorted(between, key=lambda whole: (whole % 5 != 0, -whole)):
        crossing = find_crossing(scores, sizes, reaching(regime, percent / 100))
        if crossing is not None and crossing.is_bracketed:
            return Passage(regime=regime, target=percent / 100, crossing=crossing)
    return None


def _growth(spec: SweepSpec, scores: Scores) -> Growth | None:
    regime = leading_regime(spec, scores)
    if regime is None:
        return None
    bow: Point = (Regime.BOW.value, None)
    return Growth(
        regime=regime,
        passage=_passage(scores, regime, spec.sizes),
        over_bow=find_crossing(scores, spec.sizes, passing(regime, bow)),
        by_step=doublings(scores, regime, spec.sizes),
        to_the_end=doublings_to_the_end(scores, regime, spec.sizes),
        from_the_start=doublings_from_the_start(scores, regime, spec.sizes),
    )


def make_sweep_scores(
    spec: SweepSpec,
    rows: Sequence[ResultRow],
    hits: Mapping[str, NDArray[np.bool_]] | None = None,
) -> Scores:
    """The scores of a sweep; with a sample of test documents every seed has its own."""
    return make_scores(rows, hits, shares_documents=spec.test.documents is None)


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
    scores = make_sweep_scores(spec, rows, hits)
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
        lead=_growth(spec, scores),
        overtaking=find_crossing(
            scores, sizes, overtaking(Regime.DOMAIN.value, Regime.ULM_DOMAIN.value)
        ),
        agreement=agreement(scores),
        num_seeds=len(scores.seeds),
        draws_documents=scores.draws_documents,
    )
