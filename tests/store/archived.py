"""A run with every kind of row, to be archived, and all that a store says of it, comparable."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from runvitals.collectors.records import NONE_VALUE
from runvitals.store import Store
from runvitals.store.types import AlertRow, EventRow, Mute, SeriesPoints

ODD = [1.0, NONE_VALUE, float("nan"), float("inf"), -float("inf"), -0.0, 5e-324, 1.7e308]


def alert(run_id: str) -> AlertRow:
    return AlertRow(
        id=f"{run_id}:loss_spike:loss:3@1",
        run_id=run_id,
        rule="loss_spike",
        signal="loss",
        severity="critical",
        state="firing",
        incident=f"{run_id}:loss_spike:loss:3@1",
        onset_step=3,
        onset_s=1001.0,
        fired_step=4,
        fired_s=1002.0,
        resolved_step=None,
        resolved_s=None,
        detail={"title": "Spike", "evidence": {"value": float("nan"), "limit": float("inf")}, "remedies": []},
    )


def fill(store: Store, batch_of: Any, points_of: Any, *, size: int = 40_000) -> None:
    """An ended run with every kind of row: several writers, steps that go back, odd values, rows without a step, what people did."""
    values = np.random.default_rng(5).normal(size=size)
    steps = np.arange(size)
    values[: len(ODD)] = ODD
    series = {
        "loss": points_of(values, steps),
        "grad_norm": points_of(values / 2, steps),
        "gpu/0/power_w": points_of(values[:300], np.full(min(size, 300), -1)),
    }
    event = EventRow(run_id="run", writer_id="writer", seq=3, time_s=1003.0, step=None, kind="config", data={"β": 0.1})
    store.append(batch_of(series, events=(event,), first_seq=1))
    back = points_of([7.0, 7.0, 8.0], [size // 2, size // 2, size // 2 + 1], [9e5, 9e5, 9e5 - 3])
    store.append(batch_of({"loss": back, "late": points_of([0.5])}, writer_id="second"))
    store.put_alerts([alert("run")])
    store.acknowledge("run:loss_spike:loss:3@1", "seen\u2028it", 2000.0)
    store.mute("run:loss_spike:loss:3@1", 1e10, 2001.0)
    store.tick("run:loss_spike:loss:3@1", 1, True, 2002.0)
    store.add_mute(Mute(run_id="run", rule="loss_spike", since_s=2002.0, until_s=1e9, who="ada", note="known"))
    store.tag_runs(["run"], add=["<b>tag</b>", "β"])
    store.group_runs(["run"], "sweep")
    store.describe_run("run", "what it is about")
    store.mark_told("slack://secret", [("run:loss_spike:loss:3@1", "firing")], 7.0)
    store.add_note("run", "a note\nwith <b>markup</b>", 5, 2003.0)
    store.set_run("run", status="finished", ended_s=2004.0, health="critical", alerts=1, rules=[{"rule": "loss_spike"}])
    store.archive_runs(["run"], 2005.0)


def bits(points: SeriesPoints) -> tuple[bytes, ...]:
    return points.steps.tobytes(), points.times_s.tobytes(), points.values.tobytes()


def everything(store: Store, run_id: str = "run") -> dict[str, Any]:
    """All that a store says of a run, comparable: numbers as bits and words."""
    with store.export(run_id) as run:
        tables = repr(run.tables)
    keys = sorted(store.keys(run_id))
    given = store.since(run_id, keys, {})
    drawn = {
        generation: repr(store.drawn(run_id, keys, n=50, generation=generation))
        for generation in ("current", "superseded", "all")
    }
    notes = [replace(note, id=0) for note in store.notes(run_id)]
    events = [replace(event, id=0) for event in store.events(run_id)]
    mutes = [replace(mute, id=0) for mute in store.mutes()]
    told = (store.run(run_id), store.alerts(run_id=run_id), mutes, notes, events, store.writers(run_id))
    return {
        "tables": tables,
        "points": {key: bits(given.points[key]) for key in keys},
        "drawn": drawn,
        "told": repr(told),
    }


def is_empty(store: Store) -> bool:
    told = store.describe()
    return (told["runs"], told["points"]) == (0, 0) and store.examine_rest() == [] and store.alerts() == []
