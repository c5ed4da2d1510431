"""Plots: draws the figures of the report (the only matplotlib).

Series come in, PNG bytes go out, without a display and without matplotlib's global state. Colours
are Okabe & Ito's, told apart by colour-blind readers; every line is named at its end, not in a box.
"""

import io
from collections.abc import Sequence
from typing import Any

from sweeps.answer.tried import SearchPanel, Tried
from sweeps.report.series import CurveFigure, Line, spread
from sweeps.spec.cells import Stage
from ulm.regimes import Regime

COLOURS = {
    Regime.BOW.value: "#000000",
    Regime.SCRATCH.value: "#a2588a",  # Okabe & Ito's #cc79a7, darker so that thin text is legible
    Regime.ULM.value: "#009e73",
    Regime.DOMAIN.value: "#0072b2",
    Regime.ULM_DOMAIN.value: "#d55e00",
}
_DASHES = {
    Regime.BOW.value: (6, 3),
    Regime.SCRATCH.value: (1.5, 2),
    Regime.ULM.value: (6, 2, 1.5, 2),
}
_INK, _FAINT = "#333333", "#d9d9d9"
_DPI = 200


def _canvas(width_inches: float, height_inches: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_inches, height_inches), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor="white", metadata={"Software": None})
    return buffer.getvalue()


def _plain(axes: Any) -> None:
    """Two thin axes, a faint horizontal grid, nothing else."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#888888")
    axes.tick_params(colors=_INK, labelsize=9, length=3)
    axes.tick_params(axis="x", which="minor", length=0)
    axes.grid(axis="y", color="#ececec", linewidth=0.8)
    axes.set_axisbelow(True)


def _size_axis(axes: Any, sizes: Sequence[int]) -> None:
    axes.set_xscale("log")
    axes.set_xticks(list(sizes), [f"{size:,}" for size in sizes])
    axes.set_xticks([], minor=True)
    axes.set_xlim(sizes[0] / 1.25, sizes[-1] * 1.08)
    if len(sizes) > 6:
        axes.tick_params(axis="x", labelsize=8)
    axes.set_xlabel("domain documents (log scale)", color=_INK, fontsize=9.5)


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
        line.sizes, line.means, color=colour, linewidth=2.2, marker="o", markersize=5.5, zorder=4
    )


def _name_ends(axes: Any, figure: CurveFigure, text: str) -> None:
    """Write names and last values at the right end, moved apart where they would overlap."""
    ends = [(line.regime, line.means[-1], line.sizes[-1]) for line in figure.lines]
    ends += [(level.regime, level.mean, figure.sizes[-1]) for level in figure.levels]
    low, high = axes.get_ylim()
    gap = 0.052 * (high - low)
    places = spread([value for _, value, _ in ends], gap, low, high)
    for (regime, value, size), place in zip(ends, places, strict=True):
        unfinished = "" if size == figure.sizes[-1] else f" at {size:,}"
        axes.annotate(
            f"{regime}  {text.format(value)}{unfinished}",
            xy=(1.0, value),
            xycoords=("axes fraction", "data"),
            xytext=(1.025, place),
            textcoords=("axes fraction", "data"),
            color=COLOURS[regime],
            fontsize=9.5,
            va="center",
            arrowprops={"arrowstyle": "-", "color": COLOURS[regime], "linewidth": 0.6, "alpha": 0.6}
            if abs(place - value) > 0.25 * gap
            else None,
        )


def _right(figure: CurveFigure) -> float:
    """Where the axes end: unfinished lines also name the size of their last value."""
    is_whole = all(line.sizes[-1] == figure.sizes[-1] for line in figure.lines)
    return 0.765 if is_whole else 0.67


def _room(axes: Any) -> None:
    low, high = axes.get_ylim()
    axes.set_ylim(low - 0.03 * (high - low), high + 0.03 * (high - low))


def draw_accuracy(figure: CurveFigure, subtitle: str) -> bytes:
    """PNG of test accuracy against domain size.

    Args:
        figure: Its numbers.
        subtitle: One line under the title: what mean and band are.
    """
    canvas = _canvas(7.6, 4.7)
    axes = canvas.subplots()
    canvas.subplots_adjust(left=0.085, right=_right(figure), top=0.855, bottom=0.125)
    _plain(axes)
    _size_axis(axes, figure.sizes)
    for level in figure.levels:
        colour = COLOURS[level.regime]
        axes.axhline(level.mean, color=colour, linewidth=1.5, dashes=_DASHES[level.regime])
        places = [figure.sizes[0] / 1.17] * len(level.dots)
        axes.scatter(places, level.dots, s=11, color=colour, alpha=0.45, linewidths=0, zorder=3)
    for line in figure.lines:
        _draw_line(axes, line)
    _room(axes)
    _name_ends(axes, figure, "{:.1f} %")
    _titles(canvas, "Test accuracy (%) by domain documents", subtitle)
    return _png(canvas)


def draw_losses(figure: CurveFigure, subtitle: str) -> bytes:
    """PNG of the language models' validation loss against domain size."""
    canvas = _canvas(7.6, 3.6)
    axes = canvas.subplots()
    canvas.subplots_adjust(left=0.085, right=_right(figure), top=0.815, bottom=0.16)
    _plain(axes)
    _size_axis(axes, figure.sizes)
    for line in figure.lines:
        _draw_line(axes, line)
    _room(axes)
    _name_ends(axes, figure, "{:.2f}")
    _titles(canvas, "Validation loss of the chosen language models (nats per token)", subtitle)
    return _png(canvas)


def _titles(canvas: Any, title: str, subtitle: str) -> None:
    inches = canvas.get_figheight()
    canvas.text(
        0.018, 1 - 0.1 / inches, title, fontsize=12, weight="bold", color="#111111", va="top"
    )
    canvas.text(0.018, 1 - 0.36 / inches, subtitle, fontsize=9, color="#555555", va="top")


def _size_colours(num_sizes: int) -> list[Any]:
    """Light to dark, the largest size darkest."""
    from matplotlib import colormaps

    scale = colormaps["viridis_r"]
    return [scale(0.12 + 0.8 * index / max(1, num_sizes - 1)) for index in range(num_sizes)]


def _draw_study(axes: Any, trials: Sequence[Tried], colours: Sequence[Any]) -> None:
    index = trials[0].size_index
    colour = "#555555" if index is None else colours[index]
    scored = [(t.rate, t.score) for t in trials if t.score is not None and not t.is_pruned]
    axes.plot(
        [rate for rate, _ in scored],
        [score for _, score in scored],
        color=colour,
        linewidth=0.9,
        alpha=0.55,
        zorder=2,
    )
    for trial in trials:
        if trial.score is None:
            axes.plot(
                trial.rate,
                0.02,
                marker="x",
                color="#b00020",
                markersize=5,
                transform=axes.get_xaxis_transform(),
                clip_on=False,
            )
        else:
            axes.scatter(
                trial.rate,
                trial.score,
                s=44 if trial.is_chosen else 16,
                facecolor="white" if trial.is_pruned else colour,
                edgecolor="#111111" if trial.is_chosen else colour,
                linewidth=1.3 if trial.is_chosen else 0.8,
                zorder=4 if trial.is_chosen else 3,
            )


def _draw_panel(axes: Any, panel: SearchPanel, colours: Sequence[Any]) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    _plain(axes)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(numticks=4))
    axes.xaxis.set_minor_formatter(NullFormatter())
    low, high = panel.searched.low, panel.searched.high
    axes.set_xlim(low / 1.25, high * 1.25)
    for edge in (low, high):
        axes.axvline(edge, color=_FAINT, linewidth=0.9, zorder=1)
    for trials in panel.studies:
        _draw_study(axes, trials, colours)
    name = "C" if panel.regime == Regime.BOW else "learning rate"
    axes.set_xlabel(name, fontsize=9, color=_INK)
    axes.set_title(panel.regime, fontsize=10, color=COLOURS[panel.regime], loc="left", pad=4)


def draw_search(panels: Sequence[SearchPanel], sizes: Sequence[int]) -> bytes:
    """PNG of validation score against learning rate: language models above, classifiers below.

    Args:
        panels: What was tried, at least one panel.
        sizes: Domain sizes of the spec, ascending; they colour the trials.
    """
    rows = [[panel for panel in panels if panel.stage is stage] for stage in Stage]
    rows = [row for row in rows if row]
    width = max(7.6, 0.8 + 1.85 * max(len(row) for row in rows))
    height = 1.15 + 2.2 * len(rows)
    canvas = _canvas(width, height)
    colours = _size_colours(len(sizes))
    for index, row in enumerate(rows):
        top = height - 0.92 - 2.2 * index
        _draw_row(canvas, row, colours, top_inches=top)
    subtitle = "a line is one cell; ringed: chosen; hollow: pruned; red cross: diverged or broken"
    _titles(canvas, "What the search tried", subtitle)
    _size_key(canvas, sizes, colours)
    return _png(canvas)


def _draw_row(
    canvas: Any, row: Sequence[SearchPanel], colours: Sequence[Any], *, top_inches: float
) -> None:
    """Panels of one stage side by side over the whole width, sharing the vertical axis."""
    width, height = canvas.get_figwidth(), canvas.get_figheight()
    grid = canvas.add_gridspec(
        1,
        len(row),
        left=0.78 / width,
        right=1 - 0.12 / width,
        top=top_inches / height,
        bottom=(top_inches - 1.45) / height,
        wspace=0.12,
    )
    all_axes = grid.subplots(sharey=True, squeeze=False)[0]
    for axes, panel in zip(all_axes, row, strict=True):
        _draw_panel(axes, panel, colours)
    is_loss = row[0].stage is Stage.LANGUAGE_MODEL
    label = "language model\nvalidation loss" if is_loss else "classifier\nvalidation acc. (%)"
    all_axes[0].set_ylabel(label, fontsize=9, color=_INK)


def _size_key(canvas: Any, sizes: Sequence[int], colours: Sequence[Any]) -> None:
    """Sizes in their colours, in one line at the bottom."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], marker="o", linestyle="", color=colour, markersize=5, label=f"{size:,}")
        for size, colour in zip(sizes, colours, strict=True)
    ]
    first = Line2D([], [], linestyle="", label="domain documents:")
    canvas.legend(
        handles=[first, *handles],
        loc="lower left",
        bbox_to_anchor=(0.0, 0.0),
        ncols=len(sizes) + 1,
        frameon=False,
        fontsize=8.5,
        handletextpad=0.1,
        columnspacing=0.9,
    )
