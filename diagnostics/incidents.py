"""What alerts have to do with each other: one incident for those that fire together, and inhibition of symptoms by a cause.

Alerts of a run whose firing overlaps belong to one incident, whose root is the one with the earliest onset. An alert is inhibited
while another one fires whose rule names it in `inhibits` and which is at least as severe; it is tracked on, and shows itself again
when the other resolves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from runvitals.diagnostics.lifecycle import RANK
from runvitals.diagnostics.types import Alert, RuleSpec, Transition


class Incidents:
    """All alerts of a run by id, in order of firing, with their incident and who inhibits them."""

    def __init__(self, specs: Mapping[str, RuleSpec]) -> None:
        """No alerts yet. specs: the rules by name."""
        self._specs = specs
        self._firing: dict[str, Alert] = {}
        self.alerts: dict[str, Alert] = {}

    @property
    def firing(self) -> list[Alert]:
        """The alerts that fire, inhibited ones included, in order of firing."""
        return list(self._firing.values())

    def take(self, transition: Transition) -> list[Transition]:
        """The transition with its incident and inhibition filled in, first, then those that it causes in other alerts."""
        alert = transition.alert
        others: list[Alert] = []
        if alert.state == "firing" and transition.before != "firing":
            alert, others = self._join(alert)
        self._keep(alert)
        changed = {alert.id: transition.before}
        for other in others:
            self._keep(other)
            changed.setdefault(other.id, other.state)
        for other in self._inhibited():
            self._keep(other)
            changed.setdefault(other.id, other.state)
        return [replace(transition, before=before, alert=self.alerts[name]) for name, before in changed.items()]

    def _keep(self, alert: Alert) -> None:
        self.alerts[alert.id] = alert
        if alert.state == "firing":
            self._firing[alert.id] = alert
        else:
            self._firing.pop(alert.id, None)

    def _join(self, alert: Alert) -> tuple[Alert, list[Alert]]:
        """The alert in the incident that is open, and the members that follow where it becomes the incident's root."""
        open_incident = next((other.incident for other in self._firing.values() if other.id != alert.id), None)
        if open_incident is None:
            return alert, []
        if alert.onset_s >= self.alerts[open_incident].onset_s:
            return replace(alert, incident=open_incident), []
        members = [other for other in self.alerts.values() if other.incident == open_incident]
        return alert, [replace(other, incident=alert.id) for other in members]

    def _inhibited(self) -> list[Alert]:
        """The firing alerts whose inhibition changed."""
        changed = []
        for alert in self._firing.values():
            by = next((other.id for other in self._firing.values() if self._silences(other, alert)), "")
            if by != alert.inhibited_by:
                changed.append(replace(alert, inhibited_by=by))
        return changed

    def _silences(self, cause: Alert, symptom: Alert) -> bool:
        return symptom.rule in self._specs[cause.rule].inhibits and RANK[cause.severity] >= RANK[symptom.severity]
