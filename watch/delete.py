"""Deletes runs: from the store, and their journals, so that no watcher brings them back."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

from runvitals.collectors import journal
from runvitals.diagnostics.rules.definition import counted
from runvitals.errors import StoreError
from runvitals.store.store import Store
from runvitals.store.types import LIVE, RunInfo
from runvitals.watch.removal import remove

HELD_S = 30.0
"""For how long a command holds a run against watchers; it takes much less."""

PATIENCE_S = 12.0
"""How long to wait for a watcher to let a run go: a lease lasts ten seconds, and is not renewed once the journals are gone."""


def journal_folder(journals: Path, run_id: str) -> Path | None:
    """The run's folder among the journals, where it has one. An id that is no name of a folder has none."""
    try:
        return next((entry for entry in journals.iterdir() if entry.name == run_id and entry.is_dir()), None)
    except FileNotFoundError:
        return None


def hold(
    store: Store,
    run_id: str,
    *,
    clock: Callable[[], float] = time.time,
    pause: Callable[[float], None] = time.sleep,
    patience_s: float = PATIENCE_S,
) -> bool:
    """True once the run is ours: no watcher is at work on it. False where one did not let it go in time."""
    owner = f"{socket.gethostname()}-{os.getpid()}-housekeeping"
    deadline_s = clock() + patience_s
    while True:
        now_s = clock()
        if store.lease(run_id, owner, now_s + HELD_S, now_s):
            return True
        if now_s >= deadline_s:
            return False
        pause(0.25)


def let_go(store: Store, run_id: str, *, clock: Callable[[], float] = time.time) -> None:
    """Gives a run back that `hold` took."""
    now_s = clock()
    store.lease(run_id, f"{socket.gethostname()}-{os.getpid()}-housekeeping", now_s, now_s)


def delete_run(
    store: Store,
    journals: Path,
    run: RunInfo,
    *,
    force: bool = False,
    due_s: float | None = None,
    patience_s: float = PATIENCE_S,
    clock: Callable[[], float] = time.time,
) -> None:
    """Deletes a run and its journals. patience_s: how long to wait for a watcher to let it go.
    due_s: only where the run is, to the last moment, marked to be deleted by then; else StoreError.

    Journals go first and the run after it, when no watcher is at work on it, so that a half-way death leaves a run and no journal:
    doing it again ends it. Raises StoreError where the run is live and not `force`, or its journals cannot be removed.
    """
    if run.status in LIVE and not force:
        raise StoreError(
            f"run {run.id}: is {run.status}; end its process first, or delete what is there of it with --force"
        )
    folder = journal_folder(journals, run.id)
    if folder is not None:
        remove_journals(folder)
    if not hold(store, run.id, patience_s=patience_s, clock=clock):
        raise StoreError(f"run {run.id}: a watcher is still at work on it; try again when its process has ended")
    store.delete_run(run.id, due_s=due_s)


def remove_journals(folder: Path) -> None:
    """Removes all journals of a run's folder. Raises StoreError where that cannot be done."""
    try:
        remove(folder, journal.files(folder))
        left = journal.files(folder)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be removed ({error.strerror}); check its permissions") from error
    if left:
        raise StoreError(f"{folder}: {counted(len(left), 'journal')} cannot be removed; check its permissions")
