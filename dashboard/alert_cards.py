"""Turns incidents into what the Alerts page shows: a light list, and one alert in full."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from runvitals.dashboard.alert_mutes import covering, scopes
from runvitals.dashboard.component import plain
from runvitals.dashboard.formatter import count
from runvitals.dashboard.incidents import Incident, IncidentState
from runvitals.dashboard.query import Query, Subject
from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.signals import SIGNALS
from runvitals.diagnostics.types import RuleSpec
from runvitals.store.types import AlertRow, Mute, RunInfo

_ALWAYS_ABOVE_0 = ("gradient norm", "learning rate")
_OURS: Mapping[str, RuleSpec] = {rule.spec.name: rule.spec for rule in default_rules()}
STATES: tuple[IncidentState, ...] = ("open", "acknowledged", "muted", "resolved")


def subject(incident: Incident, run: RunInfo | None) -> Subject:
    """What a query may ask about an incident. A bare word is looked for in run, title and rule alike."""
    root = incident.root
    rules = [alert.rule for alert in incident.alerts]
    names = [title(alert) for alert in incident.alerts] + rules + ([run.name] if run is not None else [])
    words = {
        "name": names,
        "id": (root.run_id,),
        "project": (run.project,) if run is not None else (),
        "trainer": (run.trainer,) if run is not None else (),
        "status": (run.status,) if run is not None else (),
        "health": (incident.severity,),
        "finding": [title(alert) for alert in incident.alerts],
        "alert": rules,
    }
    numbers: Mapping[str, float | None] = {"alerts": len(incident.alerts), "step": root.onset_step}
    return Subject(words=words, numbers=numbers, config=run.config if run is not None else {})


def cards(
    incidents: Iterable[Incident], runs: Mapping[str, RunInfo], query: Query, mutes: Sequence[Mute] = ()
) -> list[dict[str, Any]]:
    """One small record for each incident that answers the query. mutes: those that stand, to say who made them."""
    return [
        _card(incident, runs.get(incident.root.run_id), mutes)
        for incident in incidents
        if query.matches(subject(incident, runs.get(incident.root.run_id)))
    ]


def full(
    alert: AlertRow,
    incident: Incident,
    run: RunInfo | None,
    *,
    onsets: Mapping[str, Any] | None = None,
    spec: RuleSpec | None = None,
    history: Sequence[Mapping[str, Any]] = (),
    mutes: Sequence[Mapping[str, Any]] = (),
    answers: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """One alert with its evidence, causes, remedies and history, and the alerts that belong to the same incident.

    onsets: what moved first, of `first_moves.by_onset`. spec: the rule as it runs for the run's project, None where none of this name is known.
    history: of `alert_history.history`. mutes: those that cover it now, of `alert_mutes.mute_json`. answers: how often each was given to
    alerts of its rule.
    """
    detail = dict(alert.detail)
    found: dict[str, Any] = plain(
        {
            **_alert(alert),
            **_run(run, alert.run_id),
            "incident_state": incident.state,
            "sentence": detail.get("sentence", ""),
            "evidence": _evidence(detail.get("evidence") or {}),
            "causes": detail.get("causes", []),
            "remedies": detail.get("remedies", []),
            "ticked": list(alert.ticked),
            "feedback": alert.feedback,
            "acknowledged_s": alert.acknowledged_s,
            "acknowledged_note": alert.acknowledged_note,
            "acknowledged_by": alert.acknowledged_by,
            "muted_until_s": alert.muted_until_s,
            "mutes": list(mutes),
            "scopes": scopes(alert, incident, run),
            "answers": dict(answers or {}),
            "history": list(history),
            "rule": alert.rule,
            "hold": spec.hold if spec is not None else None,
            "clear": spec.clear if spec is not None else None,
            "usual": _usual(spec),
            "rule_source": spec.source if spec is not None else "",
            "onsets": onsets,
            "members": [_alert(member) for member in incident.alerts],
        }
    )
    return found


def holding(incidents: Sequence[Incident], alert_id: str) -> tuple[AlertRow, Incident] | None:
    """The alert of this id and its incident, or None."""
    for incident in incidents:
        for alert in incident.alerts:
            if alert.id == alert_id:
                return alert, incident
    return None


def title(alert: AlertRow) -> str:
    """What the alert is called; its rule's name where an older watcher gave no title."""
    return str(alert.detail.get("title") or alert.rule)


def _card(incident: Incident, run: RunInfo | None, mutes: Sequence[Mute]) -> dict[str, Any]:
    root = incident.root
    causes = root.detail.get("causes") or []
    card: dict[str, Any] = plain(
        {
            **_alert(root),
            **_run(run, root.run_id),
            "severity": incident.severity,
            "incident_state": incident.state,
            "alerts": _told(incident),
            "members": [alert.id for alert in incident.alerts],
            "muted_until_s": root.muted_until_s,
            "muted_by": _muted_by(root, run, mutes) if incident.state == "muted" else "",
            "cause": causes[0].get("text", "") if causes else "",
        }
    )
    return card


def _muted_by(root: AlertRow, run: RunInfo | None, mutes: Sequence[Mute]) -> str:
    """Who made the mute that lasts longest, "" where nobody said."""
    mine = covering(mutes, root, run.project if run is not None else "")
    return max(mine, key=lambda mute: mute.until_s).who if mine else ""


def _told(incident: Incident) -> str:
    """How many alerts the incident has, and how many of them ask nothing of anybody by now: "2 alerts, 1 resolved"."""
    over = incident.state == "resolved"
    asking = {alert.id for alert in incident.asking_alerts}
    kinds = Counter("" if over or alert.id in asking else _quiet(alert) for alert in incident.alerts)
    loud = kinds.pop("", 0)
    parts = [f"{count(loud)} alert{'' if loud == 1 else 's'}"] if loud or not kinds else []
    return ", ".join(parts + [f"{count(number)} {word}" for word, number in kinds.items()])


def _quiet(alert: AlertRow) -> str:
    """Why an alert of a going incident asks for nobody."""
    if alert.state != "firing":
        return alert.state
    return "info" if alert.severity == "info" else "explained" if alert.detail.get("inhibited_by") else "muted"


def _alert(alert: AlertRow) -> dict[str, Any]:
    return {
        "id": alert.id,
        "title": title(alert),
        "severity": alert.severity,
        "state": alert.state,
        "onset_step": alert.onset_step,
        "onset_s": alert.onset_s,
        "fired_step": alert.fired_step,
        "fired_s": alert.fired_s,
        "resolved_step": alert.resolved_step,
        "resolved_s": alert.resolved_s,
        "signal": alert.signal,
        "muted_until_s": alert.muted_until_s,
    }


def _run(run: RunInfo | None, run_id: str) -> dict[str, Any]:
    """The run's part; an alert may outlive its run."""
    if run is None:
        return {"run_id": run_id, "run": run_id, "color": 0, "trainer": ""}
    return {"run_id": run.id, "run": run.name, "color": run.color, "trainer": run.trainer}


def _usual(spec: RuleSpec | None) -> list[int] | None:
    """Our own hold and clear, where the user's rules file has others; else None."""
    ours = _OURS.get(spec.name) if spec is not None else None
    if spec is None or ours is None or (ours.hold, ours.clear) == (spec.hold, spec.clear):
        return None
    return [ours.hold, ours.clear]


def _evidence(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """The evidence with each curve's title, unit and way of writing numbers."""
    curves = []
    for curve in evidence.get("curves") or []:
        signal = SIGNALS.get(curve.get("signal", ""))
        words = {"title": signal.title, "unit": signal.unit, "kind": signal.kind} if signal is not None else {}
        curves.append({**curve, **words})
    window = evidence.get("window") or [None, None]
    numbers = [_without_the_obvious(number) for number in evidence.get("numbers") or []]
    return {"numbers": numbers, "window": list(window), "curves": curves}


def _without_the_obvious(number: Mapping[str, Any]) -> dict[str, Any]:
    """The number; that a norm or a rate should be above 0 is said only where it is not."""
    value = number.get("value")
    plain_sign = number.get("label") in _ALWAYS_ABOVE_0 and isinstance(value, (int, float)) and value > 0
    return {**number, "expected": ""} if plain_sign else dict(number)
