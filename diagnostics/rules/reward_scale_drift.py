"""`reward_scale_drift` (P8): a reward model's scores run away from zero, which the loss does not see."""

from __future__ import annotations

from dataclasses import dataclass

from runvitals.diagnostics.limits import Adjustable, described, limit
from runvitals.diagnostics.rules.definition import NEAR, OK, RowDetector, at, bad, short, too_few
from runvitals.diagnostics.rules.first_and_newest import FirstAndNewest
from runvitals.diagnostics.rules.sources import RLHF_DETAILS, TRL
from runvitals.diagnostics.types import Cause, Number, Reading, Remedy, RuleSpec, RunContext, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far the scale may move."""

    moved: float = limit(5.0, "units, and times the margin, that the mean reward has moved", least=0.1, most=1000.0)
    wider: float = limit(4.0, "times as wide as at the start", least=1.1, most=1000.0)


SPEC = RuleSpec(
    name="reward_scale_drift",
    code="P8",
    title="Reward scale drifts",
    family="preference",
    summary="The mean reward has moved by 5 units and by 5 times the margin since the start; or the range from lowest to highest reward is 4 times that of the start. Information: the loss only sees differences.",
    main_signal="mean_reward",
    signals=("mean_reward", "min_reward", "max_reward", "reward_margin"),
    trainers=("reward",),
    hold=2,
    clear=3,
    causes=(
        Cause(text="Nothing holds the zero point: the loss only sees differences"),
        Cause(text="The learning rate is too high"),
    ),
    remedies=(
        Remedy(text="Centre the rewards: center_rewards_coefficient=0.01", **TRL),
        Remedy(text="Normalise rewards to mean 0 and variance 1 before using them in RL", **RLHF_DETAILS),
        Remedy(text="Lower the learning rate", **TRL),
    ),
    false_alarms="Harmless where rewards are normalised before use.",
    source="Bradley-Terry is blind to shifts; rule catalogue P8, as information",
    needs="mean reward, 30 points",
    limits=described(Limits),
)

_EVERY = 10


class _Detector(RowDetector):
    """Mean, range and margin at the start and now."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._mean = FirstAndNewest()
        self._range = FirstAndNewest()
        self._margin = FirstAndNewest(first=1)

    def update(self, sample: Sample) -> Reading | None:
        """Takes a row; judges every tenth."""
        signals = sample.signals
        low, high = signals.get("min_reward"), signals.get("max_reward")
        self._range.add(None if low is None or high is None else high - low)
        self._margin.add(signals.get("reward_margin"))
        if not self._mean.add(signals.get("mean_reward")) or self._mean.count % _EVERY:
            return None
        if self._mean.count < 30:
            return too_few(30, self._mean.count, "mean reward")
        moved = abs(self._mean.now() - self._mean.began())
        margin = abs(self._margin.now()) if self._margin.count else 0.0
        wider = self._range.now() / self._range.began() if self._range.full and self._range.began() > 0.0 else 0.0
        line = self._limits.moved * max(1.0, margin)
        if not (moved > line or wider > self._limits.wider):
            return OK if moved < 0.8 * line and wider < 0.75 * self._limits.wider else NEAR
        numbers = [
            Number(label="Mean reward", value=self._mean.now(), expected="near 0"),
            Number(label="Mean reward at the start", value=self._mean.began()),
        ]
        if wider:
            numbers.append(
                Number(label="Range against the start", value=wider, unit="×", expected=f"below {self._limits.wider:g}")
            )
        sentence = (
            f"The mean reward is {short(self._mean.now())} {at(sample.step)}, {short(self._mean.began())} at the start"
        )
        sentence += f"; the range is {short(wider)} times as wide." if wider > self._limits.wider else "."
        return bad("info", sentence, numbers, since=None, step=sample.step)


def _make(context: RunContext, limits: Limits) -> _Detector:
    return _Detector(limits)


RULE = Adjustable(SPEC, Limits(), _make)
