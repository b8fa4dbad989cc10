"""Batches go in once, whole or not at all, and come back as they were."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from runvitals.collectors.records import NO_STEP, NONE_VALUE, is_none
from runvitals.errors import StoreError, UnknownRun
from runvitals.store import Store
from runvitals.store.types import EventRow


def event(name: str, seq: int = 1, **data: Any) -> EventRow:
    return EventRow(run_id="run", writer_id="writer", seq=seq, time_s=2000.0 + seq, step=None, kind=name, data=data)


def test_rows_come_back_bit_for_bit(store: Store, batch_of: Any, points_of: Any) -> None:
    values = [1.5, math.nan, math.inf, -math.inf, NONE_VALUE, -0.0, 5e-324]
    assert store.append(batch_of({"loss": points_of(values)})) == 7
    back = store.read("run", "loss")
    assert back.values.view(np.int64).tolist() == np.array(values).view(np.int64).tolist()
    assert back.steps.tolist() == list(range(7))
    assert back.times_s.tolist() == [1000.0 + number for number in range(7)]


def test_a_replayed_batch_changes_nothing(store: Store, batch_of: Any, points_of: Any) -> None:
    batch = batch_of({"loss": points_of([1.0, 2.0])}, events=[event("eval")])
    assert store.append(batch) == 2
    before = (store.run("run"), store.keys("run"), store.events("run"), store.writers())
    assert store.append(batch) == 0
    assert (store.run("run"), store.keys("run"), store.events("run"), store.writers()) == before


def test_an_overlapping_batch_is_refused_and_leaves_no_trace(store: Store, batch_of: Any, points_of: Any) -> None:
    store.append(batch_of({"loss": points_of([1.0, 2.0])}))
    with pytest.raises(StoreError, match="cut the batch"):
        store.append(batch_of({"loss": points_of([2.0, 3.0])}, first_seq=2))
    assert store.read("run", "loss").values.tolist() == [1.0, 2.0]
    assert store.writers("run")[0].last_seq == 2


def test_a_writer_s_progress_is_kept_with_its_rows(store: Store, batch_of: Any, points_of: Any) -> None:
    store.append(batch_of({"loss": points_of([1.0, 2.0])}, beat_s=1002.0))
    store.append(batch_of({"loss": points_of([3.0])}, first_seq=3, position={"file": "a", "offset": 99}))
    (state,) = store.writers()
    assert (state.last_seq, state.position, state.beat_s) == (3, {"file": "a", "offset": 99}, 1002.0)
    assert state.info == {"pid": 7}
    assert store.writers("another") == []


def test_a_batch_of_an_unknown_run_without_its_start_is_refused(store: Store, batch_of: Any, points_of: Any) -> None:
    with pytest.raises(UnknownRun, match="start"):
        store.append(batch_of({"loss": points_of([1.0])}, first_seq=5))
    assert store.runs() == []


def test_arrays_of_uneven_length_are_refused(store: Store, batch_of: Any, points_of: Any) -> None:
    with pytest.raises(StoreError, match="differ in length"):
        store.append(batch_of({"loss": points_of([1.0, 2.0], steps=[0])}))


def test_runs_get_colours_in_order_of_creation(store: Store, batch_of: Any) -> None:
    for number in range(12):
        store.append(batch_of(run_id=f"run{number}"))
    assert [store.run(f"run{number}").color for number in range(12)] == [*range(10), 0, 1]


def test_the_first_sight_of_a_run_says_all_that_its_start_said(store: Store, batch_of: Any) -> None:
    store.append(batch_of(phase="train", beat_s=1001.0))
    run = store.run("run")
    assert (run.project, run.name, run.config, run.info) == ("demo", "run", {"lr": 1e-4}, {"pid": 7})
    assert (run.status, run.health, run.trainer, run.phase) == ("starting", "unknown", "custom", "train")
    assert (run.created_s, run.beat_s, run.ended_s, run.last_step) == (1000.0, 1001.0, None, None)


def test_the_last_step_is_of_the_newest_row_that_has_one(store: Store, batch_of: Any, points_of: Any) -> None:
    gpu = points_of([50.0], steps=[NO_STEP], times_s=[1010.0])
    store.append(batch_of({"loss": points_of([1.0, 2.0], steps=[7, 8]), "gpu/0/utilization": gpu}))
    assert (store.run("run").last_step, store.run("run").last_step_s) == (8, 1001.0)
    store.append(batch_of({"loss": points_of([3.0], steps=[4], times_s=[1020.0])}, first_seq=3))
    assert (store.run("run").last_step, store.run("run").last_step_s) == (4, 1020.0)


def test_newest_value_and_extremes_skip_what_is_not_finite(store: Store, batch_of: Any, points_of: Any) -> None:
    store.append(batch_of({"loss": points_of([3.0, math.nan, 1.0])}))
    store.append(batch_of({"loss": points_of([math.inf, NONE_VALUE])}, first_seq=4))
    latest = store.keys("run")["loss"]
    assert is_none(latest.value)
    assert (latest.best_min, latest.best_max, latest.count, latest.nonfinite) == (1.0, 3.0, 5, 3)
    assert store.run("run", latest=["loss", "absent"]).latest.keys() == {"loss"}
    assert is_none(store.run("run", latest=["loss"]).latest["loss"].value)


def test_a_series_without_any_finite_value_has_no_extremes(store: Store, batch_of: Any, points_of: Any) -> None:
    store.append(batch_of({"loss": points_of([math.nan])}))
    assert math.isnan(store.keys("run")["loss"].best_min)
    assert math.isnan(store.run("run", latest=["loss"]).latest["loss"].best_max)


def test_events_change_what_they_say_of_the_run(store: Store, batch_of: Any) -> None:
    store.append(batch_of(events=[event("config", beta=0.1), event("trainer", kind="dpo", max_steps=50)]))
    run = store.run("run")
    assert (run.config, run.trainer, run.max_steps) == ({"lr": 1e-4, "beta": 0.1}, "dpo", 50)
    store.append(batch_of(first_seq=2, events=[event("finish", seq=2, status="crashed", exit_code=1)]))
    assert (store.run("run").status, store.run("run").ended_s) == ("crashed", 2002.0)


def test_a_resumed_run_lives_again(store: Store, batch_of: Any) -> None:
    store.append(batch_of(events=[event("finish", status="stopped")]))
    start = {
        "project": "demo",
        "name": "run",
        "config": {"lr": 2e-4},
        "info": {"pid": 8},
        "time_s": 3000.0,
        "resumed": True,
    }
    store.append(batch_of(writer_id="second", start=start))
    run = store.run("run")
    assert (run.status, run.ended_s, run.config, run.info) == ("starting", None, {"lr": 2e-4}, {"pid": 8})
    assert run.created_s == 1000.0


def test_the_revision_rises_with_every_batch(store: Store, batch_of: Any) -> None:
    seen = []
    for seq in (1, 2, 3):
        store.append(batch_of(first_seq=seq))
        seen.append(store.run("run").revision)
    assert seen == sorted(set(seen))


def test_events_come_back_in_order_and_after_the_last_one_known(store: Store, batch_of: Any) -> None:
    store.append(batch_of(last_seq=3, events=[event("eval", 1), event("checkpoint", 2, path="a"), event("eval", 3)]))
    found = store.events("run")
    assert [one.kind for one in found] == ["eval", "checkpoint", "eval"]
    assert found[1].data == {"path": "a"}
    assert [one.seq for one in store.events("run", kinds=["eval"], after_id=found[0].id)] == [3]
    assert store.events("another") == []


def test_an_event_s_nan_stays_nan(store: Store, batch_of: Any) -> None:
    store.append(batch_of(events=[event("completions", rows=[{"reward": math.nan, "best": math.inf}])]))
    (row,) = store.events("run")[0].data["rows"]
    assert math.isnan(row["reward"])
    assert row["best"] == math.inf


def test_characters_that_databases_cannot_hold_do_not_stop_a_run(store: Store, batch_of: Any, points_of: Any) -> None:
    start = {"project": "p\x00", "name": "n\ud800", "config": {"a": "\x00"}, "info": {}, "time_s": 0.0}
    store.append(batch_of({"loss\x00": points_of([1.0])}, start=start))
    assert store.run("run").name == "n?"
    assert store.read("run", "loss\N{REPLACEMENT CHARACTER}").values.tolist() == [1.0]


def test_set_run_changes_fields_and_raises_the_revision_only_for_a_difference(store: Store, batch_of: Any) -> None:
    store.append(batch_of())
    before = store.run("run").revision
    store.set_run("run", status="hung", health="critical", rules=[{"rule": "loss_spike", "state": "firing"}], alerts=2)
    run = store.run("run")
    assert (run.status, run.health, run.alerts, run.revision) == ("hung", "critical", 2, before + 1)
    assert run.rules == [{"rule": "loss_spike", "state": "firing"}]
    store.set_run("run", status="hung", rules=[{"rule": "loss_spike", "state": "firing"}])
    assert store.run("run").revision == before + 1
    with pytest.raises(StoreError, match="colour"):
        store.set_run("run", colour=3)
    with pytest.raises(UnknownRun):
        store.set_run("absent", status="hung")


def test_runs_are_listed_newest_first_with_their_newest_values(store: Store, batch_of: Any, points_of: Any) -> None:
    for number in range(3):
        start = {"project": "p", "name": f"n{number}", "config": {}, "info": {}, "time_s": float(number)}
        store.append(batch_of({"loss": points_of([1.0, float(number)])}, run_id=f"run{number}", start=start))
    found = store.runs(latest=["loss"])
    assert [(run.name, run.latest["loss"].value) for run in found] == [("n2", 2.0), ("n1", 1.0), ("n0", 0.0)]
    assert [run.id for run in store.runs(ids=["run1", "absent"])] == ["run1"]


def test_a_deleted_run_leaves_nothing_and_the_others_everything(store: Store, batch_of: Any, points_of: Any) -> None:
    for run_id in ("run", "other"):
        store.append(batch_of({"loss": points_of([1.0] * 5000)}, run_id=run_id))
        store.add_note(run_id, "a note", None, 1.0)
    store.delete_run("run")
    assert [run.id for run in store.runs()] == ["other"]
    assert (store.writers("run"), store.events("run"), store.notes("run")) == ([], [], [])
    assert store.read("other", "loss").values.size == 5000
    assert store.describe()["points"] == 5000
    for call in (store.delete_run, store.keys, store.run):
        with pytest.raises(UnknownRun):
            call("run")


def test_notes_are_kept_in_order(store: Store, batch_of: Any) -> None:
    store.append(batch_of())
    before = store.run("run").revision
    store.add_note("run", "<b>not markup</b>", 5, 10.0)
    store.add_note("run", "second", None, 11.0)
    assert [(note.text, note.step, note.time_s) for note in store.notes("run")] == [
        ("<b>not markup</b>", 5, 10.0),
        ("second", None, 11.0),
    ]
    assert store.run("run").revision == before + 2
    with pytest.raises(UnknownRun):
        store.add_note("absent", "text", None, 1.0)


def test_ten_thousand_keys_in_one_batch_come_back(sqlite_store: Store, batch_of: Any, points_of: Any) -> None:
    sqlite_store.append(batch_of({f"key/{number}": points_of([float(number)]) for number in range(10_000)}))
    found = sqlite_store.keys("run")
    assert len(found) == 10_000
    assert found["key/9999"].value == 9999.0


def test_names_and_some_of_the_keys_are_read_alone(store: Store, batch_of: Any, points_of: Any) -> None:
    store.append(batch_of({key: points_of([1.0, 2.0]) for key in ("b", "a", "c")}))
    assert store.names("run") == ["a", "b", "c"]
    assert list(store.keys("run", only=["c", "gone", "a"])) == ["a", "c"]
    assert store.keys("run", only=["c"])["c"] == store.keys("run")["c"]
    assert store.keys("run", only=[]) == {}
    with pytest.raises(UnknownRun):
        store.names("absent")
