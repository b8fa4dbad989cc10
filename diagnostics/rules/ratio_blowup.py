"""`ratio_blowup` (L5): single updates move the policy too far."""

from __future__ import annotations

from dataclasses import dataclass

from runvitals.diagnostics.limits import Adjustable, described, in_order, limit
from runvitals.diagnostics.rules.definition import (
    NEAR,
    OK,
    REINFORCED,
    RowDetector,
    at,
    bad,
    short,
    too_few,
)
from runvitals.diagnostics.rules.first_and_newest import FirstAndNewest
from runvitals.diagnostics.rules.sources import RLHF_DETAILS, SB3, TRL
from runvitals.diagnostics.types import Cause, Number, Reading, Remedy, RuleSpec, RunContext, Sample, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far one update may move the policy."""

    warning: float = limit(1.25, "policy ratio, or one over it, for a warning", least=1.01, most=100.0)
    critical: float = limit(2.0, "the same, for a critical alert", least=1.01, most=100.0)
    kl_warning: float = limit(0.1, "KL of an update, for a warning", least=0.001, most=100.0, unit="nats")
    kl_critical: float = limit(1.0, "the same, for a critical alert", least=0.001, most=100.0, unit="nats")

    def __post_init__(self) -> None:
        in_order(self, "warning", "critical")
        in_order(self, "kl_warning", "kl_critical")


SPEC = RuleSpec(
    name="ratio_blowup",
    code="L5",
    title="Updates are too drastic",
    family="policy",
    summary="The median of the last three mean probability ratios lies outside 0.8 to 1.25 (a warning), or outside 0.5 to 2 (critical); or the median of the last five update KLs is above 0.1 nat (a warning), or 1 nat (critical).",
    main_signal="policy_ratio",
    signals=("policy_ratio", "approx_kl"),
    trainers=(*REINFORCED, "custom"),
    hold=2,
    clear=3,
    causes=(
        Cause(text="The learning rate is too high, or there are too many epochs over one batch"),
        Cause(text="Old log-probabilities are computed in another way: dropout, precision, padding, temperature"),
        Cause(text="Few tokens with huge advantages"),
    ),
    remedies=(
        Remedy(
            text="Fewer epochs over a batch, or smaller steps",
            detail="2.0 or 0.1 means updates that are too drastic",
            **TRL,
        ),
        Remedy(text="Stop the epochs of a batch at a target KL", **SB3),
        Remedy(text="Turn dropout off; compute both log-probabilities in one precision", **RLHF_DETAILS),
        Remedy(text="Whiten advantages, clip the ratio at 0.2", **RLHF_DETAILS),
    ),
    false_alarms="A single large update, as in the first step, is none. With one update for each batch the ratio is 1 by definition.",
    source="TRL (val/ratio floats around 1); rule catalogue L5",
    needs="val/ratio or the KL of updates, 6 points",
    limits=described(Limits),
)

_EVERY = 3
_ENOUGH = 6


class _Detector(RowDetector):
    """The newest ratios and update KLs."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._ratio = FirstAndNewest(first=1, newest=3)
        self._kl = FirstAndNewest(first=1, newest=5)
        self._since: int | None = None

    def update(self, sample: Sample) -> Reading | None:
        """Takes a row; judges every third."""
        taken = self._ratio.add(sample.signals.get("policy_ratio"))
        kl = sample.signals.get("approx_kl")
        if not self._kl.add(None if kl is None else abs(kl)) and not taken:
            return None
        count = max(self._ratio.count, self._kl.count)
        if count < _ENOUGH:
            return too_few(_ENOUGH, count, "update ratios")
        return self._judge(sample.step) if count % _EVERY == 0 else None

    def _judge(self, step: int | None) -> Reading:
        ratio = self._ratio.now() if self._ratio.count >= 3 else 1.0
        kl = self._kl.now() if self._kl.count >= 5 else 0.0
        away = max(ratio, 1.0 / ratio) if ratio > 0.0 else 9.0
        limits = self._limits
        if away <= limits.warning and kl <= limits.kl_warning:
            is_clear = kl < 0.6 * limits.kl_warning and away < 1.0 + 0.6 * (limits.warning - 1.0)
            self._since = None if is_clear else self._since
            return OK if is_clear else NEAR
        if self._since is None:
            self._since = step
        severity: Severity = "critical" if away > limits.critical or kl > limits.kl_critical else "warning"
        if away > limits.warning:
            sentence = f"The mean ratio of new to old policy is {short(ratio)} {at(step)}; it should float around 1."
        else:
            sentence = f"One update moves the policy by {short(kl)} nats {at(step)}; 0.02 to 0.05 is usual."
        numbers = [
            Number(
                label="Policy ratio, median of 3",
                value=ratio,
                expected=f"{1 / limits.warning:.2g} to {limits.warning:g}",
            ),
            Number(label="Update KL, median of 5", value=kl, unit="nats", expected=f"below {limits.kl_warning:g}"),
        ]
        return bad(severity, sentence, numbers, since=self._since, step=step)


def _make(context: RunContext, limits: Limits) -> _Detector:
    return _Detector(limits)


RULE = Adjustable(SPEC, Limits(), _make)
