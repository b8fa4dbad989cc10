"""Writes a report as one HTML file that needs nothing else: style and charts inside, no script, no request to anywhere."""

from __future__ import annotations

from html import escape
from importlib.resources import files

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
from runvitals.dashboard.report.plain import NAME_LENGTH, plain
from runvitals.dashboard.tokens import SEVERITIES

# Should anything ever slip through the escaping, the browser still runs and fetches nothing.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def html_page(document: Document) -> str:
    """The whole file."""
    return "\n".join(
        (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer">\n<meta name="color-scheme" content="light dark">',
            f"<title>{_text(document.title, most=NAME_LENGTH)}</title>",
            f"<style>\n{style_sheet('chart.css')}{style_sheet('page.css')}</style>\n</head>\n<body>\n<main>",
            *(_block(block) for block in document.blocks),
            "</main>\n</body>\n</html>\n",
        )
    )


def style_sheet(name: str) -> str:
    """The text of a style sheet beside this module."""
    return files("runvitals.dashboard.report").joinpath(name).read_text(encoding="utf-8")


def _text(text: str, *, most: int | None = None) -> str:
    return escape(plain(text) if most is None else plain(text, most=most))


def _block(block: Block) -> str:
    if isinstance(block, Heading):
        return f"<h{block.level}>{_pieces(block.pieces)}</h{block.level}>"
    if isinstance(block, Paragraph):
        return f"<p>{_pieces(block.pieces)}</p>"
    if isinstance(block, Facts):
        return f'<dl class="facts">{"".join(_fact(*row) for row in block.rows)}</dl>'
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Items):
        return _items(block)
    if isinstance(block, Preformatted):
        return f"<pre>{escape(plain(block.text, most=20_000))}</pre>"
    return _figures(block)


def _fact(label: str, value: Pieces, small: str) -> str:
    more = f" <small>{_text(small)}</small>" if small else ""
    return f"<div><dt>{_text(label)}</dt><dd>{_pieces(value)}{more}</dd></div>"


def _table(table: Table) -> str:
    def cell(tag: str, at: int, inner: str) -> str:
        return f"<{tag}{' class=n' if at in table.numeric else ''}>{inner}</{tag}>"

    head = "".join(cell("th", at, _text(text)) for at, text in enumerate(table.head))
    rows = "\n".join(
        f"<tr>{''.join(cell('td', at, _pieces(pieces)) for at, pieces in enumerate(row))}</tr>" for row in table.rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table></div>'


def _items(items: Items) -> str:
    if items.ticked is None:
        return f"<ul>{''.join(f'<li>{_pieces(row)}</li>' for row in items.rows)}</ul>"
    rows = [
        f'<li class="{"done" if done else "open"}"><span class="box" role="img" aria-label="{"done" if done else "not done"}">'
        f"{'☑' if done else '☐'}</span> {_pieces(row)}</li>"
        for done, row in zip(items.ticked, items.rows, strict=True)
    ]
    return f'<ul class="checks">{"".join(rows)}</ul>'


def _figures(figures: Figures) -> str:
    drawn = []
    for figure in figures.figures:
        unit = f" <small>{_text(figure.unit)}</small>" if figure.unit else ""
        title = f"<b>{_text(figure.title, most=NAME_LENGTH)}</b>{unit}"
        caption = f"<figcaption>{_text(figure.caption)}</figcaption>" if figure.caption else ""
        drawn.append(f'<figure><div class="title">{title}</div>{figure.svg}{caption}</figure>')
    return f'<div class="figures">{"".join(drawn)}</div>'


def _pieces(pieces: Pieces) -> str:
    return "".join(_piece(piece) for piece in pieces)


def _piece(piece: Piece) -> str:
    if isinstance(piece, str):
        return f"<bdi>{_text(piece)}</bdi>"
    if isinstance(piece, Bold):
        return f"<b>{_text(piece.text, most=NAME_LENGTH)}</b>"
    if isinstance(piece, Quiet):
        return f'<span class="quiet">{_text(piece.text)}</span>'
    if isinstance(piece, Code):
        return f"<code>{_text(piece.text)}</code>"
    if isinstance(piece, Mark):
        severity = piece.severity if piece.severity in SEVERITIES else "unknown"
        return f'<span class="{severity}"><span aria-hidden="true">{SEVERITIES[severity].shape}</span> {_text(piece.text, most=NAME_LENGTH)}</span>'
    return _link(piece)


def _link(link: Link) -> str:
    if not link.url.startswith(("https://", "http://")):
        return _text(link.text)
    return f'<a href="{escape(link.url)}" rel="noopener noreferrer">{_text(link.text)}</a>'
