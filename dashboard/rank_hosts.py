"""On which host each rank of a run is, for the map of ranks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from runvitals.dashboard.run_map import Measure
from runvitals.dashboard.signal_keys import RANK
from runvitals.store.types import WriterState


def on_hosts(measure: Measure, writers: Iterable[WriterState]) -> Measure:
    """The measure with each rank's host as its row's group; as it is where all ranks are on one host, or it is not about ranks.

    writers: the processes that wrote the run; of several of one rank the one that was heard last counts.
    """
    if measure.of != "rank":
        return measure
    by_rank = {
        str(writer.info.get("rank") or 0): str(writer.info.get("host") or "")
        for writer in sorted(writers, key=lambda one: one.beat_s or 0.0)
    }
    if len(set(by_rank.values())) < 2:
        return measure
    rows = (replace(row, group=by_rank.get(_rank(row.key), "")) for row in measure.rows)
    return replace(measure, rows=tuple(rows))


def _rank(key: str) -> str:
    return key.removeprefix(RANK).partition("/")[0] if key.startswith(RANK) else "0"
