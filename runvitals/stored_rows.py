"""A stored run as the rows and events that rules read, in the order in which they came."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import pairwise
from operator import attrgetter

import numpy as np

from runvitals.collectors.records import NO_STEP, is_none
from runvitals.diagnostics.types import Happening, Row
from runvitals.store.store import Store

HAPPENINGS = ("resume", "eval", "checkpoint", "phase", "trainer", "config", "finish", "exception", "signal")
"""Event kinds that rules need to know."""

OTHER_RANKS = "rank/"
"""Keys that start so are another process's own, which no rule reads."""


def stored_items(store: Store, run_id: str) -> list[Row | Happening]:
    """Rows, superseded ones too, and events by time; rows of one moment before its events. Raises UnknownRun."""
    happenings = [
        Happening(time_s=event.time_s, step=event.step, kind=event.kind, data=event.data)
        for event in store.events(run_id, kinds=HAPPENINGS)
    ]
    rows = list(stored_rows(store, run_id))
    return list(heapq.merge(rows, sorted(happenings, key=attrgetter("time_s")), key=attrgetter("time_s")))


def stored_rows(store: Store, run_id: str) -> Iterator[Row]:
    """The rows by time: the values that one time and step have in common were logged at once. A stored None is None again."""
    keys = [key for key in store.keys(run_id) if not key.startswith(OTHER_RANKS)]
    series = store.read_many(run_id, keys, axis="time", generation="all")
    names = [key for key, points in series.items() if len(points.steps)]
    if not names:
        return
    times = np.concatenate([series[key].times_s for key in names])
    steps = np.concatenate([series[key].steps for key in names])
    owners = np.repeat(np.arange(len(names)), [len(series[key].steps) for key in names])
    values = np.concatenate([series[key].values for key in names])
    order = np.lexsort((owners, steps, times))
    times, steps = times[order], steps[order]
    is_first = np.ones(len(times), dtype=bool)
    is_first[1:] = (times[1:] != times[:-1]) | (steps[1:] != steps[:-1])
    edges = [*np.flatnonzero(is_first).tolist(), len(times)]
    listed_times, listed_steps = times.tolist(), steps.tolist()
    listed_owners, listed_values = owners[order].tolist(), values[order].tolist()
    for begin, end in pairwise(edges):
        yield Row(
            time_s=listed_times[begin],
            step=None if listed_steps[begin] == NO_STEP else listed_steps[begin],
            values={
                names[owner]: None if value != value and is_none(value) else value
                for owner, value in zip(listed_owners[begin:end], listed_values[begin:end], strict=True)
            },
        )
