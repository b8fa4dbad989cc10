"""A stored run as the rows and events that rules read, in the order in which they came."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from operator import attrgetter

import numpy as np

from runvitals.collectors.records import NO_STEP, is_none
from runvitals.diagnostics.rank_rows import rank_row, timed
from runvitals.diagnostics.types import Happening, Row
from runvitals.store.store import Store
from runvitals.store.types import SeriesPoints

HAPPENINGS = ("resume", "eval", "checkpoint", "phase", "trainer", "config", "finish", "exception", "signal")
"""Event kinds that rules need to know."""

OTHER_RANKS = "rank/"
"""Keys that start so are another process's own, of which rules read its times only (`rank_rows`)."""


VALUES_AT_ONCE = 2_000_000
"""About how many values are held at a time: a run of a million rows is read in stretches of its time."""


def stored_items(store: Store, run_id: str) -> list[Row | Happening]:
    """Rows, superseded ones too, and events by time; rows of one moment before its events. Raises UnknownRun."""
    return list(stored_stream(store, run_id))


def stored_stream(store: Store, run_id: str) -> Iterator[Row | Happening]:
    """The same one after another, so that a long run need not fit into memory. Raises UnknownRun."""
    happenings = [
        Happening(time_s=event.time_s, step=event.step, kind=event.kind, data=event.data)
        for event in store.events(run_id, kinds=HAPPENINGS)
    ]
    return heapq.merge(
        stored_rows(store, run_id), sorted(happenings, key=attrgetter("time_s")), key=attrgetter("time_s")
    )


def stored_rows(store: Store, run_id: str, *, values_at_once: int = VALUES_AT_ONCE) -> Iterator[Row]:
    """The rows by time: the values that one time and step have in common were logged at once. A stored None is None again."""
    counts = {key: told.count for key, told in store.keys(run_id).items() if _is_judged(key)}
    for start_s, stop_s in _stretches(store, run_id, counts, values_at_once):
        series = store.read_many(run_id, list(counts), start=start_s, stop=stop_s, axis="time", generation="all")
        yield from _rows(series)


def _is_judged(key: str) -> bool:
    return not key.startswith(OTHER_RANKS) or timed(key) is not None


def _stretches(
    store: Store, run_id: str, counts: Mapping[str, int], values_at_once: int
) -> Iterator[tuple[float | None, float | None]]:
    """Stretches of time, both ends included and none shared, that hold about so many values each."""
    number = -(-sum(counts.values()) // values_at_once)
    if number <= 1:
        yield None, None
        return
    longest = max(counts, key=counts.__getitem__)
    times_s = np.sort(store.read(run_id, longest, axis="time", generation="all").times_s)
    edges = np.unique(times_s[np.linspace(0, len(times_s) - 1, number + 1).astype(int)[1:-1]])
    start_s: float | None = None
    for edge_s in edges.tolist():
        yield start_s, edge_s
        start_s = math.nextafter(edge_s, math.inf)
    yield start_s, None


def _rows(series: Mapping[str, SeriesPoints]) -> Iterator[Row]:
    names = [key for key, points in series.items() if len(points.steps)]
    if not names:
        return
    times = np.concatenate([series[key].times_s for key in names])
    steps = np.concatenate([series[key].steps for key in names])
    owners = np.repeat(np.arange(len(names)), [len(series[key].steps) for key in names])
    values = np.concatenate([series[key].values for key in names])
    of_name = [found[0] if (found := timed(name)) is not None else 0 for name in names]
    ranks = np.array(of_name)[owners]
    order = np.lexsort((owners, steps, ranks, times))
    times, steps, ranks = times[order], steps[order], ranks[order]
    is_first = np.ones(len(times), dtype=bool)
    is_first[1:] = (times[1:] != times[:-1]) | (ranks[1:] != ranks[:-1]) | (steps[1:] != steps[:-1])
    edges = [*np.flatnonzero(is_first).tolist(), len(times)]
    listed_times, listed_steps, listed_ranks = times.tolist(), steps.tolist(), ranks.tolist()
    listed_owners, listed_values = owners[order].tolist(), values[order].tolist()
    for begin, end in pairwise(edges):
        time_s, rank = listed_times[begin], listed_ranks[begin]
        step = None if listed_steps[begin] == NO_STEP else listed_steps[begin]
        logged = {
            names[owner]: None if value != value and is_none(value) else value
            for owner, value in zip(listed_owners[begin:end], listed_values[begin:end], strict=True)
        }
        row = Row(time_s=time_s, step=step, values=logged) if rank == 0 else rank_row(time_s, step, rank, logged)
        if row is not None:
            yield row
