"""Search plots: what each search tried, and what one more trial would have brought.

Panels and search curves come in; small figures go out, one per regime and stage, which a page puts
side by side as far as its width allows. More domain text is a stronger colour.
"""

from collections.abc import Sequence
from typing import Any

from sweeps.answer.colours import COLOURS
from sweeps.answer.search_curves import SearchCurve
from sweeps.answer.tried import SearchPanel, Tried
from sweeps.report.canvas import ALARM, FAINT, INK, canvas, plain, room
from sweeps.report.curve_plots import DASHES, MARKERS
from sweeps.report.series import spread
from sweeps.spec.cells import Stage
from ulm.regimes import Regime

PANEL, CURVE = (2.9, 2.2), (3.7, 2.7)
_WEAKEST = 0.3  # opacity of the smallest size


def opacity(size: int | None, sizes: Sequence[int]) -> float:
    """How strong the colour of a size is: the largest, and what has no size, is opaque."""
    if size is None or len(sizes) < 2:
        return 1.0
    return _WEAKEST + (1 - _WEAKEST) * sizes.index(size) / (len(sizes) - 1)


def _draw_marks(axes: Any, trials: Sequence[Tried], colour: str, alpha: float) -> None:
    """Trials of one size as few collections: a large sweep has thousands."""
    failed = [trial.rate for trial in trials if trial.score is None]
    axes.plot(
        failed,
        [0.03] * len(failed),
        marker="x",
        linestyle="",
        color=ALARM,
        markersize=5,
        transform=axes.get_xaxis_transform(),
        clip_on=False,
    )
    for is_chosen, is_pruned in ((False, False), (False, True), (True, False), (True, True)):
        own = [t for t in trials if (t.is_chosen, t.is_pruned) == (is_chosen, is_pruned)]
        scored = [(t.rate, t.score) for t in own if t.score is not None]
        if scored:
            axes.scatter(
                *zip(*scored, strict=True),
                s=42 if is_chosen else 17,
                facecolor="none" if is_pruned else colour,
                edgecolor=INK if is_chosen else colour,
                linewidth=1.3 if is_chosen else 0.8,
                alpha=alpha,
                zorder=4 if is_chosen else 3,
            )


def _draw_size(axes: Any, studies: Sequence[Sequence[Tried]], colour: str, alpha: float) -> None:
    """The studies of one size: a line each, and all their trials."""
    for trials in studies:
        scored = [(t.rate, t.score) for t in trials if t.score is not None and not t.is_pruned]
        axes.plot(
            [rate for rate, _ in scored],
            [score for _, score in scored],
            color=colour,
            linewidth=0.9,
            alpha=0.6 * alpha,
            zorder=2,
        )
    _draw_marks(axes, [trial for trials in studies for trial in trials], colour, alpha)


def range_of_scores(panels: Sequence[SearchPanel]) -> tuple[float, float] | None:
    """Lowest and highest score of some panels, so that they share an axis; None without two."""
    scores = {t.score for p in panels for study in p.studies for t in study if t.score is not None}
    return (min(scores), max(scores)) if len(scores) > 1 else None


def draw_panel(panel: SearchPanel, sizes: Sequence[int], scores: tuple[float, float] | None) -> Any:
    """Validation score against learning rate, one line per cell.

    Args:
        panel: The trials of one regime and stage.
        sizes: Of the spec, ascending.
        scores: Range of the vertical axis, the same for all panels of a stage.
    """
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    figure = canvas(*PANEL)
    axes = figure.subplots()
    figure.subplots_adjust(left=0.16, right=0.97, top=0.87, bottom=0.24)
    plain(axes)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(numticks=4))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    low, high = panel.searched.low, panel.searched.high
    axes.set_xlim(low / 1.25, high * 1.25)
    for edge in (low, high):
        axes.axvline(edge, color=FAINT, linewidth=1.2, zorder=1)
    if scores is not None and scores[0] < scores[1]:
        axes.set_ylim(*scores)
        room(axes, 0.08)
    for size in sorted({study[0].size for study in panel.studies}, key=lambda size: size or 0):
        own = [study for study in panel.studies if study[0].size == size]
        _draw_size(axes, own, COLOURS[panel.regime], opacity(size, sizes))
    name = "C" if panel.regime == Regime.BOW else "learning rate"
    axes.set_xlabel(name, fontsize=9, color=INK)
    axes.set_title(panel.regime, fontsize=10, color=COLOURS[panel.regime], loc="left", pad=4)
    return figure


def draw_expected(curves: Sequence[SearchCurve], title: str) -> Any:
    """Expected best validation score after k trials, one line per regime, all of one stage."""
    figure = canvas(*CURVE)
    axes = figure.subplots()
    figure.subplots_adjust(left=0.12, right=0.73, top=0.89, bottom=0.18)
    plain(axes)
    for curve in curves:
        trials = range(1, len(curve.expected) + 1)
        axes.plot(
            trials,
            curve.expected,
            color=COLOURS[curve.regime],
            linewidth=1.8,
            marker=MARKERS.get(curve.regime, "D"),
            markersize=4,
            dashes=DASHES.get(curve.regime, (None, None)),
        )
    longest = max(len(curve.expected) for curve in curves)
    axes.set_xticks(range(1, longest + 1))
    axes.set_xlim(0.9, longest + 0.1)
    axes.set_xlabel("trials", fontsize=9, color=INK)
    axes.set_title(title, fontsize=9.5, color=INK, loc="left", pad=6)
    room(axes)
    low, high = axes.get_ylim()
    places = spread([c.expected[-1] for c in curves], 0.09 * (high - low), low, high)
    unit = "{:.2f}" if curves[0].stage is Stage.LANGUAGE_MODEL else "{:.1f}"
    for curve, place in zip(curves, places, strict=True):
        axes.annotate(
            f"{curve.regime} {unit.format(curve.expected[-1])}",
            xy=(1.03, place),
            xycoords=("axes fraction", "data"),
            color=COLOURS[curve.regime],
            fontsize=8.5,
            va="center",
        )
    return figure
