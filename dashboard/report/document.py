"""What a report consists of, before it becomes HTML or Markdown: blocks of text pieces, tables and figures.

Every string in here is text. The writers escape it, so nothing that comes from a run is ever markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bold:
    """Text that stands out."""

    text: str


@dataclass(frozen=True, slots=True)
class Quiet:
    """Text that stands back."""

    text: str


@dataclass(frozen=True, slots=True)
class Code:
    """A name, a value or a line of a program."""

    text: str


@dataclass(frozen=True, slots=True)
class Link:
    """A source. Only http and https addresses become links."""

    text: str
    url: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A severity's shape and colour, and a word: its own, or a title."""

    severity: str
    text: str


Piece = str | Bold | Quiet | Code | Link | Mark
Pieces = Sequence[Piece]


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of level 1 to 3."""

    level: int
    pieces: Pieces


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph."""

    pieces: Pieces


@dataclass(frozen=True, slots=True)
class Facts:
    """Label, value and a small addition, side by side."""

    rows: Sequence[tuple[str, Pieces, str]]


@dataclass(frozen=True, slots=True)
class Table:
    """A table; a row has as many cells as the head. numeric: the columns that are set to the right."""

    head: Sequence[str]
    rows: Sequence[Sequence[Pieces]]
    numeric: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Items:
    """A list; ticked: for each item whether it is done, where it is a list of things to do."""

    rows: Sequence[Pieces]
    ticked: Sequence[bool] | None = None


@dataclass(frozen=True, slots=True)
class Preformatted:
    """Lines that keep their breaks: a traceback."""

    text: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart. name: of its file in Markdown. svg: a whole `<svg>` element of our own making. says: the chart in words."""

    name: str
    title: str
    unit: str
    svg: str
    says: str
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """Charts side by side."""

    figures: Sequence[Figure]


Block = Heading | Paragraph | Facts | Table | Items | Preformatted | Figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A report: its title, for the browser's tab, and its blocks."""

    title: str
    blocks: Sequence[Block]
