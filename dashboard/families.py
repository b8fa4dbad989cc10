"""Which alerts a chart or a section of charts shows: those on its own curves, however a library spells or scales them.

A rule reads one signal (`kl`), while the chart may show its twin (`sequence_kl`, or an evaluation): for a reader it is the same curve.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from runvitals.store.types import AlertRow

_TWINS = {
    "sequence_kl": "kl",
    "sequence_entropy": "entropy",
    "rlhf_reward": "reward",
    "eos_fraction": "eos_tokens",
    "truncated_fraction": "eos_tokens",
}


def family(signal: str) -> str:
    """The name that all spellings of one curve share."""
    plain = signal.removeprefix("eval_")
    return _TWINS.get(plain, plain)


def shown(alerts: Iterable[AlertRow]) -> list[AlertRow]:
    """The alerts that are drawn: not informational ones, nor those that another one explains."""
    return [alert for alert in alerts if alert.severity != "info" and not alert.detail.get("inhibited_by")]


def about(signals: Iterable[str], alerts: Iterable[AlertRow]) -> list[AlertRow]:
    """The alerts on any of these signals' families."""
    families = {family(signal) for signal in signals}
    return [alert for alert in alerts if family(alert.signal) in families]


def worst_firing(alerts: Sequence[AlertRow]) -> AlertRow | None:
    """The worst of the alerts that fire now, of equals the one that began first; None where none fires."""
    firing = [alert for alert in alerts if alert.state == "firing"]
    return min(firing, key=lambda alert: (alert.severity != "critical", alert.onset_s), default=None)
