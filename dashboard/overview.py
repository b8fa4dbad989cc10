"""What all pages and sessions of this process know of all runs: read once, and again only where a run's revision has changed."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from runvitals.store import Store
from runvitals.store.types import AlertRow, RunInfo

_LISTS = 4
"""How many lists of runs are kept: one for each set of series whose newest values a query asks for."""

_FEW = 500
"""Up to how many changed runs are read by their ids; beyond, reading all is cheaper."""


@dataclass(frozen=True, slots=True)
class KeptRow:
    """A finished row of the Runs table, and what it was made of."""

    revision: int
    health: str
    row: dict[str, Any]


@dataclass(slots=True)
class Overview:
    """Runs, firing alerts and finished rows as of their run's revision. Its size follows the number of runs."""

    rows: dict[str, KeptRow] = field(default_factory=dict)
    _firing: dict[str, tuple[int, list[AlertRow]]] = field(default_factory=dict)
    _lists: OrderedDict[tuple[str, ...], dict[str, RunInfo]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def firing(self, store: Store) -> list[AlertRow]:
        """All firing alerts, run by run."""
        with self._lock:
            now = store.revisions()
            for run_id in self._firing.keys() - now.keys():
                del self._firing[run_id]
            changed = [run_id for run_id, revision in now.items() if self._firing.get(run_id, (None,))[0] != revision]
            if changed:
                # The revisions were read first: what changes in between is older here than it says, and read again.
                self._firing |= {run_id: (now[run_id], []) for run_id in changed}
                for alert in store.alerts(run_ids=changed, states=("firing",)):
                    self._firing[alert.run_id][1].append(alert)
            return [alert for _, of_run in self._firing.values() for alert in of_run]

    def runs(self, store: Store, *, latest: Sequence[str]) -> list[RunInfo]:
        """All runs, newest first, with the newest points of the series named in `latest`."""
        with self._lock:
            now = store.revisions()
            known = self._lists.pop(tuple(latest), {})
            changed = [
                run_id for run_id, revision in now.items() if run_id not in known or known[run_id].revision != revision
            ]
            if len(changed) > _FEW:
                known = {run.id: run for run in store.runs(latest=latest)}
            elif changed or known.keys() - now.keys():
                read = {run.id: run for run in store.runs(latest=latest, ids=changed)}
                kept = {run_id: read.get(run_id, run) for run_id, run in known.items() if run_id in now}
                both = {**{run_id: run for run_id, run in read.items() if run_id not in kept}, **kept}
                known = dict(sorted(both.items(), key=lambda item: -item[1].created_s))
            self._lists[tuple(latest)] = known
            while len(self._lists) > _LISTS:
                self._lists.popitem(last=False)
            for run_id in self.rows.keys() - now.keys():
                self.rows.pop(run_id, None)
            return list(known.values())
