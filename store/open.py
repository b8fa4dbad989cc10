"""Opening a store: the right place, the right tables, the right version, or an error that says what to do."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, exc, inspect, select
from sqlalchemy.engine import make_url

from runvitals.errors import ForeignStore, NewerStore, StoreError, StoreUnreachable
from runvitals.settings import checked_store_url
from runvitals.store.database import BUSY_TIMEOUT_MS, Database, connect
from runvitals.store.schema import SCHEMA_VERSION, meta
from runvitals.store.store import Store

_HEADER_BYTES = 100
_MAGIC = b"SQLite format 3\x00"
_STORED_VERSION = select(meta.c.value).where(meta.c.key == "schema_version")


def open_store(url: str, *, create: bool = True, migrate: bool = True) -> Store:
    """The store at a URL, `sqlite:///PATH` or `postgresql://…`; made where there is none and `create` is set.

    A store of an older version is brought to this one where `migrate` is set. Raises StoreError where there is none and `create` is
    not set, or an older one and `migrate` is not set; ForeignStore where something else or something damaged is there,
    NewerStore where a newer runvitals wrote it, StoreUnreachable where it does not answer, SettingsError for any other URL.
    """
    parsed = make_url(checked_store_url(url))
    if parsed.get_backend_name() == "sqlite":
        _prepare_file(Path(parsed.database or ""), create=create)
    database = connect(url)
    try:
        _check_tables(database, create=create, migrate=migrate)
    except BaseException:
        database.engine.dispose()
        raise
    return Store(database)


def _prepare_file(path: Path, *, create: bool) -> None:
    """Makes the file where it may, in WAL mode, and refuses one that is not a whole SQLite database."""
    if not path.name or str(path) == ":memory:":
        raise StoreError("the embedded store: expected sqlite:///PATH with a file's path")
    if path.is_dir():
        raise StoreError(f"{path}: expected a file, got a folder; name a file in it, such as runvitals.db")
    if not create and (not path.exists() or not path.stat().st_size):
        raise StoreError(f"{path}: no store there yet; start a run or `runvitals watch`, or name another file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _check_header(path)
    except OSError as error:
        raise StoreUnreachable(
            f"{path}: cannot be opened ({error.strerror}); check the folder's permissions"
        ) from error
    if not path.exists() or not path.stat().st_size:
        _make_wal(path)


def _check_header(path: Path) -> None:
    """Raises ForeignStore where the file is no SQLite database or shorter than its own header says."""
    if not path.exists() or not path.stat().st_size:
        return
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if not header.startswith(_MAGIC) or len(header) < _HEADER_BYTES:
        raise ForeignStore(f"{path}: is not a SQLite database; name another file or move this one away")
    log = path.with_name(path.name + "-wal")
    if _bytes(log):
        return  # in use, or to be recovered from its log: the header may be ahead of the file for a moment
    page_bytes = int.from_bytes(header[16:18], "big")
    expected = int.from_bytes(header[28:32], "big") * (65536 if page_bytes == 1 else page_bytes)
    if path.stat().st_size < expected:
        raise ForeignStore(
            f"{path}: is cut short, {path.stat().st_size} of {expected} bytes; restore a copy, or move it away to start anew"
        )


def _bytes(path: Path) -> int:
    """The file's size, 0 where there is none: the last process that closes a store removes its log at any moment."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _make_wal(path: Path) -> None:
    """Creates the file in WAL mode, which it keeps. Raises StoreUnreachable."""
    deadline_s = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            with closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_MS / 1000)) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            # Two processes that create it at once: SQLite refuses one of them here without waiting, whatever the timeout.
            if code == sqlite3.SQLITE_BUSY and time.monotonic() < deadline_s:
                time.sleep(0.01)
                continue
            known = {sqlite3.SQLITE_FULL: "free some space", sqlite3.SQLITE_BUSY: "another process holds it, try again"}
            advice = known.get(code, "check the folder's permissions")
            raise StoreUnreachable(f"{path}: cannot be created ({error}); {advice}") from error


def _check_tables(database: Database, *, create: bool, migrate: bool) -> None:
    """Brings the tables to this version, or raises where they are not ours, missing or newer."""
    if _is_up_to_date(database):
        return
    with database.reading() as connection:
        version = _version(connection, database.place)
    if version == 0 and not create:
        raise StoreError(
            f"{database.place}: no store there yet; start a run or `runvitals watch`, or name another place"
        )
    if not migrate:
        raise StoreError(
            f"{database.place}: was written by an older runvitals (schema {version}, this one reads {SCHEMA_VERSION}); "
            "`runvitals watch --once` of this version brings it up to date"
        )
    from runvitals.store.migrations.upgrade import upgrade  # imports Alembic, which takes longer than opening a store

    with database.writing() as connection:
        database.lock_creation(connection)
        version = _version(connection, database.place)  # another process may have been quicker
        if version < SCHEMA_VERSION:
            upgrade(connection, found=version)
            database.upsert(connection, meta, [{"key": "schema_version", "value": str(SCHEMA_VERSION)}])


def _is_up_to_date(database: Database) -> bool:
    """True where the store says that it has this version: one query. False where it does not, for whatever reason."""
    with database.reading() as connection:
        try:
            return connection.execute(_STORED_VERSION).scalar() == str(SCHEMA_VERSION)
        except exc.DBAPIError:
            return False  # an empty or a foreign database; who looks closer says which


def _version(connection: Connection, place: str) -> int:
    """The schema version that the store has; 0 for an empty database. Raises ForeignStore and NewerStore."""
    names = inspect(connection).get_table_names()
    if not names:
        return 0
    if meta.name not in names:
        raise ForeignStore(f"{place}: holds other tables and no runvitals store; name a file or database of its own")
    found = connection.execute(_STORED_VERSION).scalar()
    if found is None or not (found.isascii() and found.isdigit()):
        raise ForeignStore(f"{place}: its schema version is {found!r}; restore a copy, or move it away to start anew")
    if int(found) > SCHEMA_VERSION:
        raise NewerStore(
            f"{place}: was written by a newer runvitals (schema {found}, this one knows {SCHEMA_VERSION}); upgrade runvitals"
        )
    return int(found)
