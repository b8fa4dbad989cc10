"""Makes the deletions true that people asked for on the Runs page, once nobody can take them back any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from runvitals.errors import RunvitalsError, StoreUnreachable, UnknownRun
from runvitals.store.store import Store
from runvitals.store.types import LIVE, RunInfo
from runvitals.watch.delete import delete_run, journal_folder
from runvitals.watch.processes import is_alive
from runvitals.watch.survey import not_closed, not_taken_in, survey


def delete_due(
    store: Store,
    journals: Path,
    *,
    now_s: float,
    alive: Callable[[Mapping[str, Any]], bool | None] = is_alive,
    dry_run: bool = False,
) -> Iterator[tuple[RunInfo, str]]:
    """Each run whose time has come, and why it stays for now, or "" where it is gone. With `dry_run` nothing is removed.

    Raises StoreUnreachable. A run whose process may still write, or of whose journals the store lacks something, stays: what comes of it may say that it lives.
    """
    for run_id in store.due_deletions(now_s):
        try:
            run = store.run(run_id)
        except UnknownRun:  # another watcher was quicker
            continue
        if run.delete_after_s is None or run.delete_after_s > now_s:  # taken back while others were looked at
            continue
        try:
            kept = _kept(store, journals, run, alive)
            if not kept and not dry_run:
                delete_run(store, journals, run, due_s=now_s, patience_s=0.0, clock=lambda: now_s)
        except UnknownRun:
            kept = ""
        except StoreUnreachable:
            raise
        except (RunvitalsError, OSError) as error:  # OSError: the folder of the journals, whose mount may be away
            kept = str(error)
        yield run, kept


def _kept(store: Store, journals: Path, run: RunInfo, alive: Callable[[Mapping[str, Any]], bool | None]) -> str:
    """Why the run must stay, or ""."""
    if run.status in LIVE:
        return f"is {run.status}"
    folder = journal_folder(journals, run.id)
    if folder is None:
        return ""
    taken = {state.writer_id: state.last_seq for state in store.writers(run.id)}
    found = survey(folder, taken, alive=alive)
    return not_taken_in(found) or not_closed(found)
