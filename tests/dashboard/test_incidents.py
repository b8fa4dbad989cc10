"""Alerts become incidents."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from runvitals.dashboard.incidents import counted, group, open_alerts, worst
from runvitals.store.types import AlertRow


def alert(name: str, **changes: Any) -> AlertRow:
    """A firing alert of run r that is its own root."""
    base = AlertRow(
        id=name, run_id="r", rule=name, signal="loss", severity="warning", state="firing", incident=name, onset_step=1,
        onset_s=10.0, fired_step=2, fired_s=20.0, resolved_step=None, resolved_s=None, detail={},
    )  # fmt: skip
    return replace(base, **changes)


def test_the_root_stands_for_its_incident_and_members_are_in_order_of_onset() -> None:
    (incident,) = group([alert("late", incident="root", onset_s=30.0), alert("root", severity="critical")], now_s=100)
    assert incident.root.id == "root"
    assert [member.id for member in incident.alerts] == ["root", "late"]
    assert incident.severity == "critical"
    assert incident.state == "open"


def test_an_alert_that_never_fired_is_no_incident() -> None:
    assert group([alert("pending", state="pending", fired_s=None)], now_s=100) == []


def test_a_pending_alert_shows_beside_one_that_fired() -> None:
    (incident,) = group([alert("root"), alert("p", incident="root", state="pending", fired_s=None)], now_s=100)
    assert [member.id for member in incident.alerts] == ["p", "root"]
    assert incident.asking == 1


def test_a_mute_speaks_for_what_it_names_and_no_more() -> None:
    rows = [alert("root", severity="critical", muted_until_s=200.0), alert("b", incident="root")]
    (incident,) = group(rows, now_s=100)
    assert (incident.state, incident.root.id, incident.severity, incident.asking) == ("open", "b", "warning", 1)
    (hushed,) = group([rows[0], replace(rows[1], muted_until_s=200.0)], now_s=100)
    assert (hushed.state, hushed.root.id, hushed.severity, hushed.asking) == ("muted", "root", "critical", 0)
    explained = replace(rows[1], detail={"inhibited_by": "root"})
    (quiet,) = group([rows[0], explained], now_s=100)
    assert (quiet.state, quiet.root.id) == ("muted", "root")


def test_information_alone_is_not_muted_by_a_mute_of_another() -> None:
    rows = [alert("i", severity="info")]
    assert group(rows, now_s=100)[0].state == "open"
    with_muted = [*rows, alert("m", incident="i", muted_until_s=200.0)]
    (incident,) = group(with_muted, now_s=100)
    assert (incident.state, incident.severity) == ("muted", "warning")


def test_acknowledged_and_muted_roots_close_nothing_but_are_not_open() -> None:
    rows = [alert("a", acknowledged_s=50.0), alert("m", muted_until_s=200.0), alert("o")]
    assert {incident.root.id: incident.state for incident in group(rows, now_s=100)} == {
        "a": "acknowledged",
        "m": "muted",
        "o": "open",
    }


def test_a_mute_that_has_run_out_is_open_again() -> None:
    (incident,) = group([alert("m", muted_until_s=200.0)], now_s=201)
    assert incident.state == "open"


def test_an_incident_is_open_while_any_of_its_alerts_fires() -> None:
    rows = [alert("root", state="resolved", resolved_s=40.0), alert("b", incident="root")]
    (incident,) = group(rows, now_s=100)
    assert incident.state == "open"
    (over,) = group([rows[0], replace(rows[1], state="resolved")], now_s=100)
    assert over.state == "resolved"


def test_the_worst_come_first_and_info_counts_for_nothing() -> None:
    rows = [alert("i", severity="info"), alert("w"), alert("c", severity="critical"), alert("n", fired_s=99.0)]
    found = group(rows, now_s=100)
    assert [incident.root.id for incident in found] == ["c", "n", "w", "i"]
    assert counted(found, "open") == 3
    assert worst(found) == "critical"
    assert worst(group([alert("i", severity="info")], now_s=100)) is None


def test_open_alerts_are_those_that_fire_unmuted_and_unexplained_in_open_incidents() -> None:
    rows = [
        alert("root", severity="critical"),
        alert("beside", incident="root"),
        alert("told", incident="root", severity="info"),
        alert("explained", incident="root", detail={"inhibited_by": "root"}),
        alert("hushed", incident="root", muted_until_s=200.0),
        alert("over", incident="root", state="resolved", resolved_s=40.0),
        alert("known", acknowledged_s=50.0),
    ]
    assert open_alerts(group(rows, now_s=100)) == 2
    assert open_alerts(group(rows, now_s=201)) == 3


def test_what_still_fires_speaks_for_an_incident_whose_root_is_over() -> None:
    rows = [alert("root", state="resolved", resolved_s=40.0), alert("b", incident="root", acknowledged_s=50.0)]
    (incident,) = group(rows, now_s=100)
    assert (incident.root.id, incident.state) == ("b", "acknowledged")
