"""Nothing that a training process writes of itself, and no text at all, stops the store or changes a run that it should not."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from runvitals.errors import OverlappingBatch
from runvitals.store import Store
from runvitals.store.types import AlertRow, EventRow, WatcherInfo

NUL = "a\x00b"
NUL_KEPT = "a\N{REPLACEMENT CHARACTER}b"


def event(name: str, seq: int = 1, **data: Any) -> EventRow:
    return EventRow(run_id="run", writer_id="writer", seq=seq, time_s=2000.0 + seq, step=None, kind=name, data=data)


def start_of(time_s: float = 3000.0, *, rank: int = 0, **changes: Any) -> dict[str, Any]:
    start = {"project": "demo", "name": "run", "config": {"lr": 2e-4, "new": 1}, "info": {"pid": 8, "rank": rank}}
    return {**start, "time_s": time_s, "resumed": False, **changes}


def alert(name: str, **changes: Any) -> AlertRow:
    row = AlertRow(
        id=name,
        run_id="run",
        rule="loss_spike",
        signal="loss",
        severity="warning",
        state="firing",
        incident=name,
        onset_step=1,
        onset_s=1.0,
        fired_step=1,
        fired_s=1.0,
        resolved_step=None,
        resolved_s=None,
        detail={},
    )
    return replace(row, **changes)


@pytest.mark.parametrize("told", ["many", math.inf, math.nan, 10**30, 2**63, 0, -5, True, None, [5], {"a": 1}])
def test_a_number_of_steps_that_is_none_is_ignored(store: Store, batch_of: Any, told: Any) -> None:
    store.append(batch_of(events=[event("trainer", kind="dpo", max_steps=told)]))
    assert (store.run("run").trainer, store.run("run").max_steps) == ("dpo", None)


def test_the_largest_number_of_steps_is_kept(store: Store, batch_of: Any) -> None:
    store.append(batch_of(events=[event("trainer", kind=["dpo"], max_steps=2**63 - 1)]))
    assert (store.run("run").trainer, store.run("run").max_steps) == ("custom", 2**63 - 1)


def test_a_start_of_wrong_types_still_makes_a_run(store: Store, batch_of: Any) -> None:
    start = {"project": 5, "name": ["n"], "config": [1], "info": "x", "time_s": "now"}
    store.append(batch_of(start=start, beat_s=1234.0))
    run = store.run("run")
    assert (run.project, run.name, run.config, run.info, run.created_s) == ("", "run", {}, {}, 1234.0)


def test_an_event_of_wrong_types_changes_no_more_than_it_says(store: Store, batch_of: Any) -> None:
    odd = replace(event("config"), data=[1], step=10**30)  # type: ignore[arg-type]
    store.append(batch_of(last_seq=2, events=[odd, event("finish", seq=2, status=["x"])], phase=["x"]))
    run = store.run("run")
    assert (run.config, run.status, run.phase, run.ended_s) == ({"lr": 1e-4}, "stopped", "init", 2002.0)
    assert store.events("run")[0].step is None


def test_every_text_is_kept_without_what_databases_cannot_hold(store: Store, batch_of: Any, points_of: Any) -> None:
    events = [event("trainer", kind=NUL), event("config", seq=2, a=NUL), replace(event("eval", seq=3), kind=NUL)]
    store.append(batch_of({"loss\x00": points_of([1.0])}, writer_id=NUL, events=events, phase=NUL))
    store.set_run("run", finding="t\x00x\ud800")
    store.put_alerts([alert(NUL, rule=NUL, signal="\ud800", detail={"title": NUL})])
    store.acknowledge(NUL, NUL, 2.0)
    store.feedback(NUL, NUL, 3.0)
    store.add_note("run", NUL, None, 4.0)
    store.mark_told("somebody", [(NUL, NUL)], 5.0)
    store.watcher_beat(
        WatcherInfo(id=NUL, host=NUL, pid=1, started_s=0.0, pass_s=0.0, behind_bytes=0, rules=0, message=NUL)
    )
    run, (row,) = store.run("run"), store.alerts()
    assert (run.trainer, run.finding, run.phase) == (NUL_KEPT, "t\N{REPLACEMENT CHARACTER}x?", NUL_KEPT)
    assert (row.id, row.rule, row.signal, row.feedback) == (NUL_KEPT, NUL_KEPT, "?", NUL_KEPT)
    assert row.acknowledged_note == NUL_KEPT
    assert store.notes("run")[0].text == NUL_KEPT
    assert [one.kind for one in store.events("run")] == ["trainer", "config", NUL_KEPT]
    assert store.told("run", "somebody") == {(NUL_KEPT, NUL_KEPT): 5.0}
    assert store.watchers()[0].message == NUL_KEPT


def test_an_unclean_text_said_again_changes_nothing(store: Store, batch_of: Any) -> None:
    store.append(batch_of())
    for _ in range(2):
        store.set_run("run", finding=NUL)
        store.put_alerts([alert(NUL, rule=NUL)])
        seen = store.run("run").revision
    store.set_run("run", finding=NUL)
    store.put_alerts([alert(NUL, rule=NUL)])
    assert store.run("run").revision == seen


def test_more_alerts_than_a_statement_takes_parameters_are_put_and_found(sqlite_store: Store, batch_of: Any) -> None:
    sqlite_store.append(batch_of())
    rows = [alert(f"a{number}") for number in range(33_000)]
    sqlite_store.put_alerts(rows)
    assert len(sqlite_store.alerts(ids=[row.id for row in rows])) == 33_000


def test_alerts_are_found_by_ids_and_by_runs(store: Store, batch_of: Any) -> None:
    for run_id in ("run", "other"):
        store.append(batch_of(run_id=run_id))
    store.put_alerts([alert("a"), alert("b", state="resolved"), alert("c", run_id="other")])
    assert {row.id for row in store.alerts(ids=["a", "c", "absent"])} == {"a", "c"}
    assert store.alerts(ids=[]) == []
    assert [row.id for row in store.alerts(ids=["a", "b"], states=["resolved"])] == ["b"]
    assert [row.id for row in store.alerts(ids=["a", "c"], run_id="other")] == ["c"]
    assert {row.id for row in store.alerts(run_ids=["run"])} == {"a", "b"}


def test_an_overlapping_batch_says_up_to_where_it_is_stored(store: Store, batch_of: Any, points_of: Any) -> None:
    store.append(batch_of({"loss": points_of([1.0, 2.0])}))
    with pytest.raises(OverlappingBatch, match="after 2") as raised:
        store.append(batch_of({"loss": points_of([2.0, 3.0])}, first_seq=2))
    assert raised.value.last_seq == 2


@pytest.mark.parametrize("resumed", [True, False])
def test_a_new_process_of_an_ended_run_carries_it_on(store: Store, batch_of: Any, resumed: bool) -> None:
    store.append(batch_of(events=[event("finish", status="stopped")]))
    store.append(batch_of(writer_id="second", start=start_of(resumed=resumed)))
    run = store.run("run")
    assert (run.status, run.phase, run.ended_s) == ("starting", "init", None)
    assert (run.config, run.info["pid"]) == ({"lr": 2e-4, "new": 1}, 8)
    # Its journal's next file begins with the same start, which is no further process.
    store.append(batch_of(writer_id="second", first_seq=2, events=[event("finish", 2)], start=start_of(resumed=True)))
    assert store.run("run").status == "finished"


@pytest.mark.parametrize("ended", [True, False])
@pytest.mark.parametrize("resumed", [True, False])
def test_another_rank_joining_resets_nothing(store: Store, batch_of: Any, resumed: bool, ended: bool) -> None:
    store.append(batch_of(events=[event("finish", status="crashed")] if ended else []))
    before = store.run("run")
    for number in range(2):  # the second is the same rank of a resume; the first rank alone speaks for the run
        start = start_of(1000.1 + number, rank=1, resumed=resumed)
        store.append(batch_of(writer_id=f"rank1-{number}", start=start))
    assert replace(store.run("run"), revision=before.revision) == before


def test_an_earlier_process_found_late_resets_nothing(store: Store, batch_of: Any) -> None:
    store.append(batch_of(events=[event("finish")], start=start_of(1000.0)))
    store.append(batch_of(writer_id="earlier", start=start_of(500.0, config={"lr": 9})))
    assert store.run("run").status == "finished"
    assert store.run("run").config["lr"] == 2e-4


def test_the_cursor_of_a_drawing_goes_on_where_the_drawing_ends(store: Store, batch_of: Any, points_of: Any) -> None:
    store.append(batch_of({"loss": points_of([1.0, 2.0], times_s=[500.0, 501.0])}))
    drawn = store.drawn("run", ["loss", "absent"], n=10)
    assert drawn.cursor == {"loss": 2, "absent": 0}
    assert drawn.envelopes["loss"].mean.tolist() == [1.0, 2.0]
    store.append(batch_of({"loss": points_of([3.0], steps=[2], times_s=[100.0])}, first_seq=3))
    delta = store.since("run", ["loss", "absent"], drawn.cursor)
    assert not delta.reset
    assert delta.points["loss"].values.tolist() == [3.0]
    assert store.drawn("run", ["loss"], n=10, axis="tokens").cursor == {"loss": 3}


def test_a_revision_stands_for_every_change_of_a_run(store: Store, batch_of: Any) -> None:
    store.append(batch_of())
    seen = [store.revisions()]
    for change in (
        lambda: store.put_alerts([alert("a")]),
        lambda: store.acknowledge("a", "", 1.0),
        lambda: store.add_note("run", "x", None, 1.0),
        lambda: store.append(batch_of(first_seq=2)),
    ):
        change()
        seen.append(store.revisions())
    assert seen[-1] == {"run": store.run("run").revision}
    assert np.diff([one["run"] for one in seen]).min() > 0
