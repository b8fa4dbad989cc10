"""The Back-test page, as Streamlit runs it."""

from __future__ import annotations

import json
from typing import Any

from streamlit.testing.v1 import AppTest

from runvitals.dashboard.backtest_body import body as made_body
from runvitals.dashboard.backtest_body import text_to_try
from runvitals.dashboard.rules_file import parsed
from runvitals.dashboard.trials import Trial
from runvitals.settings import Settings
from runvitals.store import Store

PAGE = """
from runvitals.dashboard.views import backtest
backtest.page()
"""


def data_of(**query: str) -> dict[str, Any]:
    """What the page gives its component where the address holds this query."""
    app = AppTest.from_string(PAGE, default_timeout=30)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    (element,) = app.get("bidi_component")
    found: dict[str, Any] = json.loads(element.proto.json)
    return found


def body_of(**query: str) -> dict[str, Any]:
    """The part of it that does not change with time."""
    found: dict[str, Any] = data_of(**query)["body"]
    return found


def test_from_an_alert_its_run_and_its_like_are_chosen(watched: Store) -> None:
    (alert,) = [row for row in watched.alerts() if row.rule == "kl_blowup"]
    body = body_of(alert=alert.id, rule="kl_blowup")
    names = {run["id"]: run["name"] for run in body["runs"]}
    assert [names[run_id] for run_id in body["chosen"]] == ["ppo-7b-helpful-kl0", "ppo-7b-helpful-kl01"]
    assert body["rule"] == "kl_blowup"


def test_without_an_alert_nothing_is_chosen_and_a_wrong_address_harms_nothing(watched: Store) -> None:
    assert body_of()["chosen"] == []
    body = body_of(alert="nobody", rule="no_rule", trial="gone")
    assert (body["chosen"], body["rule"], body["trial"]) == ([], "", None)
    assert (body["lost"], body_of()["lost"]) == (True, False)


def test_an_address_that_names_what_is_not_there_says_so_and_keeps_the_rest(watched: Store) -> None:
    known = watched.runs()[0].id
    found = data_of(runs=f"{known},nobody", rule="no_rule")
    assert (found["body"]["chosen"], found["body"]["rule"]) == ([known], "")
    told = {notice["title"]: notice["text"] for notice in found["notices"]}
    assert told["No such run"].startswith("nobody is not in this store.")
    assert told["No such rule"].startswith("no_rule is neither")
    assert not {"No such run", "No such rule"} & {notice["title"] for notice in data_of(runs=known)["notices"]}


def test_numbers_are_those_of_the_users_file_beside_ours(watched: Store) -> None:
    Settings.from_environment().rules.write_text('off = ["loss_plateau"]\n[rules.loss_divergence]\nhold = 30\n')
    rules = {rule["name"]: rule for rule in body_of()["rules"]}
    (hold,) = [one for one in rules["loss_divergence"]["numbers"] if one["name"] == "hold"]
    assert (hold["value"], hold["usual"] != 30) == (30, True)
    assert rules["loss_plateau"]["off"]
    assert not rules["loss_divergence"]["off"]
    Settings.from_environment().rules.write_text('off = ["loss_plateau"]\n[rules.loss_plateau]\nhold = 31\n')
    rules = {rule["name"]: rule for rule in body_of()["rules"]}
    assert ("hold", 31) in [(one["name"], one["value"]) for one in rules["loss_plateau"]["numbers"]]


def test_what_is_tried_is_the_users_file_with_the_new_numbers() -> None:
    file = parsed("[rules.loss_spike]\nclear = 9\n", file="f")
    text, only = text_to_try({"mode": "rule", "rule": "loss_spike", "numbers": {"hold": 4}}, file)
    assert only == "loss_spike"
    assert "hold = 4" in text and "clear = 9" in text
    assert text_to_try({"mode": "rule", "rule": "loss_spike", "numbers": {}}, file) == (file.text, "loss_spike")
    assert text_to_try({"mode": "file", "text": "x = 1", "rule": "loss_spike"}, file) == ("x = 1", "")


def test_a_trial_is_summed_up_with_what_people_said_of_what_is_gone() -> None:
    gone = {"change": "gone", "did": {"answer": "false_alarm"}, "would": None}
    trial = Trial(id="t", run_ids=("a", "b"), rules="", only="", asked_s=0.0, state="running")
    trial.results = {"a": {"differences": [gone, {"change": "new"}, {"change": "same"}]}, "b": {"kind": "failed"}}
    found = made_body([], parsed("", file="f"), chosen=[], rule="", alert="", trial=trial, ahead=0, refused=["wrong"])
    assert found["trial"]["counts"] == {"gone": 1, "gone false_alarm": 1, "new": 1, "same": 1}
    assert found["refused"] == ["wrong"]
