"""Findings: everything the report says, as numbers (pure).

Scores come in, made of rows and of per-document hits where they are kept; one frozen value goes out
that sentences, tables and figures read from. Which comparisons are made is decided here and nowhere
else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

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
from sweeps.answer.scores import EQUAL, Point, Scores, make_scores
from sweeps.answer.statistics import (
    ERROR,
    CurvePoint,
    Difference,
    Doubling,
    curve_points,
    difference,
    doublings,
    stretches,
)
from sweeps.answer.targets import Passage, Reach, reach
from sweeps.spec.values import SweepSpec
from ulm.regimes import Regime


@dataclass(frozen=True, kw_only=True, slots=True)
class Leader:
    """Who is first at a size among all regimes, those without a size axis included.

    Args:
        size: Domain documents.
        best: The point that none is above, each compared on the seeds that both have.
        margins: Best minus each other, paired, the smallest first.
    """

    size: int
    best: CurvePoint
    margins: tuple[Difference, ...]

    @property
    def margin(self) -> Difference:
        """Best minus second best."""
        return self.margins[0]

    @property
    def regimes(self) -> tuple[str, ...]:
        """Who is first: the best, and all whose means are equal."""
        equal = (m.second[0] for m in self.margins if abs(m.accuracy.value) <= EQUAL)
        return (self.best.regime, *equal)


@dataclass(frozen=True, kw_only=True, slots=True)
class Lead:
    """What more text does for the regime that the answer is about.

    Args:
        regime: `ulm+domain` where it has a finished size, else the best at its largest size.
        passage: The roundest accuracy, multiples of five points first and then the highest, that it
            passes within the measured range and above chance; None where none is bracketed.
        chance: What always saying the most frequent class scores; None where unknown.
        is_chance: Whether no size of it is above that.
        reach: How any regime reaches that accuracy, without domain text or with least of it.
        by_step: What a doubling adds between neighbouring sizes.
        stretches: What a doubling adds on average from each size to every larger one.
    """

    regime: str
    passage: Passage | None
    chance: float | None
    is_chance: bool
    reach: Reach | None
    by_step: tuple[Doubling, ...]
    stretches: tuple[Doubling, ...]

    @property
    def from_the_start(self) -> tuple[Doubling, ...]:
        """The stretches from the smallest size."""
        return tuple(found for found in self.stretches if found.start == self.stretches[0].start)

    def enough_from(self, least: float) -> Doubling | None:
        """The longest stretch to the largest size within which doublings surely bring little.

        Less than a gain between any two of its sizes: on average over all of it a drop at the end
        would hide what was gained before. Only after a rise that the data show: a curve that is
        flat from the start may rise later.
        """
        little = {(found.start, found.end) for found in self.stretches if found.is_below(least)}
        sizes = sorted({size for found in self.stretches for size in (found.start, found.end)})
        risen = {found.end for found in self.from_the_start if found.is_rising}
        ends = (found for found in self.stretches if found.end == sizes[-1])
        return next(
            (
                found
                for found in ends
                if found.start in risen
                and little.issuperset(combinations(sizes[sizes.index(found.start) :], 2))
            ),
            None,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """What a sweep found.

    Args:
        curves: Mean accuracy of every point with a finished cell.
        leaders: Who is first at each size that a regime with a size axis has finished, where the
            seeds that are finished allow to say it.
        against_bow: Every other point minus `bow`.
        surely_above_bow: The points of these that are above it with their whole intervals, 95 %
            for all of them together: who looks for any that is above must not find chance.
        surely_below_bow: Those that are below it, likewise.
        over_bow: Where each regime with a size axis passes `bow`; without `bow` none.
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
    surely_above_bow: frozenset[Point]
    surely_below_bow: frozenset[Point]
    over_bow: Mapping[str, Crossing]
    growth: tuple[Difference, ...]
    pretraining: tuple[Difference, ...]
    domain_text: tuple[Difference, ...]
    gain: Gain
    lead: Lead | None
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


def leading_regime(scores: Scores) -> str | None:
    """The regime that the answer is about: `ulm+domain`, else the best at the largest size.

    One that has more than one seed somewhere, where any has.
    """
    sized = [point for point in scores.points if point[1] is not None]
    sized = [point for point in sized if scores.count(point) > 1] or sized
    if any(regime == Regime.ULM_DOMAIN for regime, _ in sized):
        return Regime.ULM_DOMAIN.value
    if not sized:
        return None
    largest = max(size for _, size in sized if size is not None)
    ends = [point for point in sized if point[1] == largest]
    return max(ends, key=lambda point: float(scores.means(point)[0]))[0]


def _passage(
    scores: Scores, regime: str, sizes: Sequence[int], means: Sequence[float], chance: float
) -> Passage | None:
    between = range(int(100 * max(min(means), chance)) + 1, int(100 * max(means)) + 1)
    for percent in sorted(between, key=lambda whole: (whole % 5 != 0, -whole)):
        crossing = find_crossing(scores, sizes, reaching(regime, percent / 100))
        if crossing is not None and crossing.is_bracketed:
            return Passage(regime=regime, target=percent / 100, crossing=crossing)
    return None


def _lead(spec: SweepSpec, scores: Scores, chance: float | None) -> Lead | None:
    regime = leading_regime(scores)
    if regime is None:
        return None
    known = [size for size in spec.sizes if scores.has((regime, size))]
    means = [float(scores.means((regime, size))[0]) for size in known]
    passage = _passage(scores, regime, spec.sizes, means, chance or 0.0)
    return Lead(
        regime=regime,
        passage=passage,
        chance=chance,
        is_chance=chance is not None and max(means) <= chance,
        reach=None if passage is None else reach(scores, spec.sizes, passage.target),
        by_step=doublings(scores, regime, known),
        stretches=stretches(scores, regime, known),
    )


def _leader(scores: Scores, curves: Sequence[CurvePoint], size: int) -> Leader | None:
    """The point that none is above; None without a contest, or where some pair shares no seed."""
    contenders = {(p.regime, p.size): p for p in curves if p.size in (None, size)}
    if len(contenders) < 2 or not any(at == size for _, at in contenders):
        return None  # no contest, or those that could win here have not been seen yet
    for point, best in contenders.items():
        others = [other for other in contenders if other != point]
        if all(_is_level(scores, point, other) for other in others):
            margins = _present([difference(scores, point, other) for other in others])
            ordered = sorted(margins, key=lambda margin: margin.accuracy.value)
            return Leader(size=size, best=best, margins=tuple(ordered))
    return None


def _is_level(scores: Scores, point: Point, other: Point) -> bool:
    """Whether a point is not below another on the seeds that both have; not without one."""
    if not scores.has(point, other):
        return False
    first, second = scores.means(point, other)
    return bool(first - second >= -EQUAL)


def _surely_apart(
    scores: Scores, found: Sequence[Difference]
) -> tuple[frozenset[Point], frozenset[Point]]:
    """First points that are above, and below, with an error of 5 % for all that were compared."""
    level = 1 - ERROR / 2 / max(1, len(found))
    intervals = {
        d.first: scores.contrast([d.first, d.second], [1, -1], level).interval
        for d in found
        if d.num_seeds > 1
    }
    known = {point: interval for point, interval in intervals.items() if interval is not None}
    above = frozenset(point for point, interval in known.items() if interval.low > 0)
    return above, frozenset(point for point, interval in known.items() if interval.high < 0)


def make_sweep_scores(
    spec: SweepSpec,
    rows: Sequence[ResultRow],
    hits: Mapping[str, NDArray[np.bool_]] | None = None,
    samples: Mapping[int, NDArray[np.int64]] | None = None,
) -> Scores:
    """The scores of a sweep; with a sample of test documents every seed has its own.

    Args:
        spec: The sweep.
        rows: One row per cell; unfinished ones are left out of every number.
        hits: Cell id → bool [D]: which test documents were classified correctly.
        samples: Seed → int64 [D], these documents; without them the hits of a sample say nothing.
    """
    if spec.test.documents is None:
        return make_scores(rows, hits)
    return make_scores(rows, hits if samples else None, samples)


def find(spec: SweepSpec, scores: Scores, chance: float | None = None) -> Findings:
    """Compare what is finished, by its scores.

    Args:
        spec: The sweep.
        scores: Its scores.
        chance: What always saying the most frequent class scores; None where unknown.
    """
    curves, scores = curve_points(scores), scores.settled()
    sizes = spec.sizes
    bow: Point = (Regime.BOW.value, None)
    ulm: Point = (Regime.ULM.value, None)

    def both(size: int) -> Point:
        return (Regime.ULM_DOMAIN.value, size)

    growing = [regime.value for regime in spec.regimes if regime.trains_on_domain]
    others = [point for point in scores.points if point != bow]
    leaders = (_leader(scores, curves, size) for size in sizes)
    against_bow = _present([difference(scores, point, bow) for point in others])
    crossings = {
        regime: find_crossing(scores, sizes, passing(regime, bow))
        for regime in dict.fromkeys(regime for regime, size in scores.points if size is not None)
    }
    above_bow, below_bow = _surely_apart(scores, against_bow)
    return Findings(
        curves=curves,
        leaders=tuple(found for found in leaders if found is not None),
        against_bow=against_bow,
        surely_above_bow=above_bow,
        surely_below_bow=below_bow,
        over_bow={regime: found for regime, found in crossings.items() if found is not None},
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
        lead=_lead(spec, scores, chance),
        overtaking=find_crossing(
            scores, sizes, overtaking(Regime.DOMAIN.value, Regime.ULM_DOMAIN.value)
        ),
        agreement=agreement(scores),
        num_seeds=len(scores.seeds),
        draws_documents=scores.draws_documents,
    )
