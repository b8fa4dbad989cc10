"""A database and all that differs between SQLite and PostgreSQL: connecting, transactions, upserts, errors."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Dialect, Engine, Executable, Table, create_engine, event, exc, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import ConnectionPoolEntry

from runvitals.errors import ForeignStore, StoreError, StoreUnreachable
from runvitals.settings import checked_store_url
from runvitals.store.codec import CodecError

BUSY_TIMEOUT_MS = 10_000
"""How long a SQLite writer waits for another: eight writers at full speed were measured to wait 3 s at most."""

CHECKPOINT_PAGES = 4000
"""Pages of SQLite's log that are copied to the file at once: tails and parts are rewritten before that and copied once. With 4,000 (16 MiB)
instead of its own 1,000 a batch was measured to take an eighth less time, a row of 200 keys a quarter."""

CONNECT_TIMEOUT_S = 5
"""How long to try to reach a PostgreSQL server before saying so."""

CREATION_LOCK = 0x72756E76
"""Advisory lock in PostgreSQL under which tables and runs are created ("runv")."""


@dataclass(frozen=True, slots=True)
class Database:
    """An engine with its place in words that hold no secret."""

    engine: Engine
    place: str

    @property
    def embedded(self) -> bool:
        """True for SQLite, false for PostgreSQL."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the store from its first to its last statement."""
        options: dict[str, Any] = {}
        if not self.embedded:
            options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with self._named_errors(), self.engine.connect().execution_options(**options) as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that writes; SQLite takes its one write lock at the start, so that it never fails half-way."""
        with (
            self._named_errors(),
            self.engine.connect().execution_options(runvitals_writes=True) as connection,
            connection.begin(),
        ):
            yield connection

    def lock_creation(self, connection: Connection) -> None:
        """Lets one transaction at a time create tables or runs; in SQLite the write lock does that already."""
        if not self.embedded:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": CREATION_LOCK})

    def upsert(self, connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Inserts rows, or sets all their columns where the primary key is there already."""
        if not rows:
            return
        connection.execute(_upserting(table, tuple(rows[0]), embedded=self.embedded), list(rows))

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        """Turns the driver's errors into ours, which name the place and no secret."""
        try:
            yield
        except exc.DBAPIError as error:
            raise self._named(error) from error.orig
        except sqlite3.Error as error:  # from our own statements while a connection is prepared
            raise _named_sqlite(self.place, error) from error
        except CodecError as error:
            raise ForeignStore(f"{self.place}: {error}; restore a copy of it, or delete that run") from error
        except exc.TimeoutError as error:
            raise StoreUnreachable(f"{self.place}: all connections of this process are busy; try again") from error

    def _named(self, error: exc.DBAPIError) -> StoreError:
        """Our error for a driver's error."""
        if isinstance(error.orig, sqlite3.Error):
            return _named_sqlite(self.place, error.orig)
        state = str(getattr(error.orig, "sqlstate", None) or "")
        if state in ("42P01", "42703"):
            return ForeignStore(f"{self.place}: tables or columns of runvitals are missing; name a database of its own")
        if isinstance(error, exc.OperationalError | exc.InterfaceError) or error.connection_invalidated:
            return StoreUnreachable(
                f"{self.place}: the server does not answer; check that it runs and the address is right"
            )
        return StoreError(f"{self.place}: the database refused ({type(error.orig).__name__} {state})")


@cache
def _upserting(table: Table, names: tuple[str, ...], *, embedded: bool) -> Executable:
    """The statement that inserts rows of these columns or sets them where the primary key is there already."""
    keys = [column.name for column in table.primary_key]
    kinds: Any = sqlite if embedded else postgresql
    statement = kinds.insert(table)
    others = {name: statement.excluded[name] for name in names if name not in keys}
    if others:
        found: Executable = statement.on_conflict_do_update(index_elements=keys, set_=others)
    else:
        found = statement.on_conflict_do_nothing(index_elements=keys)
    return found


def _named_sqlite(place: str, error: sqlite3.Error) -> StoreError:
    """Our error for one of SQLite's, by its result code."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreUnreachable(f"{place}: another process holds its lock; try again")
    if code == sqlite3.SQLITE_CANTOPEN:
        return StoreUnreachable(f"{place}: cannot be opened; check that its folder exists and may be written")
    if code == sqlite3.SQLITE_NOTADB:
        return ForeignStore(f"{place}: is not a SQLite database; name another file or move this one away")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR):
        return ForeignStore(
            f"{place}: is damaged or no runvitals store ({error}); restore a copy, or move it away to start anew"
        )
    if code == sqlite3.SQLITE_FULL:
        return StoreUnreachable(f"{place}: the disk is full; free some space")
    if code == sqlite3.SQLITE_READONLY:
        return StoreError(f"{place}: may not be written; check the file's and the folder's permissions")
    return StoreUnreachable(f"{place}: reading or writing failed ({error}); check the disk")


def connect(url: str) -> Database:
    """The database of a store's URL; nothing is opened yet."""
    parsed = make_url(checked_store_url(url))
    if parsed.get_backend_name() == "sqlite":
        return _embedded(parsed)
    timeout = {} if "connect_timeout" in parsed.query else {"connect_timeout": CONNECT_TIMEOUT_S}
    engine = create_engine(parsed, connect_args=timeout, pool_pre_ping=True, pool_size=8, max_overflow=24)
    host = parsed.host or str(parsed.query.get("host") or "local socket")  # a socket's folder stands in the query
    return Database(engine, f"postgresql://{host}/{parsed.database or ''}")


def _embedded(url: URL) -> Database:
    """A SQLite database in WAL mode: one process writes while others read.

    A file that is moved away is not made anew, and its connections are given up: SQLite would write on into the file that was moved, and an
    empty one in its place would pass for a store. Once it is back all goes on.
    """
    engine = create_engine(url, pool_size=8, max_overflow=24)
    path = Path(str(url.database)).absolute()
    files = (path, path.with_name(f"{path.name}-wal"))

    @event.listens_for(engine, "do_connect")
    def _only_what_is_there(
        _dialect: Dialect, _entry: ConnectionPoolEntry, words: list[Any], named: dict[str, Any]
    ) -> None:
        words[0], named["uri"] = f"{path.as_uri()}?mode=rw", True

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, entry: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # transactions begin where we say, not at the driver's first write
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        connection.execute("PRAGMA journal_size_limit=67108864")
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()  # opens the log, which then stands beside the file
        entry.info["files"] = _identities(files)

    @event.listens_for(engine, "checkout")
    def _still_there(_connection: sqlite3.Connection, entry: ConnectionPoolEntry, _proxy: object) -> None:
        if entry.info["files"] != _identities(files):
            raise exc.InvalidatePoolError(f"{path}: is not the file that was opened")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("runvitals_writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return Database(engine, str(url.database))


def _identities(files: Sequence[Path]) -> list[tuple[int, int] | None]:
    """Which files these are, by device and number; None for one that is not there."""
    found: list[tuple[int, int] | None] = []
    for file in files:
        try:
            status = file.stat()
        except OSError:
            found.append(None)
        else:
            found.append((status.st_dev, status.st_ino))
    return found
