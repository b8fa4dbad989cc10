"""The Alerts page, as Streamlit runs it."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

from streamlit.testing.v1 import AppTest

from runvitals.dashboard.alert_cards import full, holding
from runvitals.dashboard.incidents import group
from runvitals.settings import Settings
from runvitals.store import Store
from runvitals.store.types import Mute

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
    for member in body_of()["shown"]["members"]:
        watched.mute(member["id"], now_s + 3600, now_s)
    body = body_of()
    told = AppTest.from_string(PAGE.replace("alerts", "runs"), default_timeout=30).run().get("bidi_component")[0]
    table = json.loads(told.proto.json)["rows"]
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
    file.write_text(
        'off = ["kl_blowup"]\n[rules.kl_blowup]\nhold = 7\n'
    )  # off by now; its alert fired by these numbers
    assert body_of(alert=alert.id)["shown"]["hold"] == 7


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
        ("mute", {"id": alert.id, "for_s": 3600, "who": "Ann", "note": "known"}),
    ):
        alerts.store_change(event, change, now_s=1000.0)
    (kept,) = [row for row in watched.alerts() if row.id == alert.id]
    assert kept.acknowledged_note == "stopping it"
    assert kept.feedback == "real"
    assert list(kept.ticked) == [0]
    assert kept.muted_until_s == 4600.0
    (mute,) = watched.mutes()
    assert (mute.alert_id, mute.who, mute.note) == (alert.id, "Ann", "known")
    alerts.store_change("unmute", {"mute": mute.id, "who": "Bo"}, now_s=1010.0)
    assert watched.alerts(ids=[alert.id])[0].muted_until_s is None
    assert not app.exception


def muted_rules(store: Store, scope: str, **change: Any) -> set[tuple[str, str]]:
    """Rule and run of the alerts that are muted after somebody muted from KL blow-up."""
    from runvitals.dashboard.views import alerts

    (alert,) = [row for row in store.alerts() if row.rule == "kl_blowup"]
    now_s = time.time()
    alerts.store_change("mute", {"id": alert.id, "scope": scope, "for_s": 3600, **change}, now_s=now_s)
    names = {run.id: run.name for run in store.runs()}
    return {(row.rule, names[row.run_id]) for row in store.alerts() if row.muted_until_s is not None}


def test_each_scope_mutes_what_it_says(watched: Store) -> None:
    from runvitals.dashboard.views import alerts

    run = "ppo-7b-helpful-kl0"
    entropy = ("entropy_collapse", run)
    expected = {
        "alert": {("kl_blowup", run)},
        "rule_run": {("kl_blowup", run)},
        "rule": {("kl_blowup", run)},
        "rule_project": {("kl_blowup", run)},
        "incident": {("kl_blowup", run), entropy},
        "run": {("kl_blowup", run), entropy},
    }
    AppTest.from_string(PAGE, default_timeout=30).run()
    for scope, muted in expected.items():
        assert muted_rules(watched, scope) == muted, scope
        for mute in watched.mutes():
            alerts.store_change("unmute", {"mute": mute.id}, now_s=time.time())
    assert not [row for row in watched.alerts() if row.muted_until_s is not None]


def test_a_muted_rule_is_muted_on_runs_to_come(watched: Store) -> None:
    AppTest.from_string(PAGE, default_timeout=30).run()
    muted_rules(watched, "rule")
    (alert,) = [row for row in watched.alerts() if row.rule == "kl_blowup"]
    other = next(run for run in watched.runs() if run.id != alert.run_id)
    watched.put_alerts([replace(alert, id="new", incident="new", run_id=other.id)])
    assert watched.alerts(ids=["new"])[0].muted_until_s is not None


def test_a_mute_until_a_time_that_is_past_is_none(watched: Store) -> None:
    AppTest.from_string(PAGE, default_timeout=30).run()
    assert muted_rules(watched, "alert", for_s=None, until_s=time.time() - 60) == set()


def test_standing_mutes_are_listed_with_who_and_until_when(watched: Store) -> None:
    AppTest.from_string(PAGE, default_timeout=30).run()
    muted_rules(watched, "rule_project", who="Ann", note="known")
    body = body_of(state="muted")
    (mute,) = body["mutes"]
    assert (mute["words"], mute["who"], mute["note"]) == ("kl_blowup in project sample", "Ann", "known")
    assert mute["until_s"] > time.time()


def test_history_tells_episodes_mutes_and_people_in_order(watched: Store) -> None:
    (first,) = [row for row in watched.alerts() if row.rule == "kl_blowup"]
    fired_s = float(first.fired_s or 0.0)
    over = replace(first, state="resolved", resolved_step=40, resolved_s=fired_s + 100)
    watched.put_alerts([over])
    watched.acknowledge(first.id, "looking", fired_s + 20, "Bo")
    mute_id = watched.add_mute(Mute(rule="kl_blowup", since_s=fired_s + 30, until_s=fired_s + 900, who="Ann", note="n"))
    watched.end_mute(mute_id, "Cy", fired_s + 60)
    again = replace(first, id="again", incident="again", fired_step=80, fired_s=fired_s + 200, onset_s=fired_s + 190)
    watched.put_alerts([again])
    told = [(entry["text"], entry["who"], entry["alert"]) for entry in body_of(alert=first.id)["shown"]["history"]]
    assert told == [
        ("condition holds at step 8", "", ""),
        ("fired at step 16, critical", "", ""),
        ("acknowledged", "Bo", ""),
        ("muted: kl_blowup on every run", "Ann", ""),
        ("mute ended: kl_blowup on every run", "Cy", ""),
        ("resolved by itself at step 40", "", ""),
        ("fired again at step 80, critical, fires still", "", "again"),
    ]
    (before,) = [entry for entry in body_of(alert="again")["shown"]["history"] if entry["alert"]]
    assert before["text"] == "had fired before at step 16, critical, resolved at step 40"


def test_answers_are_counted_over_all_alerts_of_the_rule(watched: Store) -> None:
    collapses = [row for row in watched.alerts() if row.rule == "entropy_collapse"]
    assert len(collapses) == 2
    watched.feedback(collapses[0].id, "real", 1.0)
    watched.feedback(collapses[1].id, "false_alarm", 2.0)
    assert body_of(alert=collapses[0].id)["shown"]["answers"] == {"real": 1, "false_alarm": 1}
    watched.feedback(collapses[1].id, "", 3.0)
    assert body_of(alert=collapses[0].id)["shown"]["answers"] == {"real": 1}


def news_of(store: Store, now_s: float) -> list[dict[str, Any]]:
    """What a page tells browsers to notify of."""
    from runvitals.dashboard import head

    AppTest.from_string(PAGE, default_timeout=30).run()
    return list(head.pulse(head.look(now_s=now_s), now_s=now_s, every_s=1.0)["news"])


def test_only_what_fired_lately_and_asks_for_somebody_is_news(watched: Store) -> None:
    (alert,) = [row for row in watched.alerts() if row.rule == "kl_blowup"]
    now_s = float(alert.fired_s or 0.0) + 10
    assert alert.id in {one["id"] for one in news_of(watched, now_s)}
    assert alert.id not in {one["id"] for one in news_of(watched, now_s + 3600)}
    watched.add_mute(Mute(rule="kl_blowup", since_s=now_s, until_s=now_s + 100))
    assert alert.id not in {one["id"] for one in news_of(watched, now_s)}
    assert alert.id in {one["id"] for one in news_of(watched, now_s + 101)}


def test_fifty_alerts_are_all_listed(watched: Store) -> None:
    (alert,) = [row for row in watched.alerts() if row.rule == "kl_blowup"]
    watched.put_alerts(
        [replace(alert, id=f"many{number}", incident=f"many{number}", rule=f"own_{number}") for number in range(50)]
    )
    body = body_of()
    assert body["counts"]["open"] == 56
    assert len([card for card in body["cards"] if card["incident_state"] == "open"]) == 56


def test_alerts_of_a_run_that_is_to_be_deleted_are_shown_by_no_page(watched: Store) -> None:
    run = next(run for run in watched.runs() if run.name == "sft-13b-fsdp")
    watched.delete_later([run.id], time.time() + 60)
    body = body_of()
    assert body["counts"]["open"] == 5
    assert run.name not in {card["run"] for card in body["cards"]}
