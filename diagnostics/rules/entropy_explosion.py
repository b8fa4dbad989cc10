"""`entropy_explosion` (L4): the policy becomes ever less decided, and gains nothing by it."""

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
from runvitals.diagnostics.rules.reward_course import RewardCourse
from runvitals.diagnostics.rules.sources import DAPO, ENTROPY, ROLLOUT_CORRECTION, TRL
from runvitals.diagnostics.types import Cause, Number, Reading, Remedy, RuleSpec, RunContext, Sample, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far entropy may rise."""

    times: float = limit(2.5, "times the entropy at the start", least=1.1, most=100.0)
    critical: float = limit(4.0, "times the entropy at the start, for a critical alert", least=1.1, most=100.0)

    def __post_init__(self) -> None:
        in_order(self, "times", "critical")


SPEC = RuleSpec(
    name="entropy_explosion",
    code="L4",
    title="Entropy explodes",
    family="policy",
    summary="Entropy is 2.5 times what the run began with, and half a nat above it where it is per token (information); a warning where the reward has gained nothing, critical from 4 times where it has fallen.",
    main_signal="entropy",
    signals=("entropy", "sequence_entropy", "reward"),
    trainers=(*REINFORCED, "custom"),
    hold=2,
    clear=5,
    causes=(
        Cause(text="The entropy bonus, or the upper clip bound, is too large"),
        Cause(text="The learning rate is too high: the policy forgets its language"),
        Cause(text="Training and sampling disagree: temperature, precision, templates"),
        Cause(text="Truncated answers are rewarded at random"),
    ),
    remedies=(
        Remedy(text="Read ten answers of now: gibberish, mixed languages, no end"),
        Remedy(
            text="Lower the entropy coefficient or epsilon_high",
            detail="Clip-higher runs rise to 2 nats and lose quality",
            **DAPO,
        ),
        Remedy(text="Halve the learning rate", **ENTROPY),
        Remedy(text="Leave truncated answers out of the loss (mask_truncated_completions)", **TRL),
        Remedy(text="Compare the log-probabilities of the training and the sampling engine", **ROLLOUT_CORRECTION),
    ),
    false_alarms="Policies that begin nearly decided may double their entropy and do well: without a loss of reward it is information.",
    source="rule catalogue L4 (2 times), raised to 2.5 as healthy PPO runs reach 1.7; measured on tiny GRPO runs",
    needs="entropy and reward, 15 points",
    limits=described(Limits),
)

_EVERY = 4
_PER_TOKEN_NAT = 0.5


class _Detector(RowDetector):
    """Entropy of the first rows and of the newest, and what the reward does."""

    def __init__(self, rewards: RewardCourse, limits: Limits) -> None:
        self._limits = limits
        self._rewards = rewards
        self._level = FirstAndNewest(first=5, newest=5)
        self._signal = ""
        self._since: int | None = None

    def update(self, sample: Sample) -> Reading | None:
        """Takes a row; judges every fourth."""
        self._rewards.read(sample)
        if not self._signal:
            self._signal = "entropy" if "entropy" in sample.signals else "sequence_entropy"
        if not self._level.add(sample.signals.get(self._signal)):
            return None
        if self._level.count < 15:
            return too_few(15, self._level.count, "entropy")
        return self._judge(sample.step) if self._level.count % _EVERY == 0 else None

    def _judge(self, step: int | None) -> Reading:
        began, now = self._level.began(), self._level.now()
        if began <= 0.0:
            return Reading(state="unknown", reason="needs an entropy above 0 at the start")
        ratio = now / began
        enough = self._signal != "entropy" or now - began > _PER_TOKEN_NAT
        high = self._limits.times
        if ratio <= high or not enough:
            if ratio < 0.7 * high:
                self._since = None
            return OK if ratio < 0.7 * high else NEAR
        if self._since is None:
            self._since = step
        severity: Severity = "info" if self._rewards.gained() or self._rewards.level.count < 16 else "warning"
        if severity == "warning" and ratio > self._limits.critical and self._rewards.lost():
            severity = "critical"
        reward = self._rewards.level
        sentence = f"Entropy is {short(now)} {at(step)}, {short(ratio)} times the {short(began)} it began with"
        sentence += "; the reward has gained nothing." if severity != "info" else "."
        numbers = (
            Number(
                label="Entropy, median of the last 5", value=now, unit="nats", expected=f"below {short(high * began)}"
            ),
            Number(label="Entropy at the start", value=began, unit="nats"),
            Number(label="Reward, median of the last 20", value=reward.now(), expected="rising"),
            Number(label="Reward at the start", value=reward.began()),
        )
        return bad(severity, sentence, numbers, since=self._since, step=step)


def _make(context: RunContext, limits: Limits) -> _Detector:
    return _Detector(RewardCourse.of_run(context), limits)


RULE = Adjustable(SPEC, Limits(), _make)
