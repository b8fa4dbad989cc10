"""The health of a run: the worst firing alert, or healthy only where the rules that matter for its trainer have judged it.

Healthy is never called correct, and never said of a run that nothing looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Literal

from runvitals.diagnostics.lifecycle import Track
from runvitals.diagnostics.types import Alert

Health = Literal["unknown", "healthy", "warning", "critical"]

_SUPERVISED = ("loss_divergence",)
_REINFORCED = ("kl_blowup", "entropy_collapse", "zero_advantage_groups")

JUDGED_BY: Mapping[str, frozenset[str]] = {
    "loss_divergence": frozenset({"loss"}),
    "kl_blowup": frozenset({"kl", "sequence_kl"}),
    "entropy_collapse": frozenset({"entropy", "sequence_entropy"}),
    "zero_advantage_groups": frozenset({"zero_std_fraction", "reward_std"}),
}
"""The signals of a core rule, one of which it needs; the others that it reads are companions."""

CORE: Mapping[str, tuple[str, ...]] = {
    "pretrain": _SUPERVISED,
    "sft": _SUPERVISED,
    "reward": _SUPERVISED,
    "dpo": _SUPERVISED,
    "kto": _SUPERVISED,
    "orpo": _SUPERVISED,
    "ppo": _REINFORCED,
    "grpo": _REINFORCED,
    "rloo": _REINFORCED,
    "custom": _SUPERVISED,
}
"""For each trainer, the rules without which nothing good can be said. Of those whose signals are logged, all must have judged."""


def health(firing: Iterable[Alert], tracks: Mapping[str, Track], *, logged: Set[str], trainer: str) -> Health:
    """The worst severity above info that fires uninhibited; else healthy where the core rules have judged, else unknown.

    logged: the signals that were logged at least once.
    """
    severities = {alert.severity for alert in firing if not alert.inhibited_by}
    if "critical" in severities:
        return "critical"
    if "warning" in severities:
        return "warning"
    core = [tracks[name] for name in CORE.get(trainer, _SUPERVISED) if name in tracks and JUDGED_BY[name] & logged]
    return "healthy" if core and all(track.judged and not track.error for track in core) else "unknown"
