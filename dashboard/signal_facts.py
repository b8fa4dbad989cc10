"""What a metric is, for those who hover over its name: meaning, unit, healthy range, and which way is good."""

from __future__ import annotations

from runvitals.diagnostics.signals import SIGNALS, canonical

_WAYS = {
    "up": "higher",
    "down": "lower",
    "target": "within a range, neither too low nor too high",
    "none": "",
}
_UNKNOWN = "Logged by the training script under this name; no signal of runvitals stands for it, and no rule reads it."


def about(signal: str | None, key: str) -> dict[str, str]:
    """The facts of one curve as the component takes them; without a signal, where it comes from. key: as logged."""
    known = SIGNALS.get(signal or "")
    if known is None:
        return {"title": key, "key": "", "meaning": _UNKNOWN, "unit": "", "healthy": "", "better": ""}
    meaning = known.meaning[:1].upper() + known.meaning[1:]
    return {
        "title": known.title,
        "key": key,
        "meaning": f"{meaning}.",
        "unit": known.unit,
        "healthy": known.healthy,
        "better": _WAYS[known.direction],
    }


def about_key(key: str) -> dict[str, str]:
    """The facts of the curve that is logged under this key."""
    return about(canonical(key), key)


def value_kind(signal: str) -> str:
    """How a signal's numbers are written: margins and their like carry a sign, rewards and distances only a minus."""
    known = SIGNALS.get(signal)
    if known is None:
        return "plain"
    return "plain" if known.kind == "signed" and known.group == "policy" else known.kind
