"""A mute covers what it names until its end, and what it covers is told wherever alerts are read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from runvitals.errors import StoreError
from runvitals.store import Store
from runvitals.store.types import AlertRow, Mute

SPIKE = AlertRow(
    id="one:loss_spike",
    run_id="one",
    rule="loss_spike",
    signal="loss",
    severity="warning",
    state="firing",
    incident="one:loss_spike",
    onset_step=1,
    onset_s=10.0,
    fired_step=1,
    fired_s=10.0,
    resolved_step=None,
    resolved_s=None,
    detail={},
)
ALERTS = (
    SPIKE,
    replace(SPIKE, id="one:kl", rule="kl_blowup", incident="one:kl"),
    replace(SPIKE, id="two:loss_spike", run_id="two", incident="two:loss_spike"),
)


@pytest.fixture
def watched(store: Store, batch_of: Any) -> Store:
    """Run one in project a, run two in project b."""
    for run_id, project in (("one", "a"), ("two", "b")):
        start = {"project": project, "name": run_id, "config": {}, "info": {}, "time_s": 1.0}
        store.append(batch_of(run_id=run_id, start=start))
    store.put_alerts(ALERTS)
    return store


def muted(store: Store) -> dict[str, float]:
    return {alert.id: alert.muted_until_s for alert in store.alerts() if alert.muted_until_s is not None}


@pytest.mark.parametrize(
    ("named", "covered"),
    [
        ({"alert_id": "one:kl"}, {"one:kl"}),
        ({"run_id": "one"}, {"one:loss_spike", "one:kl"}),
        ({"rule": "loss_spike"}, {"one:loss_spike", "two:loss_spike"}),
        ({"project": "a"}, {"one:loss_spike", "one:kl"}),
        ({"rule": "loss_spike", "project": "b"}, {"two:loss_spike"}),
        ({"rule": "loss_spike", "run_id": "one"}, {"one:loss_spike"}),
        ({"rule": "nothing"}, set()),
    ],
)
def test_a_mute_covers_what_matches_all_that_it_names(watched: Store, named: dict[str, str], covered: set[str]) -> None:
    before = watched.revisions()
    watched.add_mute(Mute(**named, since_s=20.0, until_s=99.0, who="ada", note="known"))
    assert muted(watched) == dict.fromkeys(covered, 99.0)
    touched = {run_id for run_id, revision in watched.revisions().items() if revision != before[run_id]}
    assert touched == {alert.run_id for alert in ALERTS if alert.id in covered}


def test_the_latest_end_counts_and_an_ended_mute_does_not(watched: Store) -> None:
    short = watched.add_mute(Mute(run_id="one", since_s=20.0, until_s=50.0))
    long = watched.add_mute(Mute(rule="kl_blowup", since_s=21.0, until_s=90.0))
    assert muted(watched) == {"one:loss_spike": 50.0, "one:kl": 90.0}
    before = watched.revisions()
    watched.end_mute(long, "ada", 30.0)
    watched.end_mute(long, "bob", 31.0)
    assert muted(watched) == {"one:loss_spike": 50.0, "one:kl": 50.0}
    assert {key: value - before[key] for key, value in watched.revisions().items()} == {"one": 1, "two": 0}
    ended, standing = watched.mutes()
    assert (ended.id, ended.ended_s, ended.ended_by) == (long, 30.0, "ada")
    assert (standing.id, standing.ended_s) == (short, None)


def test_unmuting_one_alert_leaves_the_mute_of_its_run(watched: Store) -> None:
    watched.add_mute(Mute(run_id="one", since_s=20.0, until_s=50.0))
    watched.mute("one:kl", 70.0, 21.0)
    assert muted(watched)["one:kl"] == 70.0
    watched.mute("one:kl", None, 22.0)
    assert muted(watched)["one:kl"] == 50.0


def test_what_the_engine_says_changes_no_mute(watched: Store) -> None:
    watched.mute("one:kl", 70.0, 21.0)
    watched.put_alerts([replace(ALERTS[1], state="resolved", resolved_s=30.0)])
    assert muted(watched) == {"one:kl": 70.0}


@pytest.mark.parametrize(
    "mute",
    [
        Mute(since_s=1.0, until_s=2.0),
        Mute(rule="x", since_s=2.0, until_s=2.0),
        Mute(rule="x", since_s=2.0, until_s=float("nan")),
        Mute(rule="x", since_s=2.0, until_s=float("inf")),
        Mute(rule="x", since_s=float("nan"), until_s=2.0),
        Mute(rule="x", since_s=float("-inf"), until_s=2.0),
        Mute(alert_id="absent", since_s=1.0, until_s=2.0),
    ],
)
def test_a_mute_of_nothing_or_without_an_end_is_refused(watched: Store, mute: Mute) -> None:
    with pytest.raises(StoreError):
        watched.add_mute(mute)
    assert watched.mutes() == []
    with pytest.raises(StoreError, match="no such mute"):
        watched.end_mute(7, "", 1.0)


def test_a_deleted_run_takes_its_mutes_along_and_no_other(watched: Store) -> None:
    for named in ({"run_id": "one"}, {"alert_id": "one:kl"}, {"rule": "loss_spike"}, {"run_id": "two"}):
        watched.add_mute(Mute(**named, since_s=1.0, until_s=2.0))
    watched.delete_run("one")
    assert [(mute.run_id, mute.rule) for mute in watched.mutes()] == [("two", None), (None, "loss_spike")]
    assert watched.examine_rest() == []
    assert watched.tidy(now_s=1e9) == []


def test_answers_are_counted_per_rule(watched: Store) -> None:
    watched.feedback("one:loss_spike", "right", 1.0)
    watched.feedback("two:loss_spike", "wrong", 2.0)
    watched.feedback("one:kl", "right", 3.0)
    watched.feedback("one:kl", "", 4.0)
    assert watched.answers() == {"loss_spike": {"right": 1, "wrong": 1}}


def test_who_acknowledged_is_kept_and_taken_back(watched: Store) -> None:
    watched.acknowledge("one:kl", "seen", 5.0, who="ada")
    (found,) = watched.alerts(ids=["one:kl"])
    assert (found.acknowledged_s, found.acknowledged_note, found.acknowledged_by) == (5.0, "seen", "ada")
    watched.unacknowledge("one:kl", 6.0)
    (found,) = watched.alerts(ids=["one:kl"])
    assert (found.acknowledged_s, found.acknowledged_note, found.acknowledged_by) == (None, "", "")
