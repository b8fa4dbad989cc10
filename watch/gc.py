"""Removes what nobody needs any more, and says what it was. Nothing that the store lacks is ever removed."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runvitals.errors import RunvitalsError, StoreError
from runvitals.store.store import Store
from runvitals.store.tidy import PAYS_BYTES
from runvitals.store.types import LIVE, RunInfo
from runvitals.watch.delete import delete_run, hold, journal_folder, let_go, remove_journals
from runvitals.watch.due import delete_due
from runvitals.watch.processes import is_alive
from runvitals.watch.removal import SUFFIX, finish, unfinished
from runvitals.watch.survey import not_closed, not_taken_in, survey

ABANDONED_S = 3600.0
"""A temporary file that was not written to for an hour has no process any more."""

PAYS_SHARE = 0.1
"""Free share of a SQLite file from which rewriting it is worth it."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of what was, or would be, removed. what: in words. where: a run or a file. bytes: freed. kept: why it stays, or ""."""

    what: str
    where: str
    bytes: int
    kept: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """What to sweep. older_than_s: runs that ended longer ago go too; None keeps them all. clock, alive: as for a watcher."""

    store: Store
    home: Path
    now_s: float
    older_than_s: float | None = None
    dry_run: bool = False
    alive: Callable[[Mapping[str, Any]], bool | None] = is_alive

    @property
    def journals(self) -> Path:
        """The folder with a folder for each run."""
        return self.home / "journal"


def sweep(asked: Sweep) -> Iterator[Line]:
    """Does it, and tells each thing as it is done."""
    gone = yield from _wanted_gone(asked)
    gone |= yield from _old_runs(asked, but=gone)
    for run in asked.store.runs():
        folder = journal_folder(asked.journals, run.id)
        if folder is not None and run.id not in gone:
            yield from _journals(asked, run, folder)
    yield from _left_over(asked)
    for rest in asked.store.tidy(now_s=asked.now_s, dry_run=asked.dry_run):
        yield Line(f"{rest.rows} {rest.what}", "store", rest.bytes)
    yield from _free_space(asked)


def ended_s(run: RunInfo) -> float:
    """When a run that is over ended; its last sign of life where that is not known."""
    return run.ended_s or run.beat_s or run.created_s


def _wanted_gone(asked: Sweep) -> Generator[Line, None, set[str]]:
    """Removes the runs that somebody deleted and whose time to take that back has passed; gives their ids."""
    gone: set[str] = set()
    due = delete_due(asked.store, asked.journals, now_s=asked.now_s, alive=asked.alive, dry_run=asked.dry_run)
    for run, kept in due:
        if not kept:
            gone.add(run.id)
        yield Line("deleted run", f"{run.name} ({run.id})", 0, kept)
    return gone


def _old_runs(asked: Sweep, *, but: set[str]) -> Generator[Line, None, set[str]]:
    """Removes runs that ended long ago, but those; gives their ids."""
    gone: set[str] = set()
    if asked.older_than_s is None:
        return gone
    for run in asked.store.runs():
        if run.id in but or run.status in LIVE or asked.now_s - ended_s(run) < asked.older_than_s:
            continue
        folder = journal_folder(asked.journals, run.id)
        size = 0 if folder is None else _bytes(folder)
        kept = not_taken_in(survey(folder, _taken(asked.store, run.id), alive=asked.alive)) if folder else ""
        if not kept and not asked.dry_run:
            try:
                delete_run(asked.store, asked.journals, run)
            except RunvitalsError as error:
                kept = str(error)
        if not kept:
            gone.add(run.id)
        yield Line("run", f"{run.name} ({run.id})", size, kept)
    return gone


def _journals(asked: Sweep, run: RunInfo, folder: Path) -> Iterator[Line]:
    """Removes the journals of a run that has ended and is stored whole."""
    if run.status in LIVE:
        return
    found = survey(folder, _taken(asked.store, run.id), alive=asked.alive)
    if not found:
        return
    size = sum(one.bytes for one in found)
    kept = not_taken_in(found) or not_closed(found)
    if not kept and not asked.dry_run:
        kept = _removed(asked, run, folder)
    yield Line("journals", f"{run.name} ({run.id})", size, kept)


def _removed(asked: Sweep, run: RunInfo, folder: Path) -> str:
    """Removes them; why they stay, or "". Looked at anew once no watcher is at work: a resumed process may have begun to write."""
    if not hold(asked.store, run.id, patience_s=0.0):
        return "a watcher is at work on it and removes them itself"
    try:
        found = survey(folder, _taken(asked.store, run.id), alive=asked.alive)
        kept = not_taken_in(found) or not_closed(found)
        if not kept:
            remove_journals(folder)
        return kept
    except StoreError as error:
        return str(error)
    finally:
        let_go(asked.store, run.id)


def _taken(store: Store, run_id: str) -> dict[str, int]:
    return {state.writer_id: state.last_seq for state in store.writers(run_id)}


def _left_over(asked: Sweep) -> Iterator[Line]:
    """Removes what killed commands left: drafts of archives and of lists, journals that were on their way out."""
    drafts = [*(asked.home / "archive").glob("*.parquet.*.part"), *asked.journals.glob(f"*{SUFFIX}.tmp")]
    for path in sorted(drafts):
        try:
            state = path.stat()
            if asked.now_s - state.st_mtime < ABANDONED_S:
                continue
            if not asked.dry_run:
                path.unlink()
            yield Line("temporary file", str(path), state.st_size)
        except OSError as error:
            yield Line("temporary file", str(path), 0, str(error.strerror))
    for folder in unfinished(asked.journals):
        yield Line("journals on their way out", folder.name, _bytes(folder) if folder.is_dir() else 0)
        if not asked.dry_run:
            finish(folder)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())


def _free_space(asked: Sweep) -> Iterator[Line]:
    """Rewrites a SQLite file where much of it is free."""
    free = asked.store.free_bytes()
    if free < PAYS_BYTES or free < PAYS_SHARE * asked.store.describe()["bytes"]:
        return
    kept = ""
    if not asked.dry_run:
        try:
            asked.store.vacuum()
        except StoreError as error:
            kept = str(error)
    yield Line("free space", asked.store.describe()["place"], free, kept)
