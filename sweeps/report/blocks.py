"""Blocks: what a page is built of, the same for HTML and Markdown (pure).

A section is a heading and blocks in the order of reading. Texts carry names between backticks;
nothing in them is HTML but the SVG of a plot.
"""

from dataclasses import dataclass
from typing import ClassVar, TypeAlias


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """A paragraph; a lead is the sentence that a page begins with."""

    kind: ClassVar[str] = "text"
    text: str
    is_lead: bool = False
    is_soft: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Bullets:
    """A list."""

    kind: ClassVar[str] = "bullets"
    items: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A header and lines of the same length.

    Args:
        header: Names of the columns.
        lines: Their values; a missing one is `–`.
        num_text: How many columns from the left are text.
        ends_in_text: Whether the last one is.
    """

    kind: ClassVar[str] = "table"
    header: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    num_text: int = 1
    ends_in_text: bool = False

    def is_text(self, column: int) -> bool:
        """Whether a column, from 0, is text."""
        return column < self.num_text or (self.ends_in_text and column == len(self.header) - 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plot:
    """A figure.

    Args:
        svg: Its element, with its text alternative inside.
        narrow: The same for a phone; empty where the first is narrow enough.
        alt: The text alternative.
        caption: What to see in it.
        file: Name of the picture beside a Markdown page; empty where there is none.
    """

    kind: ClassVar[str] = "plot"
    svg: str
    alt: str
    narrow: str = ""
    caption: str = ""
    file: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gallery:
    """Small plots side by side, as many as there is room for; at most two where they are large."""

    kind: ClassVar[str] = "gallery"
    plots: tuple[Plot, ...]
    caption: str = ""
    is_large: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Quote:
    """A document's text and what is said about it."""

    kind: ClassVar[str] = "quote"
    text: str
    note: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Fold:
    """Blocks that are opened by who wants them."""

    kind: ClassVar[str] = "fold"
    title: str
    blocks: "tuple[Block, ...]"


Block: TypeAlias = Text | Bullets | Table | Plot | Gallery | Quote | Fold


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """A whole page: title, what it is about in a line, sections."""

    title: str
    subtitle: str
    sections: tuple[Section, ...]
