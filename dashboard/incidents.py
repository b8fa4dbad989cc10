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
    """Alerts of one run that belong together. root: the alert the others follow from; alerts: all, by onset."""

    root: AlertRow
    alerts: Sequence[AlertRow]
    state: IncidentState
    severity: str

    @property
    def firing(self) -> int:
        """How many of its alerts fire now."""
        return sum(alert.state == "firing" for alert in self.alerts)


def group(alerts: Iterable[AlertRow], *, now_s: float) -> list[Incident]:
    """Incidents that fired at least once, worst first, then newest. Pending alerts show only beside one that fired.

    A muted or acknowledged root speaks for its incident, for a person has seen it.
    """
    members: dict[tuple[str, str], list[AlertRow]] = {}
    for alert in alerts:
        members.setdefault((alert.run_id, alert.incident), []).append(alert)
    incidents = [_incident(found, now_s) for found in members.values() if any(a.fired_s is not None for a in found)]
    return sorted(incidents, key=lambda incident: (_RANK[incident.severity], -(incident.root.fired_s or 0.0)))


def counted(incidents: Iterable[Incident], state: IncidentState) -> int:
    """How many are in this state, informational ones left out: they ask nothing of anybody."""
    return sum(incident.state == state and incident.severity != "info" for incident in incidents)


def worst(incidents: Iterable[Incident]) -> str | None:
    """The worst severity of the open incidents, or None where none is open."""
    severities = [i.severity for i in incidents if i.state == "open" and i.severity != "info"]
    return min(severities, key=_RANK.__getitem__, default=None)


def _incident(alerts: list[AlertRow], now_s: float) -> Incident:
    ordered = sorted(alerts, key=lambda alert: (alert.onset_s, alert.id))
    fired = [alert for alert in ordered if alert.fired_s is not None]
    root = next((alert for alert in fired if alert.id == alert.incident), fired[0])
    firing = [alert for alert in fired if alert.state == "firing"]
    severity = min((alert.severity for alert in firing or fired), key=_RANK.__getitem__)
    return Incident(root=root, alerts=ordered, state=_state(root, firing, now_s), severity=severity)


def _state(root: AlertRow, firing: Sequence[AlertRow], now_s: float) -> IncidentState:
    if not firing:
        return "resolved"
    if root.muted_until_s is not None and root.muted_until_s > now_s:
        return "muted"
    return "acknowledged" if root.acknowledged_s is not None else "open"
