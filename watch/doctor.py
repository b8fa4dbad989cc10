"""Examines home, store, journals and watchers, and says what is wrong and what to do about it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sqlalchemy.engine import make_url

from runvitals.collectors.mounts import on_network
from runvitals.diagnostics.rules.definition import counted
from runvitals.errors import NewerStore, RunvitalsError, StoreUnreachable
from runvitals.settings import Settings
from runvitals.store.open import open_store
from runvitals.store.store import Store
from runvitals.store.types import LIVE, RunInfo, WatcherInfo
from runvitals.watch.processes import is_alive
from runvitals.watch.survey import Survey, survey

LITTLE_SPACE_BYTES = 1 << 30
"""Free space below which to say so: a journal of 20 scalars at 100 rows a second fills it in half a day."""

LARGE_WAL_BYTES = 256 << 20
"""A write-ahead log four times its usual limit: some process reads for hours, or was stopped in the middle of it."""

SILENT_S = 30.0
"""A watcher passes every second or so; with many runs some take longer."""

Level = Literal["ok", "note", "wrong"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. part: home, store, journals, watchers or receivers. do: what to do, "" where nothing is."""

    part: str
    level: Level
    text: str
    do: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What to examine, and when. progress: called with points examined and points in all."""

    settings: Settings
    now_s: float
    alive: Callable[[Mapping[str, Any]], bool | None] = is_alive
    progress: Callable[[int, int], None] = lambda done, total: None


def examine(asked: Examination) -> Iterator[Finding]:
    """All findings, part by part; a part that cannot be examined says why and leaves the others alone."""
    yield from _home(asked.settings)
    store: Store | None = None
    try:
        try:
            store = open_store(asked.settings.store, create=False)
            yield from _store(asked, store)
        except RunvitalsError as error:
            yield Finding("store", "wrong", str(error), _cure(error))
        yield from _journals(asked, store)
        if store is not None:
            try:
                yield from _watchers(asked, store)
            except RunvitalsError as error:
                yield Finding("watchers", "wrong", str(error))
    finally:  # also where the reader stops half-way
        if store is not None:
            store.close()


def _cure(error: RunvitalsError) -> str:
    if isinstance(error, NewerStore):
        return "pip install --upgrade runvitals"
    if isinstance(error, StoreUnreachable):
        return "what is logged meanwhile waits in the journals"
    return ""


def _home(settings: Settings) -> Iterator[Finding]:
    home = settings.home
    if not home.is_dir():
        yield Finding("home", "wrong", f"{home} is not there", "start a run, or name another with RUNVITALS_HOME")
        return
    try:
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        yield Finding(
            "home", "wrong", f"{home} cannot be written ({error.strerror})", "check its permissions and space"
        )
    free = shutil.disk_usage(home).free
    if free < LITTLE_SPACE_BYTES:
        yield Finding("home", "wrong", f"{free / 2**20:.0f} MiB are free in {home}", "free some: runvitals gc")
    elif os.access(home, os.W_OK):
        yield Finding("home", "ok", f"{home}, {free / 2**30:.0f} GiB free")
    if on_network(home):
        text = f"{home} is on a network mount: journals may be, the embedded store may not"
        wrong = settings.store.startswith("sqlite") and on_network(make_url(settings.store).database or "/")
        level: Level = "wrong" if wrong else "note"
        yield Finding("home", level, text, "name a store on a local disk or a PostgreSQL server with RUNVITALS_STORE")


def _store(asked: Examination, store: Store) -> Iterator[Finding]:
    told = store.describe()
    yield Finding("store", "ok", f"{told['kind']} {told['place']}, schema {told['schema_version']}")
    wrong = yield from _points(asked, store, told["points"])
    for what in store.examine_rest():
        wrong += 1
        own = what.startswith("SQLite")
        yield Finding("store", "wrong", what, "restore a copy of the file" if own else "runvitals gc removes them")
    if told["kind"] == "SQLite":
        log = Path(told["place"] + "-wal")
        if log.exists() and log.stat().st_size > LARGE_WAL_BYTES:
            text = f"{log.name} has {log.stat().st_size / 2**20:.0f} MiB"
            yield Finding("store", "note", text, "end processes that hold the store open, then runvitals gc")
    if not wrong:
        yield Finding(
            "store", "ok", f"{counted(told['points'], 'point')} of {counted(told['runs'], 'run')} read, nothing damaged"
        )


def _points(asked: Examination, store: Store, total: int) -> Generator[Finding, None, int]:
    """Reads every block of every run; gives the number of findings."""
    done = found = 0
    for run in store.runs():
        try:
            for points, wrong in store.examine(run.id):
                done += points
                asked.progress(done, total)
                for what in wrong:
                    found += 1
                    do = "the rest of the run can be read; restore it from an archive or a copy of the store"
                    yield Finding("store", "wrong", what, do)
        except RunvitalsError as error:
            found += 1
            yield Finding("store", "wrong", str(error), "restore a copy of the store")
    return found


def _journals(asked: Examination, store: Store | None) -> Iterator[Finding]:
    journals = asked.settings.journals
    try:
        folders = sorted(entry for entry in journals.iterdir() if entry.is_dir())
    except FileNotFoundError:
        folders = []
    except OSError as error:
        yield Finding("journals", "wrong", f"{journals} cannot be read ({error.strerror})", "check its permissions")
        return
    runs, taken = _known(store)
    wrong = waiting = 0
    for folder in folders:
        for one in survey(folder, taken.get(folder.name, {}), alive=asked.alive):
            waiting += one.behind_bytes if store is not None else one.bytes
            for finding in _journal(folder, one, runs.get(folder.name), known=store is not None):
                wrong += finding.level == "wrong"
                yield finding
    if not wrong:
        yield Finding(
            "journals",
            "ok",
            f"{counted(len(folders), 'run')} with journals, {counted(waiting, 'byte')} not taken in yet",
        )


def _known(store: Store | None) -> tuple[dict[str, RunInfo], dict[str, dict[str, int]]]:
    """Runs by id, and per run and writer the newest record that the store has; none where it cannot be read."""
    if store is None:
        return {}, {}
    try:
        taken: dict[str, dict[str, int]] = {}
        for state in store.writers():
            taken.setdefault(state.run_id, {})[state.writer_id] = state.last_seq
        return {run.id: run for run in store.runs()}, taken
    except RunvitalsError:  # told with the store
        return {}, {}


def _journal(folder: Path, one: Survey, run: RunInfo | None, *, known: bool) -> Iterator[Finding]:
    """What is wrong with one writer's journal."""
    name = f"{folder.name}/{one.writer_id}"
    for what in one.damage:
        yield Finding("journals", "wrong", what, "look at the disk; what else the file holds is taken in")
    if one.gaps and not one.damage:
        ranges = ", ".join(f"{first} to {last}" for first, last in one.gaps[:5])
        do = "these rows were lost: a full disk, or a deleted file; the run's fault events say more"
        yield Finding("journals", "wrong", f"{name}: records {ranges} are missing", do)
    if one.skipped:
        text = f"{name}: {one.skipped} records are of kinds that this version does not know"
        yield Finding("journals", "wrong", text, "upgrade runvitals here")
    if one.torn_bytes and one.closed:
        yield Finding("journals", "note", f"{name}: {one.torn_bytes} bytes at an end are no whole record", "")
    if not known or one.taken_in:
        return
    if run is None:
        yield Finding("journals", "wrong", f"{name}: nobody watches this run", "runvitals watch, or runvitals up")
    elif run.status not in LIVE and one.closed and not one.damage:
        text = f"{name}: {one.behind_bytes:,} bytes were never taken in"
        yield Finding("journals", "wrong", text, "runvitals watch --once")


def _watchers(asked: Examination, store: Store) -> Iterator[Finding]:
    # One that ended a moment ago (`watch --once`) is at work no more, though its last pass is fresh.
    passing = [
        info
        for info in store.watchers()
        if abs(asked.now_s - info.pass_s) < SILENT_S and asked.alive({"host": info.host, "pid": info.pid}) is not False
    ]
    live = [run for run in store.runs() if run.status in LIVE]
    for info in passing:
        text = f"{info.host} {info.pid} passed {max(asked.now_s - info.pass_s, 0):.0f} s ago, {info.behind_bytes:,} bytes behind"
        yield Finding("watchers", "wrong" if info.message else "ok", f"{text} {info.message}".strip())
        yield from _receivers(info, asked.now_s)
    if not passing:
        level: Level = "wrong" if live else "note"
        lives = "1 run is live" if len(live) == 1 else f"{len(live)} runs are live"
        text = f"none is at work, {lives}" if live else "none is at work"
        yield Finding("watchers", level, text, "runvitals watch, or runvitals up")


def _receivers(info: WatcherInfo, now_s: float) -> Iterator[Finding]:
    """How the receivers of a watcher are doing."""
    for one in info.receivers:
        label, state = str(one.get("label", "")), one.get("state")
        if state == "failing":
            since_s, next_s = one.get("failing_since_s"), one.get("next_s")
            text = f"{label} takes no messages: {one.get('problem', '')}"
            if since_s is not None:
                text += f", for {max(now_s - since_s, 0):.0f} s"
            if next_s is not None:
                text += f"; asked again in {max(next_s - now_s, 0):.0f} s"
            yield Finding("receivers", "wrong", text, "runvitals notify test tries it at once")
        else:
            yield Finding(
                "receivers", "ok", f"{label} {'has taken what came' if state == 'ok' else 'had nothing to take yet'}"
            )
