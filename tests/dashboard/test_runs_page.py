"""The Runs page and the app around it, as Streamlit runs them."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from runvitals.dashboard.data import overview
from runvitals.dashboard.query import parse
from runvitals.dashboard.run_rows import Asked, answering, latest_keys, table
from runvitals.settings import Settings
from runvitals.store import Store
from runvitals.store.types import Latest

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "![](http://tracker.example/x.png)",
    "$x^2$",
    ":material/skull: :red[**bold**]",
)


def components(app: AppTest) -> dict[str, dict[str, Any]]:
    """What each of our components was given, by name."""
    assert not app.exception
    found = [element.proto for element in app.main if element.type == "bidi_component"]
    return {proto.component_name: json.loads(proto.json) for proto in _flat(app, found)}


def _flat(app: AppTest, found: list[Any]) -> list[Any]:
    """The components, wherever in the page they stand."""
    return found or [element.proto for element in app.get("bidi_component")]


def drawn(app: AppTest) -> dict[str, Any]:
    """What a browser that knows nothing is given: the parts, `rows` in their order, and `group_of` each by its name."""
    if "runvitals.sent.runs" in app.session_state:
        del app.session_state["runvitals.sent.runs"]
    data = components(app.run())["runvitals.runs"]
    assert data["base"] is None
    rows = {row["id"]: row for row in data["rows"]}
    groups = {run_id: group["key"] for group in data["parts"]["groups"] for run_id in group["ids"]}
    ordered = [rows[run_id] for run_id in groups]
    return {**data["parts"], "rows": ordered, "group_of": {row["name"]: groups[row["id"]] for row in ordered}}


def names(app: AppTest) -> set[str]:
    """The names in the table."""
    return {row["name"] for row in drawn(app)["rows"]}


def test_all_runs_are_there_worst_first_in_three_groups(app: AppTest, watched: Store) -> None:
    body = drawn(app)
    assert body["head"]["total"] == body["head"]["found"] == 12
    assert [(group["key"], group["count"]) for group in body["groups"]] == [
        ("attention", 7),
        ("running", 3),
        ("ended", 2),
    ]
    assert body["rows"][0]["health"] == "critical"
    by_name = {row["name"]: row for row in body["rows"]}
    assert by_name["dpo-7b-b05"]["step"] in (None, 0)
    assert by_name["dpo-7b-uf-b01"]["margin_now"] == pytest.approx(0.009)
    assert by_name["dpo-7b-uf-b01"]["margin_of"] == "held-out pairs"
    assert by_name["sft-7b-base"]["margin_now"] is None


def test_the_query_in_the_address_filters_and_names_bad_terms(app: AppTest, watched: Store) -> None:
    app.query_params["q"] = "trainer:ppo foo:bar"
    body = drawn(app)
    assert {row["name"] for row in body["rows"]} == {"ppo-7b-helpful-kl0", "ppo-7b-helpful-kl01"}
    assert [trouble["term"] for trouble in body["head"]["troubles"]] == ["foo:bar"]


def test_a_query_may_ask_for_alerts_and_signals(app: AppTest, watched: Store) -> None:
    app.query_params["q"] = "alert:margin_stagnant or margin<-1 or config.beta=0.05"
    assert names(app) == {"dpo-7b-uf-b01", "ppo-7b-helpful-kl0", "grpo-math-b005"}


def test_what_is_muted_needs_nobodys_attention(app: AppTest, watched: Store) -> None:
    firing = watched.alerts(states=("firing",))
    sick = next(run for run in watched.runs() if run.alerts and run.status == "running")
    app.query_params["q"] = "needs:attention alerts>0"
    before = names(app)
    for alert in firing:
        if alert.run_id == sick.id:
            watched.mute(alert.id, time.time() + 3600, time.time())
    after = names(app)
    assert before - after == {sick.name}
    app.query_params["q"] = f"id:{sick.id} alerts=0"
    body = drawn(app)
    (row,) = body["rows"]
    assert (body["group_of"][sick.name], row["alerts"]) == ("running", 0)
    assert row["muted"] and row["health"] == sick.health


def test_a_trainer_without_a_whole_loss_shows_its_policy_loss(watched: Store) -> None:
    run = watched.runs()[0]
    points = Latest(step=1, time_s=1.0, value=0.1, best_min=0.1, best_max=0.1, count=1, nonfinite=0)
    of_policy = replace(run, latest={"loss/policy_avg": points})
    of_both = replace(run, latest={"loss/policy_avg": points, "loss": points})
    asked = parse("", signals=())
    assert {"loss", "loss/policy_avg"} <= set(latest_keys(()))
    for given, title in ((of_policy, "Policy loss"), (of_both, "Loss")):
        overview().rows.clear()
        found = answering([given], [], query=asked, watched=True, now_s=1.0)
        (row,) = table(watched, found, Asked(query=asked)).rows.values()
        assert row["loss_of"] == title


def test_without_runs_the_page_says_how_to_start_one(app: AppTest, store: Store, sample: ModuleType) -> None:
    sample.beat(store, now_s=time.time())
    body = components(app.run())["runvitals.empty"]["body"]
    assert [(check["name"], check["state"]) for check in body["checks"]] == [
        ("Store", "healthy"),
        ("Disk", "healthy"),
        ("Watcher", "healthy"),
        ("Rules file", "healthy"),
        ("Journal", "unknown"),
        ("Notifications", "unknown"),
    ]


def test_without_runs_a_faulty_rules_file_and_a_full_disk_are_told_of(
    app: AppTest, store: Store, sample: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample.beat(store, now_s=time.time())
    Settings.from_environment().rules.write_text("[rules.loss_spike]\nhold = 0\n")
    monkeypatch.setattr("runvitals.dashboard.checks.LITTLE_SPACE_BYTES", 1 << 62)
    body = components(app.run())["runvitals.empty"]["body"]
    told = {check["name"]: (check["state"], check["text"]) for check in body["checks"]}
    assert told["Rules file"][0] == told["Disk"][0] == "warning"
    assert "runvitals.toml:2: rules.loss_spike.hold" in told["Rules file"][1]
    assert "RUNVITALS_HOME" in told["Disk"][1]


def test_while_nobody_watches_live_runs_are_unknown_and_the_page_says_so(
    app: AppTest, store: Store, sample: ModuleType
) -> None:
    now_s = time.time()
    sample.fill(store, now_s=now_s)
    sample.beat(store, now_s=now_s - 120)
    data = components(app.run())["runvitals.runs"]
    assert data["notices"][0]["title"] == "Watcher silent for 2 min"
    live = [row["health"] for row in data["rows"] if row["status"] in ("running", "stalled", "starting")]
    assert set(live) == {"unknown"}


def test_a_foreign_store_shows_a_line_and_no_traceback(
    app: AppTest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "other.db"
    other.write_text("no database " * 500)
    monkeypatch.setenv("RUNVITALS_STORE", f"sqlite:///{other}")
    data = components(app.run())["runvitals.runs"]
    assert data["notices"][0]["title"] == "Not a runvitals store"
    assert "other.db" in data["notices"][0]["text"]
    assert "parts" not in data


def test_hostile_names_travel_as_text_only(app: AppTest, store: Store, sample: ModuleType) -> None:
    now_s = time.time()
    hostile = tuple(
        sample.Sample(name=name, trainer="dpo", kind="clean", step=30, max_steps=60, age_s=1, finding=name)
        for name in HOSTILE
    )
    sample.fill(store, now_s=now_s, samples=hostile)
    sample.beat(store, now_s=now_s)
    app.run()
    assert {row["name"] for row in components(app)["runvitals.runs"]["rows"]} == set(HOSTILE)
    # Nothing of a run is given to an element of Streamlit's own, which would read it as Markdown.
    own = [
        element for element in app.main if element.type in ("markdown", "html", "title", "header", "text", "caption")
    ]
    assert own == []


def test_the_navigation_tells_how_many_incidents_are_open(app: AppTest, watched: Store) -> None:
    from runvitals.dashboard import head

    app.run()
    seen = head.look(now_s=time.time())
    assert head.page_title(seen) == "◆ 6 · runvitals"
    assert head.alerts_label(seen) == "Alerts ◆ 6"


def test_an_unchanged_body_is_not_sent_twice() -> None:
    def script() -> None:
        import streamlit as st

        from runvitals.dashboard import live

        sent = [live.changed("slot", {"rows": rows}) for rows in ([1], [1], [1, 2])]
        live.forget("slot")
        sent.append(live.changed("slot", {"rows": [1, 2]}))
        st.session_state["whole"] = ["body" in message for message in sent]
        st.session_state["digests"] = [message["digest"] for message in sent]

    app = AppTest.from_function(script).run()
    assert app.session_state["whole"] == [True, False, True, True]
    first, second, third, fourth = app.session_state["digests"]
    assert first == second != third == fourth
