"""What a store keeps and nobody needs: dead watchers, leases that ran out, rows of runs and series that are gone, free pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, delete, exists, func, select, text

from runvitals.store.database import Database
from runvitals.store.schema import (
    alerts,
    blocks,
    clocks,
    events,
    leases,
    mutes,
    notes,
    notifications,
    runs,
    series,
    tails,
    watchers,
    writers,
)

DEAD_S = 3600.0
"""A watcher passes every second or so; one that gave no sign of life for an hour is gone."""

PAYS_BYTES = 1 << 20
"""Free space below which rewriting a SQLite file is not worth it."""


@dataclass(frozen=True, slots=True)
class Rest:
    """Rows that nobody needs. what: in words, plural. rows: how many. bytes: of their blobs."""

    what: str
    rows: int
    bytes: int


def _gone(table: Table) -> ColumnElement[bool]:
    """The row's run is not there."""
    return ~exists().where(runs.c.id == table.c.run_id)


def orphans() -> list[tuple[str, Table, ColumnElement[bool]]]:
    """Rows that belong to nothing: in words, their table, their condition. In an order in which they may be deleted."""
    of_no_series = ~exists().where(series.c.id == blocks.c.series_id)
    return [
        ("series of no run", series, _gone(series)),
        ("blocks of no series", blocks, of_no_series),
        ("tails of no series", tails, ~exists().where(series.c.id == tails.c.series_id)),
        (
            "clocks of no block",
            clocks,
            clocks.c.id.not_in(select(blocks.c.clock_id).where(blocks.c.clock_id.is_not(None))),
        ),
        ("events of no run", events, _gone(events)),
        ("alerts of no run", alerts, _gone(alerts)),
        ("mutes of no run", mutes, mutes.c.run_id.is_not(None) & _gone(mutes)),
        ("notes of no run", notes, _gone(notes)),
        ("writers of no run", writers, _gone(writers)),
        ("notifications of no alert", notifications, ~exists().where(alerts.c.id == notifications.c.alert_id)),
    ]


def tidy(connection: Connection, *, now_s: float, dry_run: bool) -> list[Rest]:
    """What was removed, or with `dry_run` what would be."""
    unneeded: list[tuple[str, Table, ColumnElement[bool]]] = [
        ("dead watchers", watchers, watchers.c.pass_s < now_s - DEAD_S),
        ("leases that ran out", leases, leases.c.until_s < now_s),
        *orphans(),
    ]
    found = []
    for what, table, condition in unneeded:
        rows, size = counted(connection, table, condition)
        if rows:
            found.append(Rest(what, rows, size))
            if not dry_run:
                connection.execute(delete(table).where(condition))
    return found


def counted(connection: Connection, table: Table, condition: ColumnElement[bool]) -> tuple[int, int]:
    """How many rows meet the condition, and the bytes of their blobs."""
    size: Any = func.coalesce(func.sum(func.length(table.c.data)), 0) if table in (blocks, tails, clocks) else 0
    row = connection.execute(select(func.count(), size).select_from(table).where(condition)).one()
    return int(row[0]), int(row[1])


def free_bytes(database: Database) -> int:
    """Bytes of a SQLite file that hold nothing; 0 for PostgreSQL, which reuses its space by itself."""
    if not database.embedded:
        return 0
    with database.reading() as connection:
        asked = text("SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size")
        return int(connection.execute(asked).scalar_one())


def vacuum(database: Database) -> None:
    """Rewrites a SQLite file without its free pages. Raises StoreUnreachable where another process writes or the disk is full."""
    with database.writing() as connection:
        connection.exec_driver_sql("COMMIT")  # VACUUM takes a transaction of its own
        connection.exec_driver_sql("VACUUM")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.exec_driver_sql("BEGIN")  # for the commit that follows
