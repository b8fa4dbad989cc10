"""The part of the store's face that keeps house: whole runs packed, deleted, taken out and in; the database cleaned and examined."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import func, select, text

from runvitals.store import runs
from runvitals.store.compact import compact
from runvitals.store.database import Database
from runvitals.store.examine import examine_rest, examine_run
from runvitals.store.export import Exported, export
from runvitals.store.restore import restore
from runvitals.store.schema import SCHEMA_VERSION, metadata
from runvitals.store.tidy import Rest, free_bytes, tidy, vacuum
from runvitals.store.types import SeriesPoints


class Upkeep:
    """What is done with whole runs and with the database itself; a part of `Store`."""

    _database: Database

    def compact(self, run_id: str) -> None:
        """Packs what a run left unpacked, once it is over: nothing that is read changes, and a second call does nothing.

        Nothing is lost where it is never called, nor where the run goes on afterwards; it then takes more room. Raises UnknownRun.
        """
        with self._database.writing() as connection:
            compact(connection, run_id)

    def delete_run(self, run_id: str, *, due_s: float | None = None) -> None:
        """Removes a run with its series, events, alerts, mutes and notes, at once. Raises UnknownRun.

        due_s: only where it is marked to be deleted by then; raises StoreError where somebody took that back.
        """
        with self._database.writing() as connection:
            runs.delete_run(connection, run_id, due_s=due_s)

    @contextmanager
    def export(self, run_id: str) -> Iterator[Exported]:
        """The whole run, as one transaction sees it: its points can be read until the block ends. Raises UnknownRun."""
        with self._database.reading() as connection:
            yield export(connection, run_id)

    def restore(
        self, tables: Mapping[str, Sequence[Mapping[str, Any]]], stripes: Iterable[Mapping[str, SeriesPoints]]
    ) -> str:
        """Writes a run that `export` gave, all or nothing, and gives its id. Raises StoreError where a value is not what it should be."""
        with self._database.writing() as connection:
            return restore(self._database, connection, tables, stripes)

    def tidy(self, *, now_s: float, dry_run: bool = False) -> list[Rest]:
        """Removes what nobody needs, and says what it was; with `dry_run` only says so."""
        with self._database.reading() if dry_run else self._database.writing() as connection:
            return tidy(connection, now_s=now_s, dry_run=dry_run)

    def free_bytes(self) -> int:
        """Bytes of a SQLite file that `vacuum` would win; 0 for PostgreSQL."""
        return free_bytes(self._database)

    def vacuum(self) -> None:
        """Rewrites a SQLite file without its free space. Raises StoreUnreachable where another process is writing."""
        vacuum(self._database)

    def examine(self, run_id: str) -> Iterator[tuple[int, list[str]]]:
        """For each series of a run its number of points and what is wrong with it; reads every block."""
        with self._database.reading() as connection:
            yield from examine_run(connection, run_id)

    def examine_rest(self) -> list[str]:
        """What is wrong besides the series: rows that belong to nothing, a file that SQLite's own check refuses."""
        with self._database.reading() as connection:
            found = examine_rest(connection)
            if self._database.embedded:
                told = connection.execute(text("PRAGMA quick_check(10)")).scalars().all()
                found += [f"SQLite's own check: {line}" for line in told if line != "ok"]
        return found

    def describe(self) -> dict[str, Any]:
        """Kind, place without secrets, runs, points, bytes, schema_version."""
        with self._database.reading() as connection:
            number, points = runs.totals(connection)
            if self._database.embedded:
                pages = connection.execute(
                    text("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
                )
                size = int(pages.scalar_one())
            else:
                size = sum(
                    int(connection.execute(select(func.pg_total_relation_size(name))).scalar_one())
                    for name in metadata.tables
                )
        return {
            "kind": "SQLite" if self._database.embedded else "PostgreSQL",
            "place": self._database.place,
            "runs": number,
            "points": points,
            "bytes": size,
            "schema_version": SCHEMA_VERSION,
        }
