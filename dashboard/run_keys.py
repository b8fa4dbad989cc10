"""The keys of the run that a page shows: read anew as often as that is cheap, and told to the search box."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from runvitals.diagnostics.signals import SIGNALS, canonical
from runvitals.store import Store
from runvitals.store.types import Latest, RunInfo

COST_SHARE = 0.05
"""Share of the time that reading the keys of a live run may take; ten thousand take half a second, and seldom change."""


@dataclass(slots=True)
class RunKeys:
    """The newest keys of one run that were read. digest: differs whenever another key is there."""

    digest: str = ""
    _run_id: str = ""
    _revision: int = -1
    _keys: Mapping[str, Latest] = field(default_factory=dict)
    _again_s: float = 0.0

    def read(self, store: Store, run: RunInfo, *, now_s: float) -> Mapping[str, Latest]:
        """The run's keys; those of a moment ago where nothing changed, or where reading is dear and was done just now."""
        if run.id == self._run_id and (run.revision == self._revision or now_s < self._again_s):
            return self._keys
        began_s = time.perf_counter()
        found = store.keys(run.id)
        self._again_s = now_s + (time.perf_counter() - began_s) / COST_SHARE
        if found.keys() != self._keys.keys() or not self.digest:
            self.digest = blake2b("\n".join(found).encode(), digest_size=8).hexdigest()
        self._run_id, self._revision, self._keys = run.id, run.revision, found
        return found


def search_json(keys: Mapping[str, Latest]) -> dict[str, Any]:
    """All that can be searched: the keys, the signal of each that has one, and what those signals are.

    of: a key's place among `signals`, -1 for a key of the user's own.
    """
    named = [canonical(key) for key in keys]
    signals = list(dict.fromkeys(signal for signal in named if signal is not None))
    places = {signal: place for place, signal in enumerate(signals)}
    return {
        "keys": list(keys),
        "of": [-1 if signal is None else places[signal] for signal in named],
        "signals": [[SIGNALS[signal].title, SIGNALS[signal].unit, SIGNALS[signal].meaning] for signal in signals],
    }
