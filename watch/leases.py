"""Which runs are this watcher's, by leases in the store that outlast a pass and not much more.

A lease's end is written by its owner's clock. Where clocks differ, an end that lies far ahead says nothing about the owner's life; what does is
that it moves. So a lease that has not moved for as long as leases last, by our own steady clock, is taken over whatever it says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from runvitals.store.store import Store

LEASE_S = 10.0
"""How long a run belongs to a watcher after its last pass; another takes over after that."""


@dataclass(slots=True)
class _Foreign:
    """Another watcher's lease: its end as written, and since when we see that very end."""

    until_s: float
    seen_s: float


class Leases:
    """The leases of one watcher. clock: seconds since 1970; timer: seconds that only go forward."""

    def __init__(self, store: Store, owner: str, *, clock: Callable[[], float], timer: Callable[[], float]) -> None:
        self._store = store
        self._owner = owner
        self._clock = clock
        self._timer = timer
        self._until_s: dict[str, float] = {}
        self._foreign: dict[str, _Foreign] = {}

    def holds(self, run_id: str) -> bool:
        """Whether the run is this watcher's to watch; renews the lease when a third of it is gone."""
        now_s = self._clock()
        if LEASE_S * 2 / 3 < self._until_s.get(run_id, 0.0) - now_s <= LEASE_S:
            return True
        held = self._store.lease(run_id, self._owner, now_s + LEASE_S, now_s) or self._outlives(run_id, now_s)
        if held:
            self._until_s[run_id] = now_s + LEASE_S
            self._foreign.pop(run_id, None)
        else:
            self._until_s.pop(run_id, None)
        return held

    def _outlives(self, run_id: str, now_s: float) -> bool:
        """Takes over a lease that has stood still for too long. Its owner may renew it just now: then it has moved, and stays his."""
        until_s = self._store.leased_until_s(run_id)
        if until_s is None:
            return False
        seen = self._foreign.get(run_id)
        if seen is None or seen.until_s != until_s:
            self._foreign[run_id] = _Foreign(until_s, self._timer())
            return False
        if self._timer() - seen.seen_s <= LEASE_S:
            return False
        return self._store.lease(run_id, self._owner, now_s + LEASE_S, until_s)

    def forget(self, run_id: str) -> None:
        """The run needs no watcher any more: whoever finds it resumed need not wait for us."""
        now_s = self._clock()
        if self._until_s.pop(run_id, 0.0) > now_s:
            self._store.lease(run_id, self._owner, now_s, now_s)

    def release(self) -> None:
        """Gives all leases back. Where the store cannot be reached they run out by themselves."""
        now_s = self._clock()
        for run_id, until_s in self._until_s.items():
            if until_s > now_s:
                self._store.lease(run_id, self._owner, now_s, now_s)
        self._until_s.clear()
