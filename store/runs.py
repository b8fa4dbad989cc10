"""Runs, their writers and events as callers get them, and what the watcher changes of a run."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, delete, func, select, update

from runvitals.errors import StoreError, UnknownRun
from runvitals.store.clean_text import cleaned
from runvitals.store.json_text import dumps, loads
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
    writers,
)
from runvitals.store.types import LIVE, EventRow, Latest, RunInfo, WriterState

_LATEST = (
    series.c.run_id,
    series.c.key,
    series.c.step,
    series.c.time_s,
    series.c.value_bits,
    series.c.best_min,
    series.c.best_max,
    series.c.count,
    series.c.nonfinite,
)
_JSON = ("config", "info", "rules", "tags")
_PEOPLES = frozenset({"tags", "group", "description", "archived_s", "delete_after_s"})
_GIVEN = frozenset({"id", "created_s", "color", "revision", "latest"})
_SETTABLE = frozenset(column.name for column in fields(RunInfo)) - _GIVEN - _PEOPLES


def list_runs(connection: Connection, *, latest: Sequence[str] = (), ids: Sequence[str] | None = None) -> list[RunInfo]:
    """Runs, newest first, with the newest points of the series named in `latest`."""
    query = select(runs).order_by(runs.c.created_s.desc(), runs.c.ordinal.desc())
    points = select(*_LATEST).where(series.c.key.in_(list(latest)))
    if ids is not None:
        query = query.where(runs.c.id.in_(list(ids)))
        points = points.where(series.c.run_id.in_(list(ids)))
    newest = _newest(connection.execute(points).all()) if latest else {}
    return [_run_info(row, newest.get(row.id, {})) for row in connection.execute(query)]


def list_revisions(connection: Connection) -> dict[str, int]:
    """Every run's revision by its id."""
    return {row.id: row.revision for row in connection.execute(select(runs.c.id, runs.c.revision))}


def _newest(rows: Sequence[Any]) -> dict[str, dict[str, Latest]]:
    """The newest points by run and key. The values' bits are turned to floats in one go: a list of runs asks for thousands."""
    values = np.array([row[4] for row in rows], np.int64).view(np.float64).tolist()
    found: dict[str, dict[str, Latest]] = {}
    for (run_id, key, step, time_s, _, best_min, best_max, count, nonfinite), value in zip(rows, values, strict=True):
        found.setdefault(run_id, {})[key] = Latest(
            step=step,
            time_s=time_s,
            value=value,
            best_min=math.nan if best_min is None else best_min,
            best_max=math.nan if best_max is None else best_max,
            count=count,
            nonfinite=nonfinite,
        )
    return found


def _run_info(row: Row[Any], latest: Mapping[str, Latest]) -> RunInfo:
    values = dict(row._mapping)
    del values["ordinal"]
    for name in _JSON:
        values[name] = loads(values[name])
    return RunInfo(**values, latest=latest)


def known_run(connection: Connection, run_id: str) -> None:
    """Raises UnknownRun where no run has this id."""
    if connection.execute(select(runs.c.id).where(runs.c.id == run_id)).first() is None:
        raise UnknownRun(f"run {run_id}: the store has no such run")


def set_run(connection: Connection, run_id: str, changes: Mapping[str, Any]) -> None:
    """Changes columns of a run; its revision rises only where something differs. Raises UnknownRun and StoreError."""
    illegal = changes.keys() - _SETTABLE
    if illegal:
        raise StoreError(f"set_run: expected some of {sorted(_SETTABLE)}, got {sorted(illegal)}")
    row = connection.execute(select(runs).where(runs.c.id == run_id).with_for_update()).first()
    if row is None:
        raise UnknownRun(f"run {run_id}: the store has no such run")
    columns = {name: dumps(value) if name in _JSON else cleaned(value) for name, value in changes.items()}
    if columns.get("status") in LIVE:  # it went on after all: what lives is not deleted
        columns["delete_after_s"] = None
    differing = {name: value for name, value in columns.items() if row._mapping[name] != value}
    if differing:
        changed = update(runs).where(runs.c.id == run_id)
        connection.execute(changed.values(**differing, revision=runs.c.revision + 1))


def touch_run(connection: Connection, run_id: str) -> None:
    """Raises the run's revision: something that belongs to it has changed."""
    connection.execute(update(runs).where(runs.c.id == run_id).values(revision=runs.c.revision + 1))


def list_writers(connection: Connection, run_id: str | None) -> list[WriterState]:
    """How far each journal has been taken in, of one run or of all."""
    query = select(writers).order_by(writers.c.run_id, writers.c.writer_id)
    if run_id is not None:
        query = query.where(writers.c.run_id == run_id)
    return [
        WriterState(**{**row._mapping, "position": loads(row.position), "info": loads(row.info)})
        for row in connection.execute(query)
    ]


def list_events(
    connection: Connection, run_id: str, *, kinds: Collection[str] | None, after_id: int, limit: int | None = None
) -> list[EventRow]:
    """Events of a run in the order in which the store got them; the first `limit` of them."""
    query = select(events).where((events.c.run_id == run_id) & (events.c.id > after_id)).order_by(events.c.id)
    query = query.limit(limit)
    if kinds is not None:
        query = query.where(events.c.kind.in_(list(kinds)))
    return [EventRow(**{**row._mapping, "data": loads(row.data)}) for row in connection.execute(query)]


def delete_run(connection: Connection, run_id: str, *, due_s: float | None = None) -> None:
    """Removes a run and all that belongs to it. Raises UnknownRun.

    due_s: only where it is marked to be deleted by then, asked under the row's lock; raises StoreError where somebody took that back.
    """
    row = connection.execute(select(runs.c.delete_after_s).where(runs.c.id == run_id).with_for_update()).first()
    if row is None:
        raise UnknownRun(f"run {run_id}: the store has no such run")
    if due_s is not None and (row.delete_after_s is None or row.delete_after_s > due_s):
        raise StoreError(f"run {run_id}: its deletion was taken back; it stays")
    mine = select(series.c.id).where(series.c.run_id == run_id)
    for table in (blocks, tails):
        connection.execute(delete(table).where(table.c.series_id.in_(mine)))
    told = select(alerts.c.id).where(alerts.c.run_id == run_id)
    connection.execute(delete(notifications).where(notifications.c.alert_id.in_(told)))
    for table in (series, clocks, events, alerts, mutes, notes, writers, leases):
        connection.execute(delete(table).where(table.c.run_id == run_id))
    connection.execute(delete(runs).where(runs.c.id == run_id))


def totals(connection: Connection) -> tuple[int, int]:
    """How many runs and points the store holds."""
    number = connection.execute(select(func.count()).select_from(runs)).scalar_one()
    points = connection.execute(select(func.coalesce(func.sum(series.c.count), 0))).scalar_one()
    return int(number), int(points)
