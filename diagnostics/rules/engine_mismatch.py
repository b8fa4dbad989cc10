"""`engine_mismatch` (L10): the engine that samples gives other probabilities than the one that trains."""

from __future__ import annotations

from runvitals.diagnostics.rules.definition import (
    NEAR,
    OK,
    REINFORCED,
    Definition,
    RowDetector,
    at,
    bad,
    short,
    too_few,
)
from runvitals.diagnostics.rules.first_and_newest import FirstAndNewest
from runvitals.diagnostics.rules.sources import RLHF_DETAILS, ROLLOUT_CORRECTION
from runvitals.diagnostics.types import Cause, Number, Reading, Remedy, RuleSpec, RunContext, Sample, Severity

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
)

_EVERY = 4
_ENOUGH = 10


class _Detector(RowDetector):
    """The newest ratios and gaps."""

    def __init__(self) -> None:
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
        if away <= 1.1 and gap <= 0.1:
            if away < 1.07 and gap < 0.07:
                self._since = None
                return OK
            return NEAR
        if self._since is None:
            self._since = step
        severity: Severity = "critical" if away > 2.0 else "warning" if away > 1.25 or gap > 0.5 else "info"
        numbers = (
            Number(label="Sampling ratio, median of 5", value=ratio, expected="0.9 to 1.1"),
            Number(label="Gap of log-probabilities, median of 5", value=gap, unit="nats", expected="below 0.1"),
        )
        sentence = f"Training and sampling engine disagree {at(step)}: the importance ratio is {short(ratio)}, the gap {short(gap)} nats."
        return bad(severity, sentence, numbers, since=self._since, step=step)


def _make(context: RunContext) -> _Detector:
    return _Detector()


RULE = Definition(SPEC, _make)
