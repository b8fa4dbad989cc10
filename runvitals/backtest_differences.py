"""What rules would have said of a run beside what they did say: episodes of one rule are matched, differences named."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from runvitals.diagnostics.types import Alert
from runvitals.store.types import AlertRow

Change = Literal["same", "moved", "severity", "new", "gone", "not asked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One episode. would: as the rules tried say it; did: as it was stored. At least one of them is there.

    change: `moved` fired at another step; `severity` is as early but not as severe, or more; `new` did not fire; `gone` would not fire;
    `not asked` fired by a rule that a stored run cannot be asked about: on silence, on the process, or one that is unknown now.
    """

    change: Change
    would: Alert | None
    did: AlertRow | None

    @property
    def fired_s(self) -> float:
        """When it would fire, or did."""
        told = self.would.fired_s if self.would is not None else self.did.fired_s if self.did is not None else None
        return told or 0.0


def differences(would: Sequence[Alert], did: Sequence[AlertRow], *, asked: Collection[str]) -> list[Difference]:
    """All episodes in the order of their firing. asked: names of the rules that were tried.

    An episode of one is matched with that of the other that has its id, else with the first of the same rule that it overlaps.
    """
    left = {row.id: row for row in sorted(did, key=lambda row: row.fired_s or 0.0)}
    by_id = {alert.id: left.pop(alert.id) for alert in would if alert.id in left}
    found: list[Difference] = []
    for alert in sorted(would, key=lambda one: one.fired_s or 0.0):
        row = by_id.get(alert.id) or next((row for row in left.values() if _overlaps(alert, row)), None)
        if row is not None:
            left.pop(row.id, None)
        found.append(Difference(change=_change(alert, row), would=alert, did=row))
    found += [
        Difference(change="gone" if row.rule in asked else "not asked", would=None, did=row) for row in left.values()
    ]
    return sorted(found, key=lambda one: one.fired_s)


def _change(alert: Alert, row: AlertRow | None) -> Change:
    if row is None:
        return "new"
    if (alert.fired_step, alert.severity) == (row.fired_step, row.severity):
        return "same"
    return "severity" if alert.fired_step == row.fired_step else "moved"


def _overlaps(alert: Alert, row: AlertRow) -> bool:
    """Whether both episodes are of one rule and go on at the same time; what has not resolved goes on."""
    ends_s = alert.resolved_s if alert.resolved_s is not None else float("inf")
    row_ends_s = row.resolved_s if row.resolved_s is not None else float("inf")
    return alert.rule == row.rule and alert.onset_s <= row_ends_s and row.onset_s <= ends_s


def difference_json(found: Difference) -> dict[str, Any]:
    """The difference as JSON values. would, did: {step, time_s, onset_step, resolved_step, severity}, or None; did also {id, answer}."""
    alert, row = found.would, found.did
    told: dict[str, Any] = {"change": found.change, "would": None, "did": None}
    if row is not None:
        told |= {"rule": row.rule, "title": str(row.detail.get("title") or row.rule)}
        told["sentence"] = str(row.detail.get("sentence", ""))
        told["did"] = {**_firing(row), "id": row.id, "answer": row.feedback}
    if alert is not None:
        told |= {"rule": alert.rule, "title": alert.title, "sentence": alert.sentence, "would": _firing(alert)}
    return told


def _firing(alert: Alert | AlertRow) -> dict[str, Any]:
    return {
        "step": alert.fired_step,
        "time_s": alert.fired_s,
        "onset_step": alert.onset_step,
        "resolved_step": alert.resolved_step,
        "severity": alert.severity,
    }
