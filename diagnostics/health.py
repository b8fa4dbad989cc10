"""The health of a run: the worst firing alert, or healthy only where the rules that matter for its trainer judge it, and lately did.

Healthy is never called correct, and never said of a run that nothing looks at. Time plays no part: an ended run keeps its last word.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Set
from itertools import pairwise
from statistics import median
from typing import Literal

from runvitals.diagnostics.types import Alert, Reading

Health = Literal["unknown", "healthy", "warning", "critical"]

_SUPERVISED = ("loss_divergence",)
_PREFERENCE = ("loss_divergence", "margin_stagnant")
_REINFORCED = ("kl_blowup", "entropy_collapse", "zero_advantage_groups")

JUDGED_BY: Mapping[str, frozenset[str]] = {
    "loss_divergence": frozenset({"loss"}),
    "margin_stagnant": frozenset({"reward_margin"}),
    "kl_blowup": frozenset({"kl", "sequence_kl"}),
    "entropy_collapse": frozenset({"entropy", "sequence_entropy"}),
    "zero_advantage_groups": frozenset({"zero_std_fraction", "reward_std"}),
}
"""The signals of a core rule, one of which it needs; the others that it reads are companions."""

CORE: Mapping[str, tuple[str, ...]] = {
    "pretrain": _SUPERVISED,
    "sft": _SUPERVISED,
    "reward": _PREFERENCE,
    "dpo": _PREFERENCE,
    "kto": _PREFERENCE,
    "orpo": _PREFERENCE,
    "ppo": _REINFORCED,
    "grpo": _REINFORCED,
    "rloo": _REINFORCED,
    "custom": _SUPERVISED,
}
"""For each trainer, the rules without which nothing good can be said, beside `ALWAYS`. All whose signals are logged must judge."""

BY_NEWEST = frozenset({"margin_stagnant"})
"""Core rules of which the newest answer counts, and not that they judged lately: a flat margin that cannot be told yet, or looks
bad for the first time, is not healthy."""

ALWAYS = "non_finite"
"""Belongs to the core of every trainer: a run whose numbers nobody looks at is not healthy, whatever else is said of them."""

_PATIENCE_STEPS = 200
_PATIENCE_FACTOR = 20
_GAPS = 64


class Freshness:
    """How many steps ago a rule last judged, and how many usually lie between its answers. A rule that cannot judge yet answers too."""

    def __init__(self) -> None:
        """Nothing was judged."""
        # Answers come with every row and the question comes rarely, so gaps are worked out when it is asked.
        self._answered_at: deque[int] = deque(maxlen=_GAPS + 1)
        self._judged_at: int | None = None

    def note(self, reading: Reading, at: int) -> None:
        """Takes an answer. at: the steps that the run had travelled."""
        self._answered_at.append(at)
        if reading.state != "unknown":
            self._judged_at = at

    def is_fresh(self, at: int) -> bool:
        """True where the rule has judged, at most 200 steps ago or twenty times as many as usually lie between its answers."""
        if self._judged_at is None:
            return False
        gaps = [later - earlier for earlier, later in pairwise(self._answered_at)]
        usual = median(gaps) if gaps else 0.0
        return at - self._judged_at <= max(_PATIENCE_STEPS, _PATIENCE_FACTOR * usual)


def health(firing: Iterable[Alert], *, judging: Set[str], broken: bool, logged: Set[str], trainer: str) -> Health:
    """The worst severity above info that fires uninhibited; else healthy where no rule broke and the core rules judge, else unknown.

    judging: the rules whose last judgement is fresh. broken: a rule that applies to this run has failed.
    logged: the signals that were logged at least once.
    """
    severities = {alert.severity for alert in firing if not alert.inhibited_by}
    if "critical" in severities:
        return "critical"
    if "warning" in severities:
        return "warning"
    core = {name for name in CORE.get(trainer, _SUPERVISED) if JUDGED_BY[name] & logged}
    return "healthy" if core and not broken and {ALWAYS, *core} <= judging else "unknown"
