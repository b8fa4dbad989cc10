"""Mutes as people choose and read them: what one covers, in words, and those that stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from runvitals.dashboard.incidents import Incident
from runvitals.store.types import AlertRow, Mute, RunInfo

Scope = Literal["incident", "alert", "rule_run", "run", "rule_project", "rule"]


def standing(mutes: Sequence[Mute], *, now_s: float) -> list[Mute]:
    """Those that hold now: nobody ended them, and their time is not over."""
    return [mute for mute in mutes if mute.ended_s is None and mute.until_s > now_s]


def covering(mutes: Sequence[Mute], alert: AlertRow, project: str) -> list[Mute]:
    """Those that name this alert, whether they still hold or not."""
    return [mute for mute in mutes if mute.covers(alert, project)]


def scopes(alert: AlertRow, incident: Incident, run: RunInfo | None) -> list[dict[str, str]]:
    """What can be muted from an alert, the least first: [{name, words}]."""
    firing = [member for member in incident.alerts if member.state == "firing"]
    name = run.name if run is not None else alert.run_id
    found: list[tuple[Scope, str]] = []
    if len(firing) > 1:
        found.append(("incident", f"this incident: its {len(firing)} alerts"))
    found += [
        ("alert", "this alert only"),
        ("rule_run", f"{alert.rule} on {name}"),
        ("run", f"every rule on {name}"),
    ]
    if run is not None and run.project:
        found.append(("rule_project", f"{alert.rule} in project {run.project}"))
    found.append(("rule", f"{alert.rule} on every run"))
    return [{"name": scope, "words": words} for scope, words in found]


def made(
    scope: str,
    alert: AlertRow,
    incident: Incident,
    run: RunInfo | None,
    *,
    since_s: float,
    until_s: float,
    who: str,
    note: str,
) -> list[Mute]:
    """The mutes that the choice stands for."""

    def mute(**named: Any) -> Mute:
        return Mute(since_s=since_s, until_s=until_s, who=who, note=note, **named)

    choices: Mapping[str, Callable[[], list[Mute]]] = {
        "incident": lambda: [mute(alert_id=member.id) for member in incident.alerts if member.state == "firing"],
        "rule_run": lambda: [mute(rule=alert.rule, run_id=alert.run_id)],
        "run": lambda: [mute(run_id=alert.run_id)],
        "rule_project": lambda: [mute(rule=alert.rule, project=run.project)] if run is not None else [],
        "rule": lambda: [mute(rule=alert.rule)],
    }
    return choices.get(scope, lambda: [mute(alert_id=alert.id)])()


def mute_json(mute: Mute, runs: Mapping[str, RunInfo], titles: Mapping[str, str]) -> dict[str, Any]:
    """A mute as the page shows it. titles: of alerts, by their id."""
    return {
        "id": mute.id,
        "words": words(mute, runs, titles),
        "since_s": mute.since_s,
        "until_s": mute.until_s,
        "who": mute.who,
        "note": mute.note,
    }


def words(mute: Mute, runs: Mapping[str, RunInfo], titles: Mapping[str, str]) -> str:
    """What the mute covers: "loss_spike in project demo"."""
    run = runs.get(mute.run_id or "")
    name = run.name if run is not None else mute.run_id
    if mute.alert_id is not None:
        return f"the alert {titles.get(mute.alert_id, mute.rule or 'of')} on {name}".replace(" of on ", " on ")
    parts = [mute.rule or "every rule"]
    if mute.run_id is not None:
        parts.append(f"on {name}")
    if mute.project is not None:
        parts.append(f"in project {mute.project}")
    if mute.run_id is None and mute.project is None:
        parts.append("on every run")
    return " ".join(parts)
