"""`clipping_excessive` (L6): the clip bound holds back a large part of each update."""

from __future__ import annotations

from runvitals.diagnostics.rules.definition import NEAR, OK, REINFORCED, Definition, RowDetector, at, bad, too_few
from runvitals.diagnostics.rules.first_and_newest import FirstAndNewest
from runvitals.diagnostics.rules.sources import RLHF_DETAILS, ROLLOUT_CORRECTION, SB3, TRL
from runvitals.diagnostics.types import Cause, Number, Reading, Remedy, RuleSpec, RunContext, Sample, Severity

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
)

_EVERY = 5
_ENOUGH = 12


class _Detector(RowDetector):
    """The newest shares."""

    def __init__(self) -> None:
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
        if share <= 0.3:
            if share < 0.2:
                self._since = None
            return OK if share < 0.2 else NEAR
        if self._since is None:
            self._since = step
        severity: Severity = "warning" if share > 0.5 else "info"
        numbers = (
            Number(label="Clipped, median of the last 10", value=100 * share, unit="% of tokens", expected="below 30"),
        )
        return bad(
            severity, f"{share:.0%} of the tokens are clipped {at(step)}.", numbers, since=self._since, step=step
        )


def _make(context: RunContext) -> _Detector:
    return _Detector()


RULE = Definition(SPEC, _make)
