"""Canvas: an empty figure, its axes and colours, and its end as SVG or PNG.

Nothing of matplotlib's global state is used and no display. An SVG takes its colours and its font
from the page around it (CSS variables), so that it is light on light and dark on dark; a PNG is
always light. Colours are Okabe & Ito's, told apart by colour-blind readers.
"""

import hashlib
import html
import io
import re
from collections.abc import Sequence
from typing import Any

from sweeps.answer.colours import COLOURS

INK, SOFT, FAINT, ALARM = "#333333", "#5e5e5e", "#d9d9d9", "#b00020"
PAPER = "#fefefe"
VARIABLES = {
    **{colour: f"--{name.replace('+', '-')}" for name, colour in COLOURS.items()},
    INK: "--ink",
    SOFT: "--soft",
    FAINT: "--line",
    ALARM: "--alarm",
    PAPER: "--page",
}
"""Colour of a figure → the page's variable that replaces it in an SVG."""

_DPI = 200
_FONT = re.compile(r"font-family: [^;\"]*")
_NAME = re.compile(r"""( id="|url\(#|xlink:href="#)([^")]*)""")
_UNUSED_ID = re.compile(r' id="[A-Za-z0-9]+_\d+"')
_STYLE = re.compile(r"<defs>\s*<style.*?</style>\s*</defs>", re.DOTALL)
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_SIZE = re.compile(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>')


def canvas(width_inches: float, height_inches: float) -> Any:
    """An empty figure."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_inches, height_inches), dpi=_DPI, facecolor="none")
    FigureCanvasAgg(figure)
    return figure


def to_png(figure: Any) -> bytes:
    """The figure on white."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor="white", metadata={"Software": None})
    return buffer.getvalue()


def to_svg(figure: Any, alt: str) -> str:
    """The figure as an element to stand in a page.

    Args:
        figure: The figure.
        alt: What it shows, for people who do not see it.
    """
    from matplotlib import rc_context

    buffer = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "sweep"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    for pattern in (_STYLE, _METADATA, _UNUSED_ID):
        text = pattern.sub("", text)
    text = _FONT.sub("font-family: var(--font)", text)
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    text = _with_own_names(text)
    role = f'<svg role="img" aria-label="{html.escape(alt, quote=True)}"'
    return _SIZE.sub(lambda size: f'{role} viewBox="{size[1]}">', text, count=1).strip()


def _with_own_names(text: str) -> str:
    """Names of patterns and paths made this figure's own: one of a hidden figure draws nothing."""
    mark = hashlib.sha256(text.encode()).hexdigest()[:8]
    return _NAME.sub(rf"\g<1>f{mark}-\g<2>", text)


def plain(axes: Any) -> None:
    """Two thin axes, a faint horizontal grid, nothing else."""
    axes.set_facecolor("none")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(SOFT)
    axes.tick_params(color=SOFT, labelcolor=INK, labelsize=9, length=3)
    axes.tick_params(axis="x", which="minor", length=0)
    axes.grid(axis="y", color=FAINT, linewidth=0.7)
    axes.set_axisbelow(True)


def size_axis(axes: Any, sizes: Sequence[int], end: float, *, is_narrow: bool = False) -> None:
    """A logarithmic axis of domain documents with a mark at every size, named where there is room.

    Args:
        axes: matplotlib's.
        sizes: Ascending.
        end: Where the axis ends.
        is_narrow: For a phone: a name at every second size, thousands as k.
    """
    step = 2 if is_narrow and len(sizes) > 4 else 1
    places = range(len(sizes) - 1, -1, -1)  # counted from the largest, which is always named
    names = [
        "" if place % step else short(size) if is_narrow else f"{size:,}"
        for place, size in zip(places, sizes, strict=True)
    ]
    axes.set_xscale("log")
    axes.set_xticks(list(sizes), names)
    axes.set_xticks([], minor=True)
    axes.set_xlim(sizes[0] / 1.35, end * 1.04)
    axes.tick_params(axis="x", labelsize=8 if len(sizes) > 6 else 9)
    axes.set_xlabel("domain documents (log scale)", color=INK, fontsize=9.5)


def short(count: int) -> str:
    """A count for a narrow axis, e.g. `500`, `16k`."""
    return f"{count // 1000}k" if count >= 1000 and count % 1000 == 0 else f"{count:,}"


def room(axes: Any, share: float = 0.03) -> None:
    """A little space above and below what is drawn."""
    low, high = axes.get_ylim()
    axes.set_ylim(low - share * (high - low), high + share * (high - low))


def titles(figure: Any, title: str, *below: str) -> None:
    """A title and lines under it, at the top left."""
    inches = figure.get_figheight()
    figure.text(0.018, 1 - 0.1 / inches, title, fontsize=12, weight="bold", color=INK, va="top")
    for place, line in enumerate(below):
        top = 1 - (0.36 + 0.17 * place) / inches
        figure.text(0.018, top, line, fontsize=9, color=SOFT, va="top")
