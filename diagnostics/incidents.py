"""What alerts have to do with each other: one incident for those that fire together, and inhibition of symptoms by a cause.

Alerts of a run whose firing overlaps belong to one incident. Its root, which gives it its name and its remedies, is the earliest that can
have led to the others: one that is as severe, or right before them. Somebody's own rule is no root of ours that are as severe: it says that a
line was crossed, not why. So what was harmless long before never speaks for what is grave now. An alert is inhibited
while another one fires whose rule names it in `inhibits` and which is at least as severe; it is tracked on, and shows itself again
when the other resolves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from runvitals.diagnostics.lifecycle import RANK
from runvitals.diagnostics.types import Alert, RuleSpec, Transition
from runvitals.diagnostics.user_rules.own import FAMILY as OWN

_NEAR_STEPS, _NEAR_SHARE = 50, 0.1
"""Steps, and share of the steps so far, within which a milder alert is right before a graver one: a gradient that leaps before a loss is NaN."""


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
        if alert.state == "firing":
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
        """The alert, new or graver than it was, in the incident that is open, and the members that follow where it becomes its root."""
        known = self._firing.get(alert.id) or next(iter(self._firing.values()), None)
        if known is None or known.incident == alert.id:
            return alert, []
        open_incident = known.incident
        if self._root(self.alerts[open_incident], alert).id == open_incident:
            return replace(alert, incident=open_incident), []
        members = [other for other in self.alerts.values() if other.incident == open_incident and other.id != alert.id]
        return replace(alert, incident=alert.id), [replace(other, incident=alert.id) for other in members]

    def _root(self, root: Alert, alert: Alert) -> Alert:
        """Which of two alerts is the root of an incident."""
        earlier, later = (root, alert) if root.onset_s <= alert.onset_s else (alert, root)
        return earlier if self._leads_to(earlier, later) else later

    def _leads_to(self, earlier: Alert, later: Alert) -> bool:
        """Whether an alert can stand for one whose onset is later."""
        is_own, before, after = self._specs[earlier.rule].family == OWN, RANK[earlier.severity], RANK[later.severity]
        if is_own and self._specs[later.rule].family != OWN:
            return before > after
        return before >= after or (earlier.severity != "info" and _is_right_before(earlier, later))

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


def _is_right_before(earlier: Alert, later: Alert) -> bool:
    """Whether so few steps lie between two onsets that the first may well have led to the second."""
    if earlier.onset_step is None or later.onset_step is None:
        return False
    gap = later.onset_step - earlier.onset_step
    return 0 <= gap <= max(_NEAR_STEPS, _NEAR_SHARE * later.onset_step)
