"""`clipping_excessive` (L6): the clip bound holds back a large part of each update."""

from __future__ import annotations

from dataclasses import dataclass

from runvitals.diagnostics.limits import Adjustable, described, in_order, limit
from runvitals.diagnostics.rules.definition import NEAR, OK, REINFORCED, RowDetector, at, bad, short, too_few
from runvitals.diagnostics.rules.first_and_newest import FirstAndNewest
from runvitals.diagnostics.rules.sources import RLHF_DETAILS, ROLLOUT_CORRECTION, SB3, TRL
from runvitals.diagnostics.types import Cause, Number, Reading, Remedy, RuleSpec, RunContext, Sample, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Share of tokens that may be clipped."""

    info: float = limit(0.3, "share of tokens, for information", least=0.01, most=1.0)
    warning: float = limit(0.5, "share of tokens, for a warning", least=0.01, most=1.0)

    def __post_init__(self) -> None:
        in_order(self, "info", "warning")


SPEC = RuleSpec(
    name="clipping_excessive",
    code="L6",
    title="Too much is clipped",
    family="policy",
    summary="The median share of clipped tokens over the last ten rows is above 30 % (information) or above 50 % (a warning).",
    main_signal="clip_fraction",
    signals=("clip_fraction",),
    trainers=(*REINFORCED, "custom"),
    hold=2,
    clear=3,
    causes=(
        Cause(text="The learning rate is too high, or there are too many epochs over one batch"),
        Cause(text="The clip range is narrow for ratios of whole sequences"),
        Cause(text="Training and sampling engine give different log-probabilities"),
    ),
    remedies=(
        Remedy(text="Fewer epochs over a batch, or a lower learning rate", **RLHF_DETAILS),
        Remedy(text="Larger minibatches", **SB3),
        Remedy(text="Widen the clip range where ratios are of sequences (GSPO)", **TRL),
        Remedy(text="Compare the log-probabilities of the training and the sampling engine", **ROLLOUT_CORRECTION),
    ),
    false_alarms="Ratios of whole sequences are clipped far more by design. One update for each batch clips nothing, which is no fault.",
    source="Stable-Baselines3 shows 0.24 in a good run at clip range 0.2; rule catalogue L6 with its critical line as a warning",
    needs="clip fraction, 12 points",
    limits=described(Limits),
)

_EVERY = 5
_ENOUGH = 12


class _Detector(RowDetector):
    """The newest shares."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._share = FirstAndNewest(first=1)
        self._since: int | None = None

    def update(self, sample: Sample) -> Reading | None:
        """Takes a row; judges every fifth."""
        if not self._share.add(sample.signals.get("clip_fraction")):
            return None
        count = self._share.count
        if count < _ENOUGH:
            return too_few(_ENOUGH, count, "clip fraction")
        return self._judge(sample.step) if count % _EVERY == 0 else None

    def _judge(self, step: int | None) -> Reading:
        share = self._share.now()
        if share <= self._limits.info:
            is_clear = share < self._limits.info * 2 / 3
            if is_clear:
                self._since = None
            return OK if is_clear else NEAR
        if self._since is None:
            self._since = step
        severity: Severity = "warning" if share > self._limits.warning else "info"
        numbers = (
            Number(
                label="Clipped, median of the last 10",
                value=100 * share,
                unit="% of tokens",
                expected=f"below {short(100 * self._limits.info)}",
            ),
        )
        return bad(
            severity, f"{share:.0%} of the tokens are clipped {at(step)}.", numbers, since=self._since, step=step
        )


def _make(context: RunContext, limits: Limits) -> _Detector:
    return _Detector(limits)


RULE = Adjustable(SPEC, Limits(), _make)
