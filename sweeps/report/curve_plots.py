"""Curve plots: accuracy and loss against domain size.

A `CurveFigure` comes in; a figure goes out, wide for a page or narrow for a phone. Every line is
named at its end, not in a box. What is extrapolated is hatched and lies beyond a dotted line. A
line breaks at a size that has no score, which is a cross on the axis; where seeds are missing its
mark is hollow.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from sweeps.answer.colours import COLOURS
from sweeps.report.canvas import PAPER, SOFT, canvas, plain, room, size_axis, titles
from sweeps.report.series import CurveFigure, Line, Region, spread
from ulm.regimes import Regime

DASHES = {
    Regime.BOW.value: (6, 3),
    Regime.SCRATCH.value: (1.5, 2),
    Regime.ULM.value: (6, 2, 1.5, 2),
}
MARKERS = {Regime.DOMAIN.value: "o", Regime.ULM_DOMAIN.value: "s"}
WIDE, NARROW = (7.6, 4.4), (3.8, 4.0)
MARKS = "cross: no score; hollow: seeds missing"


def _draw_band(axes: Any, line: Line) -> None:
    """Between interval ends; a size without neighbours has a bar."""
    colour = COLOURS[line.regime]
    ends = list(zip(line.sizes, line.lows, line.highs, strict=True))
    known = [end for end in ends if end[1] is not None]
    unknown = [size for size, low, _ in ends if low is None]
    for sizes, lows, highs in _pieces(known, (*line.missing, *unknown)):
        if len(sizes) == 1:
            axes.vlines(sizes, lows, highs, color=colour, linewidth=3, alpha=0.25)
        axes.fill_between(sizes, lows, highs, color=colour, alpha=0.14, linewidth=0)


def _draw_line(axes: Any, line: Line, place: int) -> None:
    colour = COLOURS[line.regime]
    _draw_band(axes, line)
    if line.dots:
        xs, ys = zip(*line.dots, strict=True)
        axes.scatter(xs, ys, s=13, color=colour, alpha=0.4, linewidths=0, zorder=3)
    means = list(zip(line.sizes, line.means, strict=True))
    for sizes, values in _pieces(means, line.missing):
        axes.plot(sizes, values, color=colour, linewidth=2.2, zorder=4)
    for size, value in means:
        axes.plot(
            size,
            value,
            color=colour,
            marker=MARKERS[line.regime],
            markersize=5.5,
            markerfacecolor=PAPER if size in line.partial else colour,
            clip_on=False,
            zorder=5,
        )
    _draw_missing(axes, line, place)


def _draw_missing(axes: Any, line: Line, place: int) -> None:
    """Crosses just above the axis, those of each line at a height of their own."""
    axes.plot(
        line.missing,
        [0.025 + 0.035 * place] * len(line.missing),
        linestyle="",
        marker="x",
        color=COLOURS[line.regime],
        markersize=6,
        markeredgewidth=1.8,
        transform=axes.get_xaxis_transform(),
        clip_on=False,
        zorder=5,
    )


def _pieces(points: Sequence[tuple[Any, ...]], missing: Sequence[int]) -> Iterator[Any]:
    """The columns of each run of points (size first) that no missing size lies within."""
    pieces = groupby(points, key=lambda point: sum(gap < point[0] for gap in missing))
    return (tuple(zip(*piece, strict=True)) for _, piece in pieces)


def _draw_levels(axes: Any, figure: CurveFigure) -> None:
    """Level lines; at the left, side by side, their seeds and intervals."""
    for index, level in enumerate(figure.levels):
        colour = COLOURS[level.regime]
        axes.axhline(level.mean, color=colour, linewidth=1.5, dashes=DASHES[level.regime])
        place = figure.sizes[0] / (1.28 - 0.08 * index)
        if level.low is not None and level.high is not None:
            axes.vlines(place, level.low, level.high, color=colour, linewidth=3, alpha=0.25)
        places = [place] * len(level.dots)
        axes.scatter(places, level.dots, s=11, color=colour, alpha=0.45, linewidths=0, zorder=3)


def _draw_region(axes: Any, region: Region) -> None:
    """Hatched between the ends of all forms' intervals; the forms are drawn as thin lines."""
    colour = COLOURS[region.regime]
    axes.axvline(region.sizes[0], color=SOFT, linewidth=0.8, linestyle=":")
    area = axes.fill_between(region.sizes, region.lows, region.highs, facecolor="none", linewidth=0)
    area.set(hatch="////", edgecolor=colour, alpha=0.45)
    for _, means in region.forms:
        axes.plot(region.sizes, means, color=colour, linewidth=0.9, dashes=(3, 2))
    axes.annotate(
        "extrapolated",
        xy=(region.sizes[-1], 0.02),
        xycoords=("data", "axes fraction"),
        fontsize=8,
        color=SOFT,
        ha="right",
        bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1},
    )


def _name_ends(axes: Any, figure: CurveFigure, text: str, *, is_narrow: bool) -> None:
    """Write names and last values at the right end, moved apart where they would overlap."""
    ends = [(line.regime, line.means[-1], line.sizes[-1]) for line in figure.lines]
    ends += [(level.regime, level.mean, figure.sizes[-1]) for level in figure.levels]
    low, high = axes.get_ylim()
    gap = (0.1 if is_narrow else 0.052) * (high - low)
    places = spread([value for _, value, _ in ends], gap, low, high)
    leader = {"arrowstyle": "-", "relpos": (0.0, 0.5), "linewidth": 0.6, "alpha": 0.6}
    for (regime, value, size), place in zip(ends, places, strict=True):
        at = "" if size == figure.sizes[-1] else f" at {size:,}"
        axes.annotate(
            f"{regime}{chr(10) if is_narrow else '  '}{text.format(value)}{at}",
            xy=(1.0, value),
            xycoords=("axes fraction", "data"),
            xytext=(1.025, place),
            textcoords=("axes fraction", "data"),
            color=COLOURS[regime],
            fontsize=8.5 if is_narrow else 9.5,
            linespacing=1.0,
            va="center",
            arrowprops={**leader, "color": COLOURS[regime]}
            if abs(place - value) > 0.25 * gap
            else None,
        )


def view_of(figure: CurveFigure) -> tuple[float, float]:
    """The most that is seen: an interval or a form may run out of it, the measured lines do not."""
    values = [v for line in figure.lines for v in (*line.means, *(y for _, y in line.dots))]
    values += [v for level in figure.levels for v in (level.mean, *level.dots)]
    least, most = min(values), max(values)
    margin = 0.35 * max(most - least, 1e-3)
    return least - margin, most + margin


def _right(figure: CurveFigure, *, is_narrow: bool) -> float:
    """Where the axes end: unfinished lines also name the size of their last value."""
    is_whole = all(line.sizes[-1] == figure.sizes[-1] for line in figure.lines)
    if is_narrow:
        return 0.755 if is_whole else 0.7
    return 0.765 if is_whole else 0.67


def draw_curves(
    figure: CurveFigure,
    text: str,
    *,
    inches: tuple[float, float] = WIDE,
    title: Sequence[str] = (),
    limits: tuple[float, float] | None = None,
) -> Any:
    """Lines over domain size.

    Args:
        figure: Its numbers.
        text: How a value is written at the end of a line, e.g. `{:.1f} %`.
        inches: Width and height, `WIDE` or `NARROW`.
        title: Title and the lines below it; none where the page has them.
        limits: Ends of the vertical axis; None for those that show every line.
    """
    drawn, is_narrow = canvas(*inches), inches[0] < WIDE[0]
    axes = drawn.subplots()
    drawn.subplots_adjust(
        left=0.62 / inches[0],
        right=_right(figure, is_narrow=is_narrow),
        top=1 - (0.3 + 0.17 * len(title) if title else 0.1) / inches[1],
        bottom=0.55 / inches[1],
    )
    plain(axes)
    end = figure.region.sizes[-1] if figure.region is not None else figure.sizes[-1]
    size_axis(axes, figure.sizes, end, is_narrow=is_narrow)
    _draw_levels(axes, figure)
    if figure.region is not None:
        _draw_region(axes, figure.region)
    for place, line in enumerate(figure.lines):
        _draw_line(axes, line, place)
    (least, most), (low, high) = view_of(figure), axes.get_ylim()
    axes.set_ylim(*(limits or (max(low, least), min(high, most))))
    room(axes)
    _name_ends(axes, figure, text, is_narrow=is_narrow)
    if title:
        titles(drawn, *title)
    return drawn
