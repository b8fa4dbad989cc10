"""`engine_mismatch` (L10): the engine that samples gives other probabilities than the one that trains."""

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
from runvitals.diagnostics.rules.sources import RLHF_DETAILS, ROLLOUT_CORRECTION
from runvitals.diagnostics.types import Cause, Number, Reading, Remedy, RuleSpec, RunContext, Sample, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far the two engines may be apart."""

    info: float = limit(1.1, "importance ratio, or one over it, for information", least=1.01, most=100.0)
    warning: float = limit(1.25, "the same, for a warning", least=1.01, most=100.0)
    critical: float = limit(2.0, "the same, for a critical alert", least=1.01, most=100.0)
    gap: float = limit(0.1, "gap of log-probabilities, for information", least=0.001, most=10.0, unit="nats")
    gap_warning: float = limit(0.5, "the same, for a warning", least=0.001, most=10.0, unit="nats")

    def __post_init__(self) -> None:
        in_order(self, "info", "warning", "critical")
        in_order(self, "gap", "gap_warning")


SPEC = RuleSpec(
    name="engine_mismatch",
    code="L10",
    title="Training and sampling disagree",
    family="policy",
    summary="The median importance ratio of the last five rows lies outside 0.9 to 1.1 (information), 0.8 to 1.25 (a warning) or 0.5 to 2 (critical); or the gap of log-probabilities is above 0.1 nat (information), 0.5 nat (a warning).",
    main_signal="importance_ratio",
    signals=("importance_ratio", "logp_difference"),
    trainers=(*REINFORCED, "custom"),
    hold=2,
    clear=3,
    causes=(
        Cause(text="The sampling engine has old weights"),
        Cause(text="Precision, kernels or quantisation differ"),
        Cause(text="Temperature or top-p is not taken into account"),
    ),
    remedies=(
        Remedy(text="Check that weights are sent before each rollout"),
        Remedy(
            text="Use truncated importance sampling", detail="Keeps the gap out of the gradient", **ROLLOUT_CORRECTION
        ),
        Remedy(text="Same precision on both sides, the last layer in fp32", **ROLLOUT_CORRECTION),
        Remedy(text="Divide logits by the sampling temperature in training too", **RLHF_DETAILS),
    ),
    false_alarms="Asynchronous rollouts are a few updates old by design. Reports after truncation hide the tails.",
    source="verl, rollout correction (0.5 to 2); rule catalogue L10",
    needs="sampling ratio or gap, 10 points",
    limits=described(Limits),
)

_EVERY = 4
_ENOUGH = 10


class _Detector(RowDetector):
    """The newest ratios and gaps."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._ratio = FirstAndNewest(first=1, newest=5)
        self._gap = FirstAndNewest(first=1, newest=5)
        self._rows = 0
        self._since: int | None = None

    def update(self, sample: Sample) -> Reading | None:
        """Takes a row; judges every fourth."""
        taken = self._ratio.add(sample.signals.get("importance_ratio"))
        if not self._gap.add(sample.signals.get("logp_difference")) and not taken:
            return None
        self._rows += 1
        if self._rows < _ENOUGH:
            return too_few(_ENOUGH, self._rows, "sampling ratio")
        return self._judge(sample.step) if self._rows % _EVERY == 0 else None

    def _judge(self, step: int | None) -> Reading:
        ratio = self._ratio.now() if self._ratio.count else 1.0
        gap = abs(self._gap.now()) if self._gap.count else 0.0
        away = max(ratio, 1.0 / ratio) if ratio > 0.0 else 9.0
        limits = self._limits
        if away <= limits.info and gap <= limits.gap:
            if away < 1.0 + 0.7 * (limits.info - 1.0) and gap < 0.7 * limits.gap:
                self._since = None
                return OK
            return NEAR
        if self._since is None:
            self._since = step
        severity: Severity = (
            "critical"
            if away > limits.critical
            else "warning"
            if away > limits.warning or gap > limits.gap_warning
            else "info"
        )
        numbers = (
            Number(
                label="Sampling ratio, median of 5", value=ratio, expected=f"{1 / limits.info:.2g} to {limits.info:g}"
            ),
            Number(
                label="Gap of log-probabilities, median of 5", value=gap, unit="nats", expected=f"below {limits.gap:g}"
            ),
        )
        sentence = f"Training and sampling engine disagree {at(step)}: the importance ratio is {short(ratio)}, the gap {short(gap)} nats."
        return bad(severity, sentence, numbers, since=self._since, step=step)


def _make(context: RunContext, limits: Limits) -> _Detector:
    return _Detector(limits)


RULE = Adjustable(SPEC, Limits(), _make)
