"""The Alerts page, as Streamlit runs it."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

from streamlit.testing.v1 import AppTest

from runvitals.dashboard.alert_cards import full, holding
from runvitals.dashboard.incidents import group
from runvitals.dashboard.query import parse
from runvitals.dashboard.run_rows import rows
from runvitals.settings import Settings
from runvitals.store import Store

PAGE = """
from runvitals.dashboard.views import alerts
alerts.page()
"""


def body_of(**query: str) -> dict[str, Any]:
    """What the page gives its component where the address holds this query."""
    app = AppTest.from_string(PAGE, default_timeout=30)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    (element,) = app.get("bidi_component")
    body: dict[str, Any] = json.loads(element.proto.json)["body"]
    return body


def test_incidents_are_counted_by_state_and_the_worst_is_shown(watched: Store) -> None:
    body = body_of()
    assert body["counts"] == {"open": 6, "acknowledged": 1, "muted": 0, "resolved": 1}
    assert body["tab"] == "open"
    assert body["shown"]["title"] == "Margin stagnant"
    assert body["shown"]["causes"][0]["likelihood"] == "likely"
    assert body["shown"]["ticked"] == [0]
    assert [member["title"] for member in body["shown"]["members"]] == [
        "Margin stagnant",
        "Accuracy at chance",
        "Loss at ln 2",
    ]


def test_a_deep_link_shows_its_alert_and_its_tab(watched: Store) -> None:
    acknowledged = next(row for row in watched.alerts() if row.acknowledged_s is not None)
    body = body_of(alert=acknowledged.id)
    assert body["tab"] == "acknowledged"
    assert body["shown"]["id"] == acknowledged.id
    assert body["shown"]["acknowledged_note"] == "known, ablation"


def test_an_alert_that_is_not_there_shows_the_worst_open_one(watched: Store) -> None:
    assert body_of(alert="nobody")["shown"]["title"] == "Margin stagnant"


def test_search_finds_by_run_rule_or_trainer(watched: Store) -> None:
    assert {card["run"] for card in body_of(q="grpo-math-nobeta")["cards"]} == {"grpo-math-nobeta"}
    assert {card["run"] for card in body_of(q="kl_blowup")["cards"]} == {"ppo-7b-helpful-kl0"}
    assert {card["trainer"] for card in body_of(q="trainer:sft")["cards"]} == {"sft"}


def test_a_search_without_an_answer_leaves_the_counts_as_they_are(watched: Store) -> None:
    body = body_of(q="nothing-is-called-so")
    assert body["cards"] == []
    assert body["counts"] == body_of()["counts"]
    assert body["alerts"] == body_of()["alerts"]


def test_every_page_counts_open_alerts_alike(watched: Store) -> None:
    now_s = time.time()
    before = body_of()["alerts"]
    shown = body_of()["shown"]
    watched.mute(shown["id"], now_s + 3600, now_s)
    body = body_of()
    firing = watched.alerts(states=("firing",))
    table = rows(watched, watched.runs(), firing, query=parse("", signals=()), watched=True, now_s=now_s)
    assert body["counts"]["muted"] == 1
    assert body["alerts"] < before
    assert body["alerts"] == sum(row["alerts"] for row in table)
    assert sum(row["muted"] for row in table) == 1
    (card,) = [card for card in body["cards"] if card["incident_state"] == "muted"]
    assert card["muted_until_s"] == now_s + 3600


def test_that_a_norm_is_above_0_is_said_only_where_it_is_not(watched: Store) -> None:
    alert = watched.alerts()[0]
    given = [{"label": "gradient norm", "value": value, "unit": "", "expected": "above 0"} for value in (0.4, 0.0)]
    told = replace(alert, fired_s=1.0, detail={**alert.detail, "evidence": {"numbers": given}})
    shown = full(told, group([told], now_s=0.0)[0], None)
    assert [number["expected"] for number in shown["evidence"]["numbers"]] == ["", "above 0"]


def test_evidence_about_nan_keeps_its_numbers(watched: Store) -> None:
    incidents = group(watched.alerts(), now_s=0.0)
    run = next(run for run in watched.runs() if run.name == "sft-7b-filtered")
    found = holding(incidents, f"{run.id}-masked_nan-1")
    assert found is not None
    shown = full(*found, run)
    assert "NaN" in [number["value"] for number in shown["evidence"]["numbers"]]
    (curve,) = shown["evidence"]["curves"]
    assert curve["values"].count("NaN") == 60
    assert curve["title"] == "Loss"
    json.dumps(shown, allow_nan=False)


def test_hold_and_clear_are_the_users_where_the_rules_file_has_others(watched: Store) -> None:
    (alert,) = [row for row in watched.alerts() if row.rule == "kl_blowup"]
    usual = body_of(alert=alert.id)["shown"]
    assert usual["usual"] is None
    file = Settings.from_environment().rules
    file.write_text("[rules.kl_blowup]\nhold = 7\n[projects.sample.rules.kl_blowup]\nclear = 33\n")
    shown = body_of(alert=alert.id)["shown"]
    assert (shown["hold"], shown["clear"]) == (7, 33)
    assert shown["usual"] == [usual["hold"], usual["clear"]]


def test_a_rules_file_that_is_no_toml_leaves_the_page_as_it_is(watched: Store) -> None:
    Settings.from_environment().rules.write_text("[rules")
    assert body_of()["shown"]["hold"] is not None


def test_an_alert_may_outlive_its_run_and_its_title(watched: Store) -> None:
    incidents = group(watched.alerts(), now_s=0.0)
    alert, incident = incidents[0].root, incidents[0]
    assert full(alert, incident, None)["run"] == alert.run_id


def test_what_people_say_is_kept_in_the_store(watched: Store) -> None:
    app = AppTest.from_string(PAGE, default_timeout=30).run()
    (alert,) = [row for row in watched.alerts() if row.rule == "kl_blowup"]
    from runvitals.dashboard.views import alerts

    for event, change in (
        ("acknowledge", {"id": alert.id, "note": "stopping it"}),
        ("feedback", {"id": alert.id, "answer": "real"}),
        ("tick", {"id": alert.id, "remedy": 0, "on": True}),
        ("mute", {"id": alert.id, "for_s": 3600}),
    ):
        alerts.store_change(event, change, now_s=1000.0)
    (kept,) = [row for row in watched.alerts() if row.id == alert.id]
    assert kept.acknowledged_note == "stopping it"
    assert kept.feedback == "real"
    assert list(kept.ticked) == [0]
    assert kept.muted_until_s == 4600.0
    assert not app.exception
