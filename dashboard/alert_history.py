"""The history of an alert in words: what the rule did, what people did, mutes, and the same rule's other episodes on the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runvitals.dashboard.alert_mutes import words
from runvitals.dashboard.formatter import count
from runvitals.store.types import AlertRow, Mute, RunInfo

_ANSWERS = {"real": "a real fault", "false_alarm": "a false alarm", "unsure": "not sure", "": "no answer any more"}


def history(
    alert: AlertRow,
    *,
    episodes: Sequence[AlertRow],
    mutes: Sequence[Mute],
    runs: Mapping[str, RunInfo],
    now_s: float,
) -> list[dict[str, Any]]:
    """Entries in order of time: {time_s, text, until_s, who, note, alert}. alert: an episode to go to, or "".

    episodes: alerts of the same rule and signal on the same run, this one among them or not. mutes: those that cover the alert.
    """
    found = _began(alert) + [_entry(alert, dict(entry)) for entry in alert.history]
    found += [_episode(other, alert) for other in episodes if other.id != alert.id and other.fired_s is not None]
    for mute in mutes:
        found += _muted(mute, alert, runs, now_s)
    return sorted(found, key=lambda entry: entry["time_s"])


def _line(time_s: float, text: str, **more: Any) -> dict[str, Any]:
    return {"time_s": time_s, "text": text, "until_s": None, "who": "", "note": "", "alert": "", **more}


def _began(alert: AlertRow) -> list[dict[str, Any]]:
    """Where the condition began, where that was before it fired."""
    if alert.fired_s is None or alert.onset_s >= alert.fired_s:
        return []
    return [_line(alert.onset_s, f"condition holds{_at(alert.onset_step)}")]


def _entry(alert: AlertRow, entry: Mapping[str, Any]) -> dict[str, Any]:
    text = str(entry.get("text", ""))
    state, _, severity = text.partition(", ")
    kind = str(entry.get("kind") or (state if state in ("firing", "resolved") else ""))  # older entries have words only
    steps = {"firing": alert.fired_step, "resolved": alert.resolved_step}
    at = _at(entry.get("step", steps.get(kind)))
    told = {
        "firing": f"fired{at}, {severity}",
        "severity": f"{severity}{at}: it became worse",
        "resolved": f"resolved by itself{at}",
        "pending": f"pending{at}",
        "acknowledged": "acknowledged",
        "unacknowledged": "acknowledgement taken back",
        "feedback": f"was this right? {_ANSWERS.get(text.removeprefix('feedback: '), text)}",
    }.get(kind, text)
    note = text.removeprefix("acknowledged").removeprefix(": ") if kind == "acknowledged" else ""
    return _line(float(entry["time_s"]), told, who=str(entry.get("who", "")), note=note)


def _episode(other: AlertRow, alert: AlertRow) -> dict[str, Any]:
    time_s = float(other.fired_s or other.onset_s)
    again = "fired again" if time_s > (alert.fired_s or alert.onset_s) else "had fired before"
    over = f", resolved{_at(other.resolved_step)}" if other.state == "resolved" else ", fires still"
    return _line(time_s, f"{again}{_at(other.fired_step)}, {other.severity}{over}", alert=other.id)


def _muted(mute: Mute, alert: AlertRow, runs: Mapping[str, RunInfo], now_s: float) -> list[dict[str, Any]]:
    """When it was muted, by whom and until when, and when that ended; nothing of a mute that was over before, or made after."""
    ended_s = mute.until_s if mute.ended_s is None else mute.ended_s
    if ended_s <= alert.onset_s or (alert.resolved_s is not None and mute.since_s >= alert.resolved_s):
        return []
    what = "" if mute.alert_id is not None else f": {words(mute, runs, {})}"
    lines = [_line(mute.since_s, f"muted{what}", until_s=mute.until_s, who=mute.who, note=mute.note)]
    if mute.ended_s is not None:
        lines.append(_line(mute.ended_s, f"mute ended{what}", who=mute.ended_by))
    elif mute.until_s <= now_s:
        lines.append(_line(mute.until_s, f"mute ran out{what}"))
    return lines


def _at(step: Any) -> str:
    return f" at step {count(step)}" if isinstance(step, int) else ""
