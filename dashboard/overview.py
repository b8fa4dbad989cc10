"""What all pages and sessions of this process know of all runs: read once, and again only where a run's revision has changed.

Runs that somebody deleted are left out from that moment on, though the store has them until nobody can take it back any more.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from runvitals.dashboard.query import setting_names
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
    settings: set[str] = field(default_factory=set)
    """Names of settings in the configs of runs that were listed."""
    names: dict[str, str] = field(default_factory=dict)
    """Names of runs that were listed or asked for, by id."""
    _firing: dict[str, tuple[int, list[AlertRow]]] = field(default_factory=dict)
    _lists: OrderedDict[tuple[str, ...], dict[str, RunInfo]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def firing(self, store: Store) -> list[AlertRow]:
        """All firing alerts of runs that nobody deleted, run by run."""
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
            gone = set(store.due_deletions(math.inf))
            return [alert for run_id, (_, mine) in self._firing.items() if run_id not in gone for alert in mine]

    def runs(self, store: Store, *, latest: Sequence[str], deleted: bool = False) -> list[RunInfo]:
        """All runs, newest first, with the newest points of the series named in `latest`; with `deleted` also deleted ones."""
        with self._lock:
            now = store.revisions()
            known = self._lists.pop(tuple(latest), {})
            changed = [
                run_id for run_id, revision in now.items() if run_id not in known or known[run_id].revision != revision
            ]
            if len(changed) > _FEW:
                known = {run.id: run for run in store.runs(latest=latest)}
                self._learn(known.values())
            elif changed or known.keys() - now.keys():
                read = {run.id: run for run in store.runs(latest=latest, ids=changed)}
                self._learn(read.values())
                kept = {run_id: read.get(run_id, run) for run_id, run in known.items() if run_id in now}
                both = {**{run_id: run for run_id, run in read.items() if run_id not in kept}, **kept}
                known = dict(sorted(both.items(), key=lambda item: -item[1].created_s))
            self._lists[tuple(latest)] = known
            while len(self._lists) > _LISTS:
                self._lists.popitem(last=False)
            for run_id in self.rows.keys() - now.keys():
                self.rows.pop(run_id, None)
            return [run for run in known.values() if deleted or run.delete_after_s is None]

    def names_of(self, store: Store, run_ids: Iterable[str]) -> dict[str, str]:
        """The names of these runs by id, as far as the store has them; read once."""
        wanted = set(run_ids)
        unknown = sorted(wanted - self.names.keys())
        if unknown:
            self.names |= {run.id: run.name for run in store.runs(ids=unknown)}
        return {run_id: self.names[run_id] for run_id in wanted & self.names.keys()}

    def _learn(self, runs: Iterable[RunInfo]) -> None:
        for run in runs:
            self.names[run.id] = run.name
            self.settings.update(setting_names(run.config))
