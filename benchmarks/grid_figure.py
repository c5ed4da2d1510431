"""The published grid at full size, as far as it was measured: accuracy by domain documents.

    python benchmarks/grid_figure.py docs/results/imdb_full_size_results.csv accuracy.png

Rows are those of the `results.csv` of several sweeps, with two columns before them: the sweep, and
its `language_model.clip`, empty for none. Filled marks were trained with a limit, hollow ones
without; lines join the one with, where a size has both. Sweeps of `BESIDE` have small marks of
their own, on no line.
"""

import argparse
import csv
from pathlib import Path

from sweeps.answer.colours import COLOURS
from sweeps.report.canvas import canvas, plain, size_axis, titles, to_png
from ulm.regimes import Regime

CURVES = {Regime.DOMAIN: "o", Regime.ULM_DOMAIN: "s"}
BESIDE = {"H200 searched": "D", "H200 four seeds": "x"}
ASIDE = 1.16  # times their size, so that marks do not cover each other
LEVELS = {Regime.BOW: "--", Regime.ULM: "-."}


def accuracies(
    rows: list[dict[str, str]], regime: str, *, is_limited: bool
) -> dict[int | None, float]:
    """Test accuracy in percent by size, with or without a limit of the gradient's norm."""
    return {
        int(row["size"]) if row["size"] else None: 100 * float(row["test_accuracy"])
        for row in rows
        if row["regime"] == regime
        and row["test_accuracy"]
        and row["sweep"] not in BESIDE
        and bool(row["clip"]) == is_limited
    }


def draw(rows: list[dict[str, str]]) -> bytes:
    """The figure as PNG."""
    figure = canvas(7.6, 4.4)
    axes = figure.add_axes((0.075, 0.125, 0.7, 0.71))
    plain(axes)
    for regime, mark in CURVES.items():
        colour = COLOURS[regime]
        without, limited = (accuracies(rows, regime, is_limited=x) for x in (False, True))
        for each, face in ((without, "white"), (limited, colour)):
            axes.plot(
                list(each),
                list(each.values()),
                linestyle="",
                marker=mark,
                color=colour,
                markerfacecolor=face,
                zorder=3,
            )
        for sweep, small in BESIDE.items():
            beside = [row for row in rows if row["sweep"] == sweep and row["regime"] == regime]
            axes.plot(
                [ASIDE * int(row["size"]) for row in beside],
                [100 * float(row["test_accuracy"]) for row in beside],
                linestyle="",
                marker=small,
                markersize=5,
                color=colour,
                zorder=4,
            )
        joined = sorted((without | limited).items(), key=lambda point: point[0] or 0)
        axes.plot(*zip(*joined, strict=True), color=colour, linewidth=2)
        size, value = joined[-1]
        axes.annotate(
            f"{regime}  {value:.1f} %",
            (size, value),
            xytext=(10, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            fontsize=9.5,
            annotation_clip=False,
        )
    for regime, style in LEVELS.items():
        level = accuracies(rows, regime, is_limited=True)[None]
        axes.axhline(level, color=COLOURS[regime], linestyle=style, linewidth=1.6)
        axes.annotate(
            f"{regime}  {level:.1f} %",
            (1.0, level),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            color=COLOURS[regime],
            fontsize=9.5,
        )
    sizes = sorted({int(row["size"]) for row in rows if row["size"]})
    size_axis(axes, sizes, 1.25 * sizes[-1])
    titles(
        figure,
        "Test accuracy (%) by domain documents, 400/1152/3, 500 labels",
        "One seed, no search; hollow: gradient not limited; diamonds: search; crosses: four seeds",
    )
    return to_png(figure)


def main() -> None:
    """Read rows, write the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=Path)
    parser.add_argument("figure", type=Path)
    arguments = parser.parse_args()
    with arguments.rows.open(newline="", encoding="utf-8") as file:
        arguments.figure.write_bytes(draw(list(csv.DictReader(file))))


if __name__ == "__main__":
    main()
