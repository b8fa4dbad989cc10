"""The runs that answer a query of the Runs page's search, for the terminal."""

from __future__ import annotations

import sys
import time

from runvitals.errors import SettingsError
from runvitals.store.store import Store
from runvitals.store.types import RunInfo


def found_runs(store: Store, text: str) -> list[RunInfo]:
    """The runs that answer, newest first; without a query those that nobody archived or deleted.

    Raises SettingsError where no term of the query means anything; one term that means nothing is told on stderr and left out.
    """
    if not text.strip():
        return [run for run in store.runs() if run.archived_s is None and run.delete_after_s is None]
    from runvitals.dashboard.data import watching
    from runvitals.dashboard.query import parse, setting_names
    from runvitals.dashboard.run_rows import QUERYABLE, answering, latest_keys

    now_s = time.time()
    settings = {name for run in store.runs() for name in setting_names(run.config)}
    query = parse(text, signals=QUERYABLE, settings=settings)
    reasons = "; ".join(f"{trouble.term}: {trouble.reason}" for trouble in query.troubles)
    if query.troubles and not query.groups:
        raise SettingsError(f"the query: {reasons}")
    if reasons:
        print(f"runvitals: left out {reasons}", file=sys.stderr)  # noqa: T201 - the command's own output
    notes: dict[str, list[str]] = {}
    for note in store.notes():
        notes.setdefault(note.run_id, []).append(note.text)
    known = answering(
        store.runs(latest=latest_keys(query.signals)),
        store.alerts(states=("firing",)),
        query=query,
        watched=watching(store, now_s=now_s).alive,
        now_s=now_s,
        notes=notes,
    )
    return [one.run for one in known]
