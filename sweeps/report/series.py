"""Series: the numbers of every figure, as tuples (pure).

Findings and rows come in; what is drawn goes out, so that tests check numbers and not
pictures. Accuracies are in percent here, as the axes show them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

from sweeps.answer.estimates import Interval
from sweeps.answer.extrapolation import Extrapolation
from sweeps.answer.findings import Findings
from sweeps.answer.results import ResultRow
from sweeps.answer.statistics import CurvePoint
from sweeps.spec.values import SweepSpec

WITHOUT_BAND = 2
"""Seeds over which no band is drawn."""

_STEPS = 9  # places at which what is extrapolated is drawn


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One regime over sizes: means, interval ends (None without one), and a dot per seed.

    Args:
        regime: The regime.
        sizes: Those that have a value.
        means: Over seeds.
        lows: Lower ends.
        highs: Upper ends.
        dots: Size and value of every seed.
        missing: Sizes that were asked for and have no value.
        partial: Sizes that have one, but not of every seed.
    """

    regime: str
    sizes: tuple[int, ...]
    means: tuple[float, ...]
    lows: tuple[float | None, ...]
    highs: tuple[float | None, ...]
    dots: tuple[tuple[int, float], ...]
    missing: tuple[int, ...] = ()
    partial: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """One regime without a size axis: a horizontal line, interval ends, and a dot per seed."""

    regime: str
    mean: float
    low: float | None
    high: float | None
    dots: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Region:
    """What several forms say of a regime beyond its largest size.

    Args:
        regime: The regime.
        sizes: From the largest measured size on.
        lows: Lowest end of the intervals of all forms at each size, and of one that levels off.
        highs: Highest likewise.
        forms: Name and curve of each form.
    """

    regime: str
    sizes: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]
    forms: tuple[tuple[str, tuple[float, ...]], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class CurveFigure:
    """Lines over domain size, reference levels, and what is extrapolated."""

    sizes: tuple[int, ...]
    lines: tuple[Line, ...]
    levels: tuple[Level, ...] = ()
    region: Region | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not self.lines and not self.levels

    @property
    def has_gaps(self) -> bool:
        """Whether a line lacks a size or a seed."""
        return any(line.missing or line.partial for line in self.lines)


def _percent(value: float) -> float:
    return 100 * value


def _drawn_interval(point: CurvePoint) -> Interval | None:
    """The band at a point; None over two seeds.

    Their t interval of one degree of freedom is 12.7 standard errors to each side and would hide
    the curve; the table has its numbers.
    """
    return None if len(point.by_seed) == WITHOUT_BAND else point.accuracy.interval


def _line(spec: SweepSpec, regime: str, points: Sequence[CurvePoint]) -> Line:
    sized = sorted(
        ((point.size, point) for point in points if point.size is not None),
        key=lambda pair: pair[0],
    )
    intervals = [_drawn_interval(point) for _, point in sized]
    return Line(
        regime=regime,
        sizes=tuple(size for size, _ in sized),
        means=tuple(_percent(point.accuracy.value) for _, point in sized),
        lows=tuple(None if i is None else _percent(i.low) for i in intervals),
        highs=tuple(None if i is None else _percent(i.high) for i in intervals),
        dots=tuple((size, _percent(v)) for size, point in sized for _, v in point.by_seed),
        **_gaps(spec, {size: len(point.by_seed) for size, point in sized}),
    )


def _gaps(spec: SweepSpec, num_seeds: Mapping[int, int]) -> dict[str, tuple[int, ...]]:
    """Sizes without a value, and those that not every seed has."""
    return {
        "missing": tuple(size for size in spec.sizes if size not in num_seeds),
        "partial": tuple(size for size, count in num_seeds.items() if count < len(spec.seeds)),
    }


def _level(point: CurvePoint) -> Level:
    interval = _drawn_interval(point)
    return Level(
        regime=point.regime,
        mean=_percent(point.accuracy.value),
        low=None if interval is None else _percent(interval.low),
        high=None if interval is None else _percent(interval.high),
        dots=tuple(_percent(value) for _, value in point.by_seed),
    )


def region_of(model: Extrapolation | None) -> Region | None:
    """What a regime's trusted forms allow, or none, up to twice the largest measured size."""
    if model is None or not model.trusted:
        return None
    sizes = tuple(float(n) for n in np.geomspace(model.sizes[-1], 2 * model.sizes[-1], _STEPS))
    said = [model.accuracy_at(size) for size in sizes]
    ends = [model.accuracy_range(size) for size in sizes]
    return Region(
        regime=model.regime,
        sizes=sizes,
        lows=tuple(_percent(end.low) for end in ends),
        highs=tuple(_percent(end.high) for end in ends),
        forms=tuple(
            (form.form.name, tuple(_percent(at[index].value) for at in said))
            for index, form in enumerate(model.trusted)
        ),
    )


def accuracy_figure(
    spec: SweepSpec, findings: Findings, model: Extrapolation | None = None
) -> CurveFigure:
    """Test accuracy in percent against domain size, every regime that has a finished cell.

    Args:
        spec: The sweep.
        findings: What was found.
        model: What is extrapolated, if anything.
    """
    lines, levels = [], []
    for regime in spec.regimes:
        points = [point for point in findings.curves if point.regime == regime.value]
        if points and regime.trains_on_domain:
            lines.append(_line(spec, regime.value, points))
        elif points:
            levels.append(_level(points[0]))
    return CurveFigure(
        sizes=spec.sizes, lines=tuple(lines), levels=tuple(levels), region=region_of(model)
    )


def loss_figure(spec: SweepSpec, rows: Sequence[ResultRow]) -> CurveFigure:
    """Validation loss of the chosen language models against domain size, mean over seeds."""
    lines = []
    for regime in spec.regimes:
        by_size: dict[int, list[float]] = {}
        for row in rows:
            if row.regime == regime.value and row.size is not None and row.lm_loss is not None:
                by_size.setdefault(row.size, []).append(row.lm_loss)
        if by_size:
            sizes = tuple(sorted(by_size))
            empty = tuple(None for _ in sizes)
            lines.append(
                Line(
                    regime=regime.value,
                    sizes=sizes,
                    means=tuple(sum(by_size[size]) / len(by_size[size]) for size in sizes),
                    lows=empty,
                    highs=empty,
                    dots=tuple((size, value) for size in sizes for value in by_size[size]),
                    **_gaps(spec, {size: len(by_size[size]) for size in sizes}),
                )
            )
    return CurveFigure(sizes=spec.sizes, lines=tuple(lines))


def spread(
    wanted: Sequence[float], gap: float, low: float = float("-inf"), high: float = float("inf")
) -> tuple[float, ...]:
    """Positions near the wanted ones, at least `gap` apart and within [low, high] where they fit.

    Args:
        wanted: Where labels want to be, in any order.
        gap: Smallest distance between two of them.
        low: Lower bound of the lowest.
        high: Upper bound of the highest.

    Returns:
        One position per wanted one, in the same order.
    """
    steps = gap * np.arange(len(wanted))
    order = np.argsort(wanted, kind="stable")
    starts = isotonic_regression(np.asarray(wanted, float)[order] - steps).x
    positions = np.empty(len(wanted))
    positions[order] = np.clip(starts, low, high - gap * (len(wanted) - 1)) + steps
    return tuple(positions.tolist())
