"""The engine's columns follow the engine, people's columns follow people."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from runvitals.errors import StoreError
from runvitals.store import Store
from runvitals.store.types import AlertRow, WatcherInfo

FIRING = AlertRow(
    id="run:loss_spike:loss:1",
    run_id="run",
    rule="loss_spike",
    signal="loss",
    severity="warning",
    state="firing",
    incident="run:loss_spike:loss:1",
    onset_step=90,
    onset_s=90.0,
    fired_step=100,
    fired_s=100.0,
    resolved_step=None,
    resolved_s=None,
    detail={"title": "Loss spike", "evidence": {"value": math.nan}},
)
RESOLVED = replace(FIRING, state="resolved", resolved_step=140, resolved_s=140.0)


@pytest.fixture
def run_store(store: Store, batch_of: Any) -> Store:
    store.append(batch_of())
    return store


def test_an_alert_comes_back_with_its_evidence(run_store: Store) -> None:
    run_store.put_alerts([FIRING])
    (found,) = run_store.alerts()
    assert math.isnan(found.detail["evidence"]["value"])
    entry = {"time_s": 100.0, "step": 100, "kind": "firing", "text": "firing, warning", "who": ""}
    assert found.history == [entry]
    assert replace(found, detail=FIRING.detail, history=()) == replace(FIRING, ticked=[])


def test_saying_the_same_again_changes_nothing(run_store: Store) -> None:
    run_store.put_alerts([FIRING])
    before = run_store.run("run").revision
    run_store.put_alerts([FIRING])
    assert run_store.run("run").revision == before
    assert len(run_store.alerts()[0].history) == 1


def test_what_people_did_outlives_what_the_engine_says(run_store: Store) -> None:
    run_store.put_alerts([FIRING])
    run_store.acknowledge(FIRING.id, "seen it", 110.0)
    run_store.mute(FIRING.id, 500.0, 111.0)
    run_store.feedback(FIRING.id, "helpful", 112.0)
    run_store.tick(FIRING.id, 2, True, 113.0)
    run_store.tick(FIRING.id, 0, True, 114.0)
    run_store.tick(FIRING.id, 2, False, 115.0)
    run_store.put_alerts([RESOLVED])
    (found,) = run_store.alerts()
    assert (found.state, found.resolved_step) == ("resolved", 140)
    assert (found.acknowledged_s, found.acknowledged_note, found.muted_until_s) == (110.0, "seen it", 500.0)
    assert (found.feedback, list(found.ticked)) == ("helpful", [0])
    assert [entry["text"] for entry in found.history] == [
        "firing, warning",
        "acknowledged: seen it",
        "feedback: helpful",
        "remedy 3 tried",
        "remedy 1 tried",
        "remedy 3 not tried",
        "resolved, warning",
    ]


def test_an_acknowledgement_and_a_mute_can_be_taken_back(run_store: Store) -> None:
    run_store.put_alerts([FIRING])
    run_store.acknowledge(FIRING.id, "", 110.0)
    run_store.mute(FIRING.id, 500.0, 111.0)
    run_store.unacknowledge(FIRING.id, 112.0)
    run_store.mute(FIRING.id, None, 113.0)
    (found,) = run_store.alerts()
    assert (found.acknowledged_s, found.muted_until_s) == (None, None)
    assert [entry["text"] for entry in found.history][-2:] == ["acknowledged", "acknowledgement withdrawn"]


def test_history_says_what_happened_at_which_step_and_who_did_what(run_store: Store) -> None:
    run_store.put_alerts([FIRING])
    evidence = {"window": [90, 120]}
    run_store.put_alerts([replace(FIRING, severity="critical", detail={**FIRING.detail, "evidence": evidence})])
    run_store.acknowledge(FIRING.id, "seen", 130.0, "Ann")
    run_store.feedback(FIRING.id, "real", 131.0, "Bo")
    run_store.put_alerts([replace(RESOLVED, severity="critical")])
    told = [(entry["kind"], entry["step"], entry["who"]) for entry in run_store.alerts()[0].history]
    assert told == [
        ("firing", 100, ""),
        ("severity", 120, ""),
        ("acknowledged", None, "Ann"),
        ("feedback", None, "Bo"),
        ("resolved", 140, ""),
    ]


def test_a_rising_severity_is_history(run_store: Store) -> None:
    run_store.put_alerts([FIRING])
    run_store.put_alerts([replace(FIRING, severity="critical")])
    assert [entry["text"] for entry in run_store.alerts()[0].history] == ["firing, warning", "firing, critical"]


def test_an_alert_that_came_and_went_between_two_looks_has_fired_all_the_same(run_store: Store) -> None:
    run_store.put_alerts([RESOLVED])
    (found,) = run_store.alerts()
    assert [(entry["text"], entry["step"], entry["time_s"]) for entry in found.history] == [
        ("firing, warning", 100, 100.0),
        ("resolved, warning", 140, 140.0),
    ]


def test_alerts_are_listed_by_run_and_state_newest_first(run_store: Store, batch_of: Any) -> None:
    run_store.append(batch_of(run_id="other"))
    other = replace(FIRING, id="other:1", run_id="other", onset_s=95.0)
    run_store.put_alerts([FIRING, other, replace(RESOLVED, id="run:2", onset_s=80.0)])
    assert [alert.id for alert in run_store.alerts()] == ["other:1", FIRING.id, "run:2"]
    assert [alert.id for alert in run_store.alerts(run_id="run")] == [FIRING.id, "run:2"]
    assert [alert.id for alert in run_store.alerts(states=["resolved"])] == ["run:2"]


def test_every_change_of_an_alert_raises_its_run_s_revision(run_store: Store) -> None:
    seen = [run_store.run("run").revision]
    for change in (
        lambda: run_store.put_alerts([FIRING]),
        lambda: run_store.acknowledge(FIRING.id, "", 1.0),
        lambda: run_store.tick(FIRING.id, 0, True, 2.0),
        lambda: run_store.put_alerts([RESOLVED]),
    ):
        change()
        seen.append(run_store.run("run").revision)
    assert seen == sorted(set(seen))


def test_an_unknown_alert_is_refused(run_store: Store) -> None:
    with pytest.raises(StoreError, match="no such alert"):
        run_store.acknowledge("absent", "", 1.0)
    with pytest.raises(StoreError, match="no such alert"):
        run_store.tick("absent", 0, True, 1.0)


def test_a_receiver_is_told_once_and_its_address_is_not_kept(run_store: Store, store_url: str) -> None:
    address = "slack://TokenA/TokenB"
    run_store.put_alerts([FIRING])
    assert run_store.told("run", address) == {}
    run_store.mark_told(address, [(FIRING.id, "firing"), (FIRING.id, "resolved")], 7.0)
    run_store.mark_told(address, [(FIRING.id, "firing")], 9.0)
    assert run_store.told("run", address) == {(FIRING.id, "firing"): 9.0, (FIRING.id, "resolved"): 7.0}
    assert run_store.told("another run", address) == {}
    assert run_store.told("run", "another") == {}


def test_a_lease_is_held_by_one_owner_until_it_runs_out(run_store: Store) -> None:
    assert run_store.lease("run", "a", 10.0, 0.0)
    assert not run_store.lease("run", "b", 15.0, 5.0)
    assert run_store.lease("run", "a", 20.0, 6.0)
    assert not run_store.lease("run", "b", 25.0, 15.0)
    assert run_store.lease("run", "b", 40.0, 21.0)
    assert not run_store.lease("run", "a", 50.0, 22.0)


def test_watchers_leave_signs_of_life(run_store: Store) -> None:
    first = WatcherInfo(id="a", host="h", pid=1, started_s=0.0, pass_s=1.0, behind_bytes=0, rules=12)
    run_store.watcher_beat(first)
    run_store.watcher_beat(replace(first, id="b", pass_s=3.0, message="slow disk"))
    run_store.watcher_beat(replace(first, pass_s=2.0, behind_bytes=7, receivers=[{"kind": "slack"}]))
    assert run_store.watchers()[1].receivers == [{"kind": "slack"}]
    assert [(one.id, one.pass_s, one.behind_bytes) for one in run_store.watchers()] == [("b", 3.0, 0), ("a", 2.0, 7)]
    run_store.watcher_beat(replace(first, id="c", pass_s=200_000.0))
    assert [one.id for one in run_store.watchers()] == ["c"]
