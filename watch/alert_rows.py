"""Turns alerts of the engine, and the user's own, into rows of the store."""

from __future__ import annotations

import hashlib

from runvitals.collectors.records import Event
from runvitals.diagnostics.convert import alert_detail
from runvitals.diagnostics.types import SEVERITIES, Alert, Severity
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


def from_user(event: Event, run_id: str, earlier: AlertRow | None) -> AlertRow:
    """The alert that the user's code raised; `earlier` is the one it raised before under the same title, which this one counts up.

    It fires until somebody acknowledges it: only a person knows whether it still holds.
    """
    title = str(event.data.get("title", "Alert"))
    severity = event.data.get("severity")
    said: Severity = severity if severity in SEVERITIES else "warning"
    worst = said if earlier is None else max(said, earlier.severity, key=SEVERITIES.index)
    alert_id = f"{run_id}:{USER_RULE}:{hashlib.blake2b(title.encode(), digest_size=8).hexdigest()}"
    times = 1 if earlier is None else int(earlier.detail["times"]) + 1
    return AlertRow(
        id=alert_id,
        run_id=run_id,
        rule=USER_RULE,
        signal="",
        severity=worst,
        state="firing",
        incident=alert_id,
        onset_step=earlier.onset_step if earlier else event.step,
        onset_s=earlier.onset_s if earlier else event.time_s,
        fired_step=earlier.fired_step if earlier else event.step,
        fired_s=earlier.fired_s if earlier else event.time_s,
        resolved_step=None,
        resolved_s=None,
        detail={
            "title": title,
            "sentence": str(event.data.get("text", "")) + (f" ({times} times)" if times > 1 else ""),
            "times": times,
            "evidence": None,
            "causes": [],
            "remedies": [],
            "inhibited_by": "",
        },
    )
