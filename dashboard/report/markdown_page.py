"""Writes a report as Markdown, its charts as SVG files to lie beside it: most trackers refuse pictures inside the text."""

from __future__ import annotations

import re

from runvitals.dashboard.report.document import (
    Block,
    Bold,
    Code,
    Document,
    Facts,
    Figures,
    Heading,
    Items,
    Link,
    Mark,
    Paragraph,
    Piece,
    Pieces,
    Preformatted,
    Quiet,
    Table,
)
from runvitals.dashboard.report.html_page import style_sheet
from runvitals.dashboard.report.plain import NAME_LENGTH, plain
from runvitals.dashboard.tokens import SEVERITIES

_UNFIT_FOR_ADDRESS = re.compile(r"[<>\s\\]")
_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>&|~$#!]|:(?=//)|(?<=www)\.|^\s*[-+=>]|(?<=\d)[.)](?=\s))")


def markdown_page(document: Document, *, charts: str) -> tuple[str, dict[str, str]]:
    """The text, and the charts as SVG by file name. charts: the folder, as seen from the text's own, in which they will lie."""
    pictures: dict[str, str] = {}
    blocks = [_block(block, charts, pictures) for block in document.blocks]
    return "\n\n".join(blocks) + "\n", pictures


def _block(block: Block, charts: str, pictures: dict[str, str]) -> str:
    if isinstance(block, Heading):
        return f"{'#' * block.level} {_pieces(block.pieces)}"
    if isinstance(block, Paragraph):
        return _pieces(block.pieces)
    if isinstance(block, Facts):
        rows = [
            ([Bold(label)], [*value, Quiet(f" {small}")] if small else value, ()) for label, value, small in block.rows
        ]
        return _table(Table(head=("", ""), rows=[row[:2] for row in rows]))
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Items):
        boxes = (
            ["" for _ in block.rows] if block.ticked is None else ["[x] " if one else "[ ] " for one in block.ticked]
        )
        return "\n".join(f"- {box}{_pieces(row)}" for box, row in zip(boxes, block.rows, strict=True))
    if isinstance(block, Preformatted):
        return _fenced(plain(block.text, most=20_000))
    return _figures(block, charts, pictures)


def _table(table: Table) -> str:
    rule = ["---:" if at in table.numeric else "---" for at in range(len(table.head))]
    lines = [
        [_text(text) for text in table.head],
        rule,
        *([_pieces(cell, in_table=True) for cell in row] for row in table.rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _figures(figures: Figures, charts: str, pictures: dict[str, str]) -> str:
    parts = []
    for figure in figures.figures:
        name = f"{figure.name}.svg"
        # A picture of its own carries its colours along, for a light and for a dark page.
        pictures[name] = figure.svg.replace("><", f"><style>{style_sheet('chart.css')}</style><", 1)
        title = f"**{_text(figure.title, most=NAME_LENGTH)}**{f' {_text(figure.unit)}' if figure.unit else ''}"
        caption = f"\n\n{_text(figure.caption)}" if figure.caption else ""
        parts.append(f"{title}\n\n![{_text(figure.says)}]({charts}/{name}){caption}")
    return "\n\n".join(parts)


def _pieces(pieces: Pieces, *, in_table: bool = False) -> str:
    return "".join(_piece(piece, in_table=in_table) for piece in pieces)


def _piece(piece: Piece, *, in_table: bool) -> str:
    if isinstance(piece, Bold):
        text = _text(piece.text.strip(), most=NAME_LENGTH)
        # A space inside the stars would leave them stars.
        return f"**{text}**{' ' if piece.text.endswith(' ') else ''}" if text else ""
    if isinstance(piece, Code):
        return _code(piece.text).replace("|", "\\|") if in_table else _code(piece.text)
    if isinstance(piece, Mark):
        shape = SEVERITIES.get(piece.severity, SEVERITIES["unknown"]).shape
        return f"{shape} {_text(piece.text, most=NAME_LENGTH)}"
    if isinstance(piece, Link):
        if not piece.url.startswith(("https://", "http://")):
            return _text(piece.text)
        return f"[{_text(piece.text)}](<{_UNFIT_FOR_ADDRESS.sub('', piece.url)}>)"
    return _text(piece.text if isinstance(piece, Quiet) else piece)


def _text(text: str, *, most: int | None = None) -> str:
    """The text with all that Markdown would act upon escaped; one line. A mention, which trackers find anyhow, is broken by a comment."""
    shown = " ".join((plain(text) if most is None else plain(text, most=most)).split("\n"))
    shown = _SPECIAL.sub(r"\\\1", shown.replace("@", "\x00"))
    return shown.replace("\x00", "@<!-- -->")


def _code(text: str) -> str:
    """The text as code, in which nothing acts; its fence is longer than any inside."""
    shown = " ".join(plain(text).split("\n"))
    if not shown.strip():
        return ""
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def _fenced(text: str) -> str:
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}text\n{text}\n{fence}"
