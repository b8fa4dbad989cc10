"""Groups alerts into incidents: the root cause first, then what followed from it, in order of onset."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from runvitals.store.types import AlertRow

IncidentState = Literal["open", "acknowledged", "muted", "resolved"]

_RANK = {"critical": 0, "warning": 1, "info": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """Alerts of one run that belong together. root: the alert the others follow from, of those that fire; alerts: all, by onset.

    asking_alerts: those that ask for somebody: warnings and criticals that fire, are not muted and not explained by another.
    """

    root: AlertRow
    alerts: Sequence[AlertRow]
    state: IncidentState
    severity: str
    asking_alerts: Sequence[AlertRow]

    @property
    def asking(self) -> int:
        """How many alerts ask for somebody."""
        return len(self.asking_alerts)


def group(alerts: Iterable[AlertRow], *, now_s: float) -> list[Incident]:
    """Incidents that fired at least once, worst first, then newest. Pending alerts show only beside one that fired.

    An acknowledged root speaks for its incident, for a person has seen it. A mute speaks for what it names and no more: an incident is
    muted only where nothing is left that asks for somebody.
    """
    members: dict[tuple[str, str], list[AlertRow]] = {}
    for alert in alerts:
        members.setdefault((alert.run_id, alert.incident), []).append(alert)
    incidents = [_incident(found, now_s) for found in members.values() if any(a.fired_s is not None for a in found)]
    return sorted(incidents, key=lambda incident: (_RANK[incident.severity], -(incident.root.fired_s or 0.0)))


def counted(incidents: Iterable[Incident], state: IncidentState) -> int:
    """How many are in this state, informational ones left out: they ask nothing of anybody."""
    return sum(incident.state == state and incident.severity != "info" for incident in incidents)


def open_alerts(incidents: Iterable[Incident]) -> int:
    """How many alerts are open: those of open incidents that ask for somebody. Every page counts them so."""
    return sum(incident.asking for incident in incidents if incident.state == "open")


def muted(alert: AlertRow, *, now_s: float) -> bool:
    """True while somebody's mute of the alert lasts."""
    return alert.muted_until_s is not None and alert.muted_until_s > now_s


def worst(incidents: Iterable[Incident]) -> str | None:
    """The worst severity of the open incidents, or None where none is open."""
    severities = [i.severity for i in incidents if i.state == "open" and i.severity != "info"]
    return min(severities, key=_RANK.__getitem__, default=None)


def _incident(alerts: list[AlertRow], now_s: float) -> Incident:
    ordered = sorted(alerts, key=lambda alert: (alert.onset_s, alert.id))
    fired = [alert for alert in ordered if alert.fired_s is not None]
    firing = [alert for alert in fired if alert.state == "firing"]
    loud = [alert for alert in firing if not muted(alert, now_s=now_s)]
    asking = [a for a in loud if a.severity != "info" and not a.detail.get("inhibited_by")]
    hushed = not asking and len(loud) < len(firing)
    # What has resolved or is muted no longer speaks for what still fires: whoever acknowledges means the latter.
    speaking = (firing if hushed else loud) or fired
    root = next((alert for alert in speaking if alert.id == alert.incident), speaking[0])
    severity = min((alert.severity for alert in speaking), key=_RANK.__getitem__)
    state: IncidentState = "resolved"
    if firing:
        state = "muted" if hushed else "acknowledged" if root.acknowledged_s is not None else "open"
    return Incident(root=root, alerts=ordered, state=state, severity=severity, asking_alerts=asking)
