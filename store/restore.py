"""A whole run into a store, from rows that nobody vouches for: every value is checked before it is written."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

import numpy as np
from sqlalchemy import Column, Connection, Double, Integer, LargeBinary, Table, bindparam, func, insert, select, update

from runvitals.errors import StoreError
from runvitals.store import told
from runvitals.store.blocks import heads
from runvitals.store.clean_text import clean
from runvitals.store.compact import compact
from runvitals.store.database import Database
from runvitals.store.export import JSON_COLUMNS, OF_A_RUN, carried
from runvitals.store.grow import grow
from runvitals.store.json_text import dumps
from runvitals.store.schema import alerts, notifications, runs, series
from runvitals.store.types import LIVE, Health, SeriesPoints, Status

_LISTS = frozenset({"rules", "tags", "ticked", "history"})
_ELEMENTS: Mapping[str, tuple[type, str]] = {"ticked": (int, "numbers"), "tags": (str, "texts")}
"""What a list of such a column holds, where it is not JSON objects."""

_WORDS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("runs", "status"): get_args(Status),
    ("runs", "health"): get_args(Health),
    ("alerts", "severity"): ("info", "warning", "critical"),
    ("alerts", "state"): ("pending", "firing", "resolved"),
}
_ROWS_A_STATEMENT = 1000
_NEGATIVE_ZERO = -(2**63)
"""The bits of -0.0: the one whole number of 64 bits that is no step or count, and so refused of any other column."""


def restore(
    database: Database,
    connection: Connection,
    tables: Mapping[str, Sequence[Mapping[str, Any]]],
    stripes: Iterable[Mapping[str, SeriesPoints]],
) -> str:
    """The id of the run that was written. tables, stripes: as `store.export` gives them.

    Raises StoreError where the store has the run or a value is not what its column holds; the caller rolls back.
    """
    rows = {name: checked(table, tables.get(name, ())) for name, table in OF_A_RUN.items()}
    told_rows = checked(notifications, tables.get("notifications", ()))
    run_rows = checked(runs, tables.get("runs", ()))
    if len(run_rows) != 1:
        raise StoreError(f"expected one run, got {len(run_rows)}")
    run = run_rows[0]
    if run["status"] in LIVE or not run["id"]:
        raise StoreError(f"expected a run that has ended, got status {run['status']!r} of id {run['id']!r}")
    _check_alerts(rows["alerts"], [*told_rows, *(row for row in rows["mutes"] if row["alert_id"] is not None)])
    database.lock_creation(connection)
    if connection.execute(select(runs.c.id).where(runs.c.id == run["id"])).first() is not None:
        raise StoreError(f"run {run['id']}: is in the store already; delete it first, or leave it as it is")
    run["ordinal"] = connection.execute(select(func.coalesce(func.max(runs.c.ordinal) + 1, 0))).scalar_one()
    connection.execute(insert(runs).values(**run))
    for stripe in stripes:
        grow(connection, run["id"], "", stripe)
    _set_heads(connection, run["id"], rows.pop("series"))
    for name, found in rows.items():
        _insert(connection, OF_A_RUN[name], [{**row, "run_id": run["id"]} for row in found])
    _insert(connection, notifications, told_rows)
    compact(connection, run["id"])
    return str(run["id"])


def _check_alerts(found: Sequence[Mapping[str, Any]], told_rows: Sequence[Mapping[str, Any]]) -> None:
    """Raises StoreError where a notification or a mute is of no alert of this run."""
    strange = {row["alert_id"] for row in told_rows} - {row["id"] for row in found}
    if strange:
        raise StoreError(f"expected notifications and mutes of the run's own alerts, got one of {sorted(strange)[0]!r}")


def _set_heads(connection: Connection, run_id: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Gives the series back what their points do not say: who wrote last, and where steps went back.

    Raises StoreError where the points are not as many as the series says.
    """
    grown = heads(connection, run_id)
    counts = {row["key"]: row["count"] for row in rows if row["count"]}
    found = {key: head.count for key, head in grown.items()}
    if len(counts) != sum(1 for row in rows if row["count"]) or counts != found:
        raise StoreError("the points are not those that the series tell of: keys or numbers of points differ")
    fronts = [
        {
            "row_id": grown[row["key"]].id,
            "writer": row["last_writer"],
            "back": row["rewinds"],
            "newest": row["last_step"],
        }
        for row in rows
        if row["count"]
    ]
    changed = update(series).where(series.c.id == bindparam("row_id"))
    values: dict[str, Any] = {
        "last_writer": bindparam("writer"),
        "rewinds": bindparam("back"),
        "last_step": bindparam("newest"),
    }
    if fronts:
        connection.execute(changed.values(values), fronts)


def _insert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Inserts rows, a bounded number at a time. Raises StoreError where an alert of another run has the id."""
    if table is alerts:
        for row in rows:
            if connection.execute(select(alerts.c.id).where(alerts.c.id == row["id"])).first() is not None:
                raise StoreError(f"alert {row['id']!r} of the file is in the store already, with another run")
    for offset in range(0, len(rows), _ROWS_A_STATEMENT):
        connection.execute(insert(table), list(rows[offset : offset + _ROWS_A_STATEMENT]))


def checked(table: Table, rows: Any) -> list[dict[str, Any]]:
    """The rows as the table takes them. Raises StoreError that names table, column and what came."""
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        raise StoreError(f"{table.name}: expected a list of rows, got {type(rows).__name__}")
    names = carried(table)
    found = []
    for row in rows:
        if not isinstance(row, Mapping) or set(row) != set(names):
            raise StoreError(f"{table.name}: expected rows with the columns {', '.join(names)}; one has others")
        found.append({name: _checked(table, table.c[name], row[name]) for name in names})
    keys = [tuple(row[column.name] for column in table.primary_key if column.name in names) for row in found]
    if names and keys and keys[0] and len(set(keys)) != len(keys):
        raise StoreError(f"{table.name}: expected rows that differ in their keys, got one twice")
    return found


def _checked(table: Table, column: Column[Any], value: Any) -> Any:
    """One value as its column takes it."""
    if column.name in JSON_COLUMNS:
        return _json(table, column, value)
    if value is None and column.nullable:
        return None
    if isinstance(column.type, LargeBinary):
        return _bytes(table, column, value)
    if isinstance(column.type, Double):
        if told.moment(value) is None or isinstance(value, bool):
            raise _refused(table, column, "a finite number", value)
        return float(value)
    if column.type.python_type is int:
        if column.name == "value_bits" and value == _NEGATIVE_ZERO and type(value) is int:
            return value
        if told.integer(value) is None:
            raise _refused(table, column, "a whole number", value)
        if not -(2**31) <= value < 2**31 and type(column.type) is Integer:
            raise _refused(table, column, "a whole number of 32 bits", value)
        return value
    words = _WORDS.get((table.name, column.name))
    if not isinstance(value, str) or (words and value not in words):
        raise _refused(table, column, f"one of {', '.join(words)}" if words else "text", value)
    return clean(value)


def _json(table: Table, column: Column[Any], value: Any) -> str:
    if column.name not in _LISTS and not isinstance(value, Mapping):
        raise _refused(table, column, "a JSON object", value)
    if column.name in _LISTS:
        of, words = _ELEMENTS.get(column.name, (Mapping, "JSON objects"))
        if not isinstance(value, list) or not all(isinstance(one, of) for one in value):
            raise _refused(table, column, f"a list of {words}", value)
    if column.name == "history" and not all(told.moment(one.get("time_s")) is not None for one in value):
        raise _refused(table, column, "a time_s in each entry", value)
    return dumps(value)


def _bytes(table: Table, column: Column[Any], value: Any) -> bytes:
    """The bytes of a base 64 text; the only such column holds increasing pairs of 64-bit numbers."""
    try:
        found = base64.b64decode(value, validate=True) if isinstance(value, str) else b"?"
    except binascii.Error:
        found = b"?"
    numbers = np.frombuffer(found[: len(found) // 16 * 16], "<i8").reshape(-1, 2)
    if len(found) % 16 or (np.diff(numbers, axis=0) <= 0).any() or (numbers < 0).any():
        raise _refused(table, column, "increasing pairs of 64-bit numbers in base 64", value)
    return found


def _refused(table: Table, column: Column[Any], expected: str, value: Any) -> StoreError:
    return StoreError(f"{table.name}.{column.name}: expected {expected}, got {str(value)[:60]!r}")
