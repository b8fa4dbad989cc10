"""Many rows of one table by one statement: SQLite is handed them one after the other, PostgreSQL as one array for each column.

Both go past SQLAlchemy's handling of parameters, which costs more than the row, and PostgreSQL past an answer for each row.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql

Rows = Sequence[Sequence[Any]]
"""One sequence of plain Python values a row, in the order of the names."""

_POSTGRESQL = postgresql.dialect()  # type: ignore[no-untyped-call]


def put_rows(connection: Connection, table: Table, names: tuple[str, ...], rows: Rows) -> None:
    """Inserts rows; where the primary key is there already, which must not come twice among them, sets their other columns."""
    _run(connection, _insert(table, names, embedded=_embedded(connection)), rows)


def set_rows(connection: Connection, table: Table, names: tuple[str, ...], rows: Rows) -> None:
    """Sets columns of rows that are there; the last name is the column that finds a row."""
    _run(connection, _update(table, names, embedded=_embedded(connection)), rows)


def drop_rows(connection: Connection, table: Table, names: tuple[str, ...], rows: Rows) -> None:
    """Deletes the rows whose columns of these names have these values."""
    _run(connection, _delete(table, names, embedded=_embedded(connection)), rows)


def _embedded(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"


def _run(connection: Connection, statement: str, rows: Rows) -> None:
    if not rows:
        return
    if _embedded(connection):
        connection.exec_driver_sql(statement, [tuple(row) for row in rows])
    else:
        connection.exec_driver_sql(statement, tuple(list(column) for column in zip(*rows, strict=True)))


@cache
def _insert(table: Table, names: tuple[str, ...], *, embedded: bool) -> str:
    source = f"VALUES ({_marks(names)})" if embedded else f"SELECT * FROM {_arrays(table, names)}"
    keys = [column.name for column in table.primary_key]
    others = ", ".join(f"{name} = excluded.{name}" for name in names if name not in keys)
    conflict = f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {others}" if keys else ""
    return f"INSERT INTO {table.name} ({', '.join(names)}) {source}{conflict}"


@cache
def _update(table: Table, names: tuple[str, ...], *, embedded: bool) -> str:
    *changed, key = names
    if embedded:
        return f"UPDATE {table.name} SET {', '.join(f'{name} = ?' for name in changed)} WHERE {key} = ?"
    moves = ", ".join(f"{name} = new.{name}" for name in changed)
    return f"UPDATE {table.name} SET {moves} FROM {_arrays(table, names)} AS new({', '.join(names)}) WHERE {table.name}.{key} = new.{key}"


@cache
def _delete(table: Table, names: tuple[str, ...], *, embedded: bool) -> str:
    if embedded:
        return f"DELETE FROM {table.name} WHERE {' AND '.join(f'{name} = ?' for name in names)}"
    same = " AND ".join(f"{table.name}.{name} = gone.{name}" for name in names)
    return f"DELETE FROM {table.name} USING {_arrays(table, names)} AS gone({', '.join(names)}) WHERE {same}"


def _marks(names: tuple[str, ...]) -> str:
    return ", ".join("?" for _ in names)


def _arrays(table: Table, names: tuple[str, ...]) -> str:
    """PostgreSQL's table of rows that come as one array a column; in binary, for as text a blob would be twice as long."""
    kinds = (table.c[name].type.compile(dialect=_POSTGRESQL) for name in names)
    return f"unnest({', '.join(f'%b::{kind}[]' for kind in kinds)})"
