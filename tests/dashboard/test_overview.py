"""A quiet store costs a page nothing: runs, alerts and finished rows are read again only where something changed."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from runvitals.dashboard.overview import Overview
from runvitals.dashboard.query import parse
from runvitals.dashboard.run_rows import QUERYABLE, Asked, answering, latest_keys, table
from runvitals.store import Store
from runvitals.store.types import Batch

EVERYTHING = parse("", signals=QUERYABLE)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each reading method of any store was called."""
    counted: Counter[str] = Counter()

    def counting(name: str) -> Any:
        real = getattr(Store, name)

        def call(*given: Any, **named: Any) -> Any:
            counted[name] += 1
            return real(*given, **named)

        return call

    for name in ("alerts", "runs", "envelope", "drawn"):
        monkeypatch.setattr(Store, name, counting(name))
    return counted


def rows_of(store: Store, *, alive: bool = True) -> dict[str, dict[str, Any]]:
    """The rows of all runs by id."""
    runs = store.runs(latest=latest_keys(()))
    found = answering(runs, [], query=EVERYTHING, watched=alive, now_s=time.time())
    return table(store, found, Asked(query=EVERYTHING)).rows


def start(store: Store, run_id: str, time_s: float) -> None:
    told = {"project": "p", "name": run_id, "config": {}, "info": {}, "time_s": time_s, "resumed": False}
    store.append(Batch(run_id=run_id, writer_id="w", first_seq=1, last_seq=1, position={}, start=told))


def test_the_list_of_runs_is_as_the_store_s_after_every_change(store: Store) -> None:
    seen = Overview()

    def same() -> bool:
        return seen.runs(store, latest=("loss",)) == store.runs(latest=("loss",))

    assert same()
    for number in range(3):
        start(store, f"r{number}", 100.0 + number)
        assert same()
    start(store, "older", 50.0)
    assert same()
    store.set_run("r1", finding="Loss spike", status="running")
    assert same()
    store.delete_run("r2")
    assert same()


def test_only_runs_that_changed_are_read_again(watched: Store, asked: Counter[str]) -> None:
    seen = Overview()
    before = {run.id: run for run in seen.runs(watched, latest=("loss",))}
    assert asked["runs"] == 1
    seen.runs(watched, latest=("loss",))
    assert asked["runs"] == 1
    changed = next(iter(before))
    watched.set_run(changed, finding="something else")
    after = {run.id: run for run in seen.runs(watched, latest=("loss",))}
    assert [run_id for run_id, run in after.items() if run is not before[run_id]] == [changed]


def test_firing_alerts_follow_what_engine_and_people_do(watched: Store, asked: Counter[str]) -> None:
    seen = Overview()

    def same() -> bool:
        firing = watched.alerts(states=("firing",))
        return sorted(seen.firing(watched), key=lambda alert: alert.id) == sorted(firing, key=lambda alert: alert.id)

    assert same()
    first, second = seen.firing(watched)[:2]
    watched.acknowledge(first.id, "seen", time.time())
    assert same()
    watched.delete_run(second.run_id)
    assert same()
    before = asked["alerts"]
    seen.firing(watched)
    assert asked["alerts"] == before


def test_rows_are_made_once_for_each_revision_and_health(watched: Store, asked: Counter[str]) -> None:
    def drawn_rows(*, alive: bool = True) -> dict[str, dict[str, Any]]:
        return rows_of(watched, alive=alive)

    first = drawn_rows()
    drawn = asked["envelope"]
    again = drawn_rows()
    assert asked["envelope"] == drawn
    assert all(again[run_id] is row for run_id, row in first.items())
    changed = next(iter(first))
    watched.set_run(changed, finding="something else")
    after = drawn_rows()
    assert [run_id for run_id, row in after.items() if row["mark"] != first[run_id]["mark"]] == [changed]
    unwatched = drawn_rows(alive=False)
    assert {row["health"] for row in unwatched.values() if row["status"] == "running"} == {"unknown"}


def test_a_second_look_at_a_quiet_runs_page_reads_no_run_alert_or_curve(
    app: AppTest, watched: Store, asked: Counter[str]
) -> None:
    app.run()
    assert asked["alerts"] == 1, "title, navigation and table share one reading"
    asked.clear()
    app.run()
    assert not app.exception
    assert +asked == Counter()


def test_a_small_mark_may_stand_for_a_large_body() -> None:
    def script() -> None:
        import streamlit as st

        from runvitals.dashboard import live

        sent = [live.changed("slot", {"rows": ["large"]}, standing_for=mark) for mark in ("a", "a", "b")]
        st.session_state["whole"] = ["body" in message for message in sent]

    app = AppTest.from_function(script).run()
    assert app.session_state["whole"] == [True, False, True]


def test_a_row_s_mark_is_of_its_content_alone(watched: Store) -> None:
    found = rows_of(watched).values()
    marks = {row["mark"]: json.dumps({name: value for name, value in row.items() if name != "mark"}) for row in found}
    assert len(marks) == len(set(marks.values())) == len(found)
