"""A whole run out of a store: its rows as JSON objects, and its points in order of arrival, a stripe at a time."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, LargeBinary, Row, Table, select

from runvitals.errors import UnknownRun
from runvitals.store.blocks import CHUNK, PARTS, Clocks, SeriesHead, heads, tail_points, tail_rows
from runvitals.store.codec import CodecError, joined
from runvitals.store.json_text import loads
from runvitals.store.schema import alerts, blocks, events, mutes, notes, notifications, runs, series, writers
from runvitals.store.types import SeriesPoints

STRIPE = 4 * CHUNK
"""Points of each series in a stripe: whole chunks, so that no block lies across two stripes."""

SERIES_AT_ONCE = 64
"""Series in a stripe: with 24 bytes a point a stripe takes 25 MB at most."""

JSON_COLUMNS = frozenset({"config", "info", "rules", "position", "data", "detail", "ticked", "history", "tags"})
"""Text columns that hold JSON."""

OF_A_RUN: Mapping[str, Table] = {
    "writers": writers,
    "series": series,
    "events": events,
    "alerts": alerts,
    "mutes": mutes,
    "notes": notes,
}
"""Tables whose rows name their run; `runs` and `notifications` are the other two that a run has rows in."""

_ORDER = {"writers": "writer_id", "series": "key", "alerts": "id"}

LOCAL_COLUMNS = frozenset({"run_id", "ordinal", "delete_after_s"})
"""Columns that a store gives, or that say what is to happen in it: not carried from one to another. Numbered rows leave their `id` too."""


@dataclass(frozen=True, slots=True)
class Exported:
    """One run at one moment. tables: rows of each table as JSON objects (the table `runs` has one), in order."""

    tables: Mapping[str, Sequence[Mapping[str, Any]]]
    _connection: Connection
    _heads: Sequence[SeriesHead]

    @property
    def points(self) -> int:
        """Points of all series."""
        return sum(head.count for head in self._heads)

    def stripes(self) -> Iterator[dict[str, SeriesPoints]]:
        """All points: at most SERIES_AT_ONCE series and STRIPE points of each at a time, every series in order of arrival.

        Series of equal length stand together, for they are mostly of the same rows and share steps and times. Raises CodecError.
        """
        ordered = sorted(self._heads, key=lambda head: (head.count, head.min_time_s, head.key))
        for offset in range(0, len(ordered), SERIES_AT_ONCE):
            some = ordered[offset : offset + SERIES_AT_ONCE]
            for first in range(0, max(head.count for head in some), STRIPE):
                yield _stripe(self._connection, some, first)


def export(connection: Connection, run_id: str) -> Exported:
    """The run as this transaction sees it. Raises UnknownRun."""
    run = connection.execute(select(runs).where(runs.c.id == run_id)).first()
    if run is None:
        raise UnknownRun(f"run {run_id}: the store has no such run")
    tables = {"runs": [_plain(runs, run)]}
    for name, table in OF_A_RUN.items():
        query = select(table).where(table.c.run_id == run_id).order_by(*table.primary_key)
        found = [_plain(table, row) for row in connection.execute(query)]
        # Not the database's own order: two databases order words differently, and a series' number says nothing elsewhere.
        tables[name] = sorted(found, key=itemgetter(_ORDER[name])) if name in _ORDER else found
    told = select(notifications).join(alerts, alerts.c.id == notifications.c.alert_id).where(alerts.c.run_id == run_id)
    tables["notifications"] = [_plain(notifications, row) for row in connection.execute(told)]
    return Exported(tables, connection, list(heads(connection, run_id).values()))


def carried(table: Table) -> list[str]:
    """Names of a table's columns that go with a run from one store to another."""
    numbered = {column.name for column in table.primary_key if column.autoincrement is not False and _is_number(column)}
    return [column.name for column in table.columns if column.name not in LOCAL_COLUMNS | numbered]


def _is_number(column: Any) -> bool:
    return column.type.python_type is int


def _plain(table: Table, row: Row[Any]) -> dict[str, Any]:
    """The row as a JSON object; bytes in base 64."""
    found: dict[str, Any] = {}
    for name in carried(table):
        value = row._mapping[name]
        if isinstance(table.c[name].type, LargeBinary) and value is not None:
            value = base64.b64encode(value).decode()
        found[name] = loads(value) if name in JSON_COLUMNS else value
    return found


def _stripe(connection: Connection, some: Sequence[SeriesHead], first: int) -> dict[str, SeriesPoints]:
    """The points from index `first` on of each series that has any there."""
    reaching = {head.id: head for head in some if head.count > first}
    inside = blocks.c.level.in_((PARTS, 0)) & (blocks.c.first >= first) & (blocks.c.first < first + STRIPE)
    query = select(blocks).where(blocks.c.series_id.in_(list(reaching)) & inside).order_by(blocks.c.first)
    rows = connection.execute(query).all()
    decoder = Clocks()
    decoder.load(connection, rows)
    pieces: dict[int, list[SeriesPoints]] = {series_id: [] for series_id in reaching}
    for row in rows:
        pieces[row.series_id].append(decoder.points(row, reaching[row.series_id]))
    ending = [head.id for head in reaching.values() if head.count <= first + STRIPE]
    for series_id, blob in tail_rows(connection, ending).items():
        tail = tail_points(blob, reaching[series_id])
        if tail is not None and tail.values.size:
            pieces[series_id].append(tail)
    found = {}
    for series_id, head in reaching.items():
        points = joined(pieces[series_id])
        expected = min(head.count - first, STRIPE)
        if points.values.size != expected:
            raise CodecError(
                f"series {head.key!r} of run {head.run_id!r} is damaged "
                f"(expected {expected} points from number {first} on, got {points.values.size})"
            )
        found[head.key] = points
    return found
