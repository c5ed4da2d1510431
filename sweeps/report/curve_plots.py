"""Curve plots: accuracy and loss against domain size.

A `CurveFigure` comes in; a figure goes out, wide for a page or narrow for a phone. Every line is
named at its end, not in a box. What is extrapolated is hatched and lies beyond a dotted line.
"""

from collections.abc import Sequence
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


def _draw_line(axes: Any, line: Line) -> None:
    colour = COLOURS[line.regime]
    known = [
        (size, low, high)
        for size, low, high in zip(line.sizes, line.lows, line.highs, strict=True)
        if low is not None and high is not None
    ]
    if known:
        sizes, lows, highs = zip(*known, strict=True)
        axes.fill_between(sizes, lows, highs, color=colour, alpha=0.14, linewidth=0)
    if line.dots:
        xs, ys = zip(*line.dots, strict=True)
        axes.scatter(xs, ys, s=13, color=colour, alpha=0.4, linewidths=0, zorder=3)
    axes.plot(
        line.sizes,
        line.means,
        color=colour,
        linewidth=2.2,
        marker=MARKERS[line.regime],
        markersize=5.5,
        zorder=4,
    )


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
        title: Title and subtitle; none where the page has them.
        limits: Ends of the vertical axis; None for those that show every line.
    """
    drawn, is_narrow = canvas(*inches), inches[0] < WIDE[0]
    axes = drawn.subplots()
    drawn.subplots_adjust(
        left=0.62 / inches[0],
        right=_right(figure, is_narrow=is_narrow),
        top=1 - (0.64 if title else 0.1) / inches[1],
        bottom=0.55 / inches[1],
    )
    plain(axes)
    end = figure.region.sizes[-1] if figure.region is not None else figure.sizes[-1]
    size_axis(axes, figure.sizes, end, is_narrow=is_narrow)
    _draw_levels(axes, figure)
    if figure.region is not None:
        _draw_region(axes, figure.region)
    for line in figure.lines:
        _draw_line(axes, line)
    (least, most), (low, high) = view_of(figure), axes.get_ylim()
    axes.set_ylim(*(limits or (max(low, least), min(high, most))))
    room(axes)
    _name_ends(axes, figure, text, is_narrow=is_narrow)
    if title:
        titles(drawn, *title)
    return drawn
