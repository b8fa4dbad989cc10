"""What a receiver is told of an incident, and when: grouped, once, again after hours, and resolutions only to those who heard of it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from runvitals.store.types import AlertRow
from runvitals.watch.incident_news import GROUP_WAIT_S, MISSED_FOR_S, REPEAT_EVERY_S, Due, Incident, due
from runvitals.watch.message import About, compose
from runvitals.watch.routes import EVERYTHING, Route

T0 = 1_800_000_000.0

ROOT = AlertRow(
    id="r:loss_divergence:loss:1",
    run_id="r",
    rule="loss_divergence",
    signal="loss",
    severity="warning",
    state="firing",
    incident="r:loss_divergence:loss:1",
    onset_step=10,
    onset_s=T0 - 5.0,
    fired_step=12,
    fired_s=T0,
    resolved_step=None,
    resolved_s=None,
    detail={"title": "Loss diverges", "sentence": "The loss rises.", "remedies": [{"text": "Lower the rate."}]},
)
SYMPTOM = dataclasses.replace(
    ROOT,
    id="r:grad:grad_norm:2",
    rule="grad_norm_spike",
    signal="grad_norm",
    severity="critical",
    onset_s=T0 + 5.0,
    fired_step=20,
    fired_s=T0 + 20.0,
    detail={"title": "Gradient spikes", "sentence": "It is 40.", "remedies": []},
)


def changed(row: AlertRow, **changes: Any) -> AlertRow:
    return dataclasses.replace(row, **changes)


def resolved(row: AlertRow, at_s: float) -> AlertRow:
    return changed(row, state="resolved", resolved_step=90, resolved_s=at_s)


def found(
    *rows: AlertRow,
    told: Any = (),
    now_s: float = T0,
    route: Route = EVERYTHING[0],
    repeats: bool = True,
    wait_s: float = 30.0,
) -> Due | None:
    incident = Incident(
        rows=rows,
        told=dict(told),
        takes=route.takes,
        muted=lambda row: row.muted_until_s is not None and row.muted_until_s > now_s,
        repeats=repeats,
    )
    return due(incident, now_s=now_s, since=lambda pair, at_s: at_s, wait_s=wait_s)


TOLD = {(ROOT.id, "firing warning"): T0 + 30.0}


def test_alerts_of_an_incident_wait_for_one_another_and_come_as_one_message_cause_first() -> None:
    one = found(SYMPTOM, ROOT)
    assert one is not None
    assert (one.kind, one.at_s) == ("firing", T0 + GROUP_WAIT_S)
    assert [row.id for row in one.alerts] == [ROOT.id, SYMPTOM.id]
    assert set(one.news) == {(ROOT.id, "firing warning"), (SYMPTOM.id, "firing critical")}
    message = compose(one.kind, one.alerts, one.news, About(run_id="r", name="dpo-7b"))
    assert message.title == "Loss diverges · dpo-7b"
    assert message.body.splitlines() == [
        "step 12: The loss rises. Try first: Lower the rate.",
        "◆ Gradient spikes, step 20: It is 40.",
    ]
    assert message.severity == "critical"


def test_alert_that_resolved_within_the_wait_is_never_told() -> None:
    gone = resolved(ROOT, T0 + 29.0)
    assert found(gone, now_s=T0 + 30.0) is None
    one = found(gone, SYMPTOM, now_s=T0 + 60.0)
    assert one is not None
    assert [row.id for row in one.alerts] == [SYMPTOM.id]


def test_a_watcher_that_ends_waits_for_nobody() -> None:
    one = found(ROOT, wait_s=0.0)
    assert one is not None
    assert one.at_s == T0


def test_later_alert_of_the_incident_is_an_update_that_waits_for_its_like() -> None:
    late = changed(SYMPTOM, fired_s=T0 + 600.0)
    one = found(ROOT, late, told=TOLD)
    assert one is not None
    assert (one.kind, one.at_s, one.news) == ("update", T0 + 630.0, ((SYMPTOM.id, "firing critical"),))
    assert [row.id for row in one.alerts] == [ROOT.id, SYMPTOM.id]


def test_alert_that_grows_worse_is_told_at_once_and_one_that_eases_is_not() -> None:
    one = found(changed(ROOT, severity="critical"), told=TOLD, now_s=T0 + 99.0)
    assert one is not None
    assert (one.kind, one.at_s, one.news) == ("update", T0 + 99.0, ((ROOT.id, "firing critical"),))
    eased = found(ROOT, told={(ROOT.id, "firing critical"): T0 + 30.0}, now_s=T0 + 99.0)
    assert eased is not None
    assert eased.kind == "repeat"


def test_what_fires_on_is_repeated_every_four_hours_and_each_time_once() -> None:
    told = dict(TOLD)
    for number in (1, 2, 3):
        one = found(ROOT, told=told)
        assert one is not None
        last_s = max(told.values())
        assert (one.kind, one.at_s, one.news) == ("repeat", last_s + REPEAT_EVERY_S, ((ROOT.id, f"repeat {number}"),))
        told[one.news[0]] = one.at_s + 3.0


def test_an_update_puts_the_repeat_off() -> None:
    told = TOLD | {(SYMPTOM.id, "firing critical"): T0 + 3000.0}
    one = found(ROOT, SYMPTOM, told=told)
    assert one is not None
    assert one.at_s == T0 + 3000.0 + REPEAT_EVERY_S


def test_what_an_older_version_told_at_an_unknown_time_counts_from_its_firing() -> None:
    one = found(ROOT, told={(ROOT.id, "firing warning"): None})
    assert one is not None
    assert (one.kind, one.at_s) == ("repeat", T0 + REPEAT_EVERY_S)


ACKNOWLEDGED = {
    "acknowledged_s": T0 + 10.0,
    "history": ({"time_s": T0, "text": "firing, warning"}, {"time_s": T0 + 10.0, "text": "acknowledged: seen"}),
}


@pytest.mark.parametrize("change", [ACKNOWLEDGED, {"muted_until_s": T0 + 1e9}, {"detail": {"inhibited_by": "x"}}])
def test_what_somebody_saw_muted_or_is_a_symptom_is_neither_told_nor_repeated(change: dict[str, Any]) -> None:
    assert found(changed(ROOT, **change)) is None
    assert found(changed(ROOT, **change), told=TOLD, now_s=T0 + 1e6) is None


def test_acknowledged_alert_that_grows_worse_since_is_news() -> None:
    worse = changed(ROOT, severity="critical", **ACKNOWLEDGED)
    assert found(worse, told=TOLD) is None  # it was critical when somebody saw it
    history = (*ACKNOWLEDGED["history"], {"time_s": T0, "text": "firing, critical"})  # type: ignore[misc]
    one = found(changed(worse, history=history), told=TOLD)
    assert one is not None
    assert one.news == ((ROOT.id, "firing critical"),)


def test_mute_that_is_over_mutes_no_more() -> None:
    assert found(changed(ROOT, muted_until_s=T0 - 1.0)) is not None


def test_resolution_is_told_to_who_heard_of_the_firing_and_to_nobody_else() -> None:
    over = resolved(ROOT, T0 + 10.0)
    one = found(over, told=TOLD)
    assert one is not None
    assert (one.kind, one.at_s, one.news) == ("resolved", T0 + 40.0, ((ROOT.id, "resolved"),))
    assert found(over) is None
    assert found(over, told=TOLD | {(ROOT.id, "resolved"): T0 + 50.0}) is None


def test_resolution_is_told_although_somebody_acknowledged_and_not_while_muted() -> None:
    over = resolved(ROOT, T0 + 10.0)
    assert found(changed(over, **ACKNOWLEDGED), told=TOLD) is not None
    assert found(changed(over, muted_until_s=T0 + 99.0), told=TOLD) is None


def test_one_of_two_that_resolves_is_an_update_and_the_last_one_ends_the_incident() -> None:
    told = TOLD | {(SYMPTOM.id, "firing critical"): T0 + 30.0}
    one = found(ROOT, resolved(SYMPTOM, T0 + 100.0), told=told)
    assert one is not None
    assert (one.kind, one.news) == ("update", ((SYMPTOM.id, "resolved"),))
    last = found(resolved(ROOT, T0 + 200.0), resolved(SYMPTOM, T0 + 100.0), told=told | {one.news[0]: T0 + 130.0})
    assert last is not None
    assert (last.kind, last.news) == ("resolved", ((ROOT.id, "resolved"),))


def test_incident_that_came_and_went_untold_is_told_once_within_a_day() -> None:
    over = resolved(ROOT, T0 + 300.0)
    one = found(over, now_s=T0 + 400.0)
    assert one is not None
    assert (one.kind, one.at_s) == ("missed", T0 + 400.0)
    assert found(over, told=dict.fromkeys(one.news, T0 + 401.0)) is None
    assert found(over, now_s=T0 + 301.0 + MISSED_FOR_S) is None
    assert found(changed(over, muted_until_s=T0 + 299.0), now_s=T0 + 400.0) is None
    assert found(changed(over, **ACKNOWLEDGED), now_s=T0 + 400.0) is None


def test_alert_that_nobody_may_be_told_of_yet_is_no_news() -> None:
    assert found(changed(ROOT, state="pending", fired_s=None)) is None
    assert found(changed(ROOT, severity="info")) is None


def test_repeats_end_with_the_run() -> None:
    assert found(ROOT, told=TOLD, repeats=False) is None


def test_route_takes_what_it_asks_for_and_names_the_cause_beside() -> None:
    one = found(ROOT, SYMPTOM, route=Route(severity="critical"))
    assert one is not None
    assert one.news == ((SYMPTOM.id, "firing critical"),)
    assert [row.id for row in one.alerts] == [ROOT.id, SYMPTOM.id]
    assert found(ROOT, route=Route(severity="critical")) is None
    assert found(ROOT, route=Route(rules=("kl_rises",))) is None
    assert found(changed(ROOT, severity="info"), route=Route(severity="info")) is not None


def test_same_news_have_the_same_key_whatever_the_order() -> None:
    one = found(SYMPTOM, ROOT)
    assert one is not None
    about = About(run_id="r", name="x")
    key = compose(one.kind, one.alerts, one.news, about).key
    assert compose(one.kind, one.alerts, tuple(reversed(one.news)), about).key == key
    assert compose(one.kind, one.alerts, one.news[:1], about).key != key
