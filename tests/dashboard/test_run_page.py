"""The Run page as Streamlit runs it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from runvitals.dashboard.live_charts import Feed
from runvitals.dashboard.panels import folded, sections
from runvitals.dashboard.run_body import wants, words
from runvitals.dashboard.run_map import measures
from runvitals.dashboard.sights import FIRST_CHARTS
from runvitals.dashboard.verdicts import NEUTRAL, SectionWords, agreed
from runvitals.dashboard.views import run
from runvitals.store import Store
from runvitals.store.types import Latest


def opened(app: AppTest, run_id: str) -> dict[str, Any]:
    """What the live-chart component was given for the run."""
    app.query_params["run"] = run_id
    app.run()
    assert not app.exception
    found = [element.proto for element in app.get("bidi_component")]
    assert [proto.component_name for proto in found] == ["runvitals.charts"]
    return dict(json.loads(found[0].json))


def body(app: AppTest, store: Store, name: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    run = next(run for run in store.runs() if run.name == name)
    data = opened(app, run.id)
    return data["frame"]["body"], data["words"]["body"], data["charts"]


def test_a_deep_link_opens_the_run_with_the_series_of_its_first_charts(app: AppTest, watched: Store) -> None:
    frame, said, charts = body(app, watched, "dpo-7b-uf-b01")
    assert frame["head"]["name"] == "dpo-7b-uf-b01"
    drawn = [block["id"] for section in frame["sections"] for block in section["blocks"]]
    assert {"reward_margin", "chosen_rejected", "loss", "grad_norm"} <= set(drawn)
    blocks = [b for s in frame["sections"] for b in s["blocks"] if b["kind"] == "chart"]
    asked = {line["id"] for b in blocks[:FIRST_CHARTS] for line in b["series"]}
    assert charts["whole"] and asked <= set(charts["series"])
    assert said["facts"][0]["health"] == "critical"


def test_the_incident_names_its_root_first_and_the_others_by_onset(app: AppTest, watched: Store) -> None:
    _, said, _ = body(app, watched, "dpo-7b-uf-b01")
    incident = said["incident"]
    assert incident["title"] == "Margin stagnant"
    assert "step 38" in incident["times"] and "step 58" in incident["times"]
    assert incident["cause"].startswith(("Most likely cause", "Possible cause"))
    assert incident["chain"][0]["text"].split(",")[0] == "Margin stagnant"
    onsets = [int(link["text"].rsplit(" ", 1)[1]) for link in incident["chain"]]
    assert onsets == sorted(onsets)


def test_an_alert_tints_its_own_chart_and_lends_only_lines_to_its_siblings(app: AppTest, watched: Store) -> None:
    _, said, _ = body(app, watched, "dpo-7b-uf-b01")
    assert [alert["own"] for alert in said["charts"]["reward_margin"]["alerts"]] == [True]
    assert [alert["own"] for alert in said["charts"]["logps"]["alerts"]] == [False]


def test_the_margin_verdict_carries_its_numbers(app: AppTest, watched: Store) -> None:
    _, said, _ = body(app, watched, "dpo-7b-uf-b01")
    margin = said["sections"]["margin"]
    assert margin["verdict"]["severity"] == "critical"
    assert any(character.isdigit() for character in margin["sentence"])


def test_a_policy_run_has_policy_charts_and_bars_by_onset(app: AppTest, watched: Store) -> None:
    frame, said, _ = body(app, watched, "ppo-7b-helpful-kl0")
    kinds = [block["kind"] for section in frame["sections"] for block in section["blocks"]]
    assert "onset" in kinds
    assert frame["sections"][0]["id"] == "policy"
    onsets = [alert["onset_step"] for alert in said["blocks"]["onset"]["alerts"]]
    assert onsets == sorted(onsets)


def test_health_of_a_live_run_is_unknown_while_nobody_watches(app: AppTest, store: Store, sample: Any) -> None:
    sample.fill(store, now_s=1_700_000_000.0)
    _, said, _ = body(app, store, "dpo-7b-uf-b01")
    assert said["facts"][0]["health"] == "unknown"


def test_a_run_without_rows_shows_its_head_and_says_so_in_place_of_charts(app: AppTest, watched: Store) -> None:
    frame, said, charts = body(app, watched, "dpo-7b-b05")
    (section,) = frame["sections"]
    assert [block["kind"] for block in section["blocks"]] == ["note"]
    assert charts["series"] == {}
    assert next(fact["text"] for fact in said["facts"] if fact["id"] == "step") == "—"


def test_an_unknown_run_is_said_so_and_not_a_traceback(app: AppTest, watched: Store) -> None:
    data = opened(app, "no-such-run")
    assert [notice["title"] for notice in data["notices"]] == ["No such run"]
    assert "frame" not in data


@pytest.mark.parametrize("rule, note", [("masked_nan", "the log hides NaN since 60"), ("loss_spike", "")])
def test_the_loss_chart_says_since_when_the_log_hides_nan(watched: Store, rule: str, note: str) -> None:
    run = next(run for run in watched.runs() if run.name == "sft-7b-filtered")
    alert = replace(watched.alerts(run_id=run.id)[0], rule=rule, onset_step=60, fired_step=62, fired_s=1.0)
    drawn = sections(run, watched.keys(run.id))
    said = words(run, drawn, series={}, alerts=[alert], events=[], health="critical", now_s=0.0)
    assert said["charts"]["loss"]["note"] == note


def test_an_alert_on_a_twin_signal_marks_the_curve_that_the_chart_shows(watched: Store) -> None:
    run = next(run for run in watched.runs() if run.name == "ppo-7b-helpful-kl0")
    drawn = sections(run, watched.keys(run.id))
    found = next(alert for alert in watched.alerts(run_id=run.id) if alert.rule == "kl_blowup")
    alert = replace(found, signal="kl", severity="critical", state="firing", onset_step=8, fired_step=16, fired_s=1.0)
    # Another alert of the same steps, of a rule of one's own, lays no second tint upon the first.
    alerts = [alert, replace(alert, id="another", rule="my_kl")]
    said = words(run, drawn, series={}, alerts=alerts, events=[], health="critical", now_s=0.0)
    kl = said["charts"]["sequence_kl"]["alerts"]
    assert [(one["onset_step"], one["fired_step"], one["own"]) for one in kl] == [(8, 16, True)]
    assert [one["own"] for one in said["charts"]["reward"]["alerts"]] == [False]


@pytest.mark.parametrize(
    "before, severity, after",
    [("healthy", "critical", "critical"), ("unknown", "warning", "warning"), ("critical", "warning", "critical")],
)
def test_no_section_is_milder_than_the_alerts_on_its_curves(
    watched: Store, before: str, severity: str, after: str
) -> None:
    run = next(run for run in watched.runs() if run.name == "dpo-7b-uf-b01")
    margin = next(section for section in sections(run, watched.keys(run.id)) if section.id == "margin")
    found = next(alert for alert in watched.alerts(run_id=run.id) if alert.signal == "reward_margin")
    words_before = SectionWords(severity=before, word="Rising", sentence="with numbers")
    said = agreed(words_before, margin, [replace(found, severity=severity, state="firing")])
    assert said.severity == after
    assert said.sentence == "with numbers"
    ended = agreed(words_before, margin, [replace(found, severity=severity, state="resolved")])
    assert ended == words_before


def test_a_good_verdict_is_not_marked_healthy_beside_a_critical_alert(watched: Store) -> None:
    run = next(run for run in watched.runs() if run.name == "ppo-7b-helpful-kl0")
    probe = next(section for section in sections(run, watched.keys(run.id)) if section.id == "probe")
    kl = next(alert for alert in watched.alerts(run_id=run.id) if alert.rule == "kl_blowup")
    good = SectionWords(severity="healthy", word="Rising", sentence="with numbers")
    beside = agreed(good, probe, [replace(kl, severity="critical", state="firing")])
    assert (beside.severity, beside.word) == (NEUTRAL, "Rising")
    assert agreed(good, probe, [replace(kl, severity="warning", state="firing")]) == good
    assert agreed(good, probe, [replace(kl, severity="critical", state="resolved")]) == good


def test_what_else_was_logged_is_folded_and_costs_nothing(watched: Store) -> None:
    run = next(run for run in watched.runs() if run.name == "sft-7b-base")

    one = Latest(step=50, time_s=1.0, value=1.0, best_min=0.0, best_max=1.0, count=50, nonfinite=0)
    keys = dict.fromkeys(("loss", "my/metric", "entropy", "eval_entropy"), one)
    whole, shut = sections(run, keys), folded(sections(run, keys))
    assert [section.folds for section in shut if section.id == "others"] == [2], "an evaluation is no chart of its own"
    assert {"my/metric", "eval_entropy"} <= {want.key for want in wants(run, keys, whole)}
    assert {want.key for want in wants(run, keys, shut)} == {"loss"}


def test_open_incidents_beside_the_main_one_have_a_line_each(watched: Store) -> None:
    run = next(run for run in watched.runs() if run.name == "dpo-7b-uf-b01")
    drawn = sections(run, watched.keys(run.id))
    found = watched.alerts(run_id=run.id)[0]
    again = [
        replace(found, id=f"a{number}", incident=f"a{number}", severity=severity, state="firing", fired_s=float(number))
        for number, severity in enumerate(["critical", "warning", "warning", "warning", "warning", "info"])
    ]
    said = words(run, drawn, series={}, alerts=again, events=[], health="critical", now_s=10.0)
    assert said["incident"]["alert"] == "a0"
    beside = said["beside"]
    assert (beside["title"], beside["more"]) == ("Also open", 2)
    assert [root["severity"] for root in beside["roots"]] == ["warning"] * 3

    quiet = words(run, drawn, series={}, alerts=again[-1:], events=[], health="healthy", now_s=10.0)
    assert quiet["incident"] is None, "what asks nothing of anybody is a line"
    assert (quiet["beside"]["title"], len(quiet["beside"]["roots"])) == ("Noted", 1)


def test_the_map_of_a_live_run_is_made_anew_only_while_it_is_seen(watched: Store) -> None:
    live = next(one for one in watched.runs() if one.status == "running" and measures(tuple(watched.keys(one.id))))
    page, of = run._Page(run_id=live.id, feed=Feed(epoch="e")), (live, watched.keys(live.id))
    first = run._map(watched, page, of, now_s=1_000.0, seen=False)
    assert first["rows"], "it is made once, so that its place has its height"
    later = 1_000.0 + 2 * run.MAP_EVERY_S
    assert run._map(watched, page, of, now_s=later, seen=False) is first
    assert run._map(watched, page, of, now_s=later, seen=True) is not first
