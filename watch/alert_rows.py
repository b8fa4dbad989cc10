"""Turns alerts of the engine, and the user's own, into rows of the store."""

from __future__ import annotations

from runvitals.collectors.records import Event
from runvitals.diagnostics.convert import alert_detail
from runvitals.diagnostics.types import Alert
from runvitals.store.types import AlertRow

USER_RULE = "user_alert"
"""Rule name of alerts that the user's own code raised with `runvitals.alert`."""


def from_engine(alert: Alert) -> AlertRow | None:
    """The alert as the store keeps it; None for states that are not an episode yet."""
    if alert.state not in ("pending", "firing", "resolved"):
        return None
    return AlertRow(
        id=alert.id,
        run_id=alert.run_id,
        rule=alert.rule,
        signal=alert.signal,
        severity=alert.severity,
        state=alert.state,
        incident=alert.incident,
        onset_step=alert.onset_step,
        onset_s=alert.onset_s,
        fired_step=alert.fired_step,
        fired_s=alert.fired_s,
        resolved_step=alert.resolved_step,
        resolved_s=alert.resolved_s,
        detail=alert_detail(alert),
    )


def from_user(event: Event, run_id: str, writer_id: str) -> AlertRow:
    """The alert that the user's code raised. It fires until somebody acknowledges it."""
    severity = event.data.get("severity")
    alert_id = f"{run_id}:{USER_RULE}:{writer_id}:{event.seq}"
    return AlertRow(
        id=alert_id,
        run_id=run_id,
        rule=USER_RULE,
        signal="",
        severity=severity if severity in ("info", "warning", "critical") else "warning",
        state="firing",
        incident=alert_id,
        onset_step=event.step,
        onset_s=event.time_s,
        fired_step=event.step,
        fired_s=event.time_s,
        resolved_step=None,
        resolved_s=None,
        detail={
            "title": str(event.data.get("title", "Alert")),
            "sentence": str(event.data.get("text", "")),
            "evidence": None,
            "causes": [],
            "remedies": [],
            "inhibited_by": "",
        },
    )
