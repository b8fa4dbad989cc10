"""`kl_blowup` (L1): the policy runs away from its reference."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from runvitals.diagnostics.baseline import Window
from runvitals.diagnostics.limits import Adjustable, described, in_order, limit
from runvitals.diagnostics.rules.definition import (
    NEAR,
    OK,
    REINFORCED,
    RowDetector,
    at,
    short,
    too_few,
)
from runvitals.diagnostics.rules.masks import Resumes
from runvitals.diagnostics.rules.reward_course import RewardCourse
from runvitals.diagnostics.rules.sources import OVEROPTIMISATION, RLHF_DETAILS, TRL
from runvitals.diagnostics.timeline import Timeline
from runvitals.diagnostics.types import Cause, Evidence, Number, Reading, Remedy, RuleSpec, RunContext, Sample, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far the policy may move."""

    warning: float = limit(1.5, "times the entropy at the start, for a warning", least=0.1, most=100.0)
    critical: float = limit(4.0, "times the entropy at the start, for a critical alert", least=0.1, most=100.0)
    per_token: float = limit(
        2.0, "KL for a warning where no entropy is logged", least=0.01, most=100.0, unit="nats per token"
    )

    def __post_init__(self) -> None:
        in_order(self, "warning", "critical")


SPEC = RuleSpec(
    name="kl_blowup",
    code="L1",
    title="KL blows up",
    family="policy",
    summary="The median of the last 5 KL values exceeds 1.5 times the entropy that the policy began with, both per token or both per "
    "answer: the policy has moved further than it was ever undecided. Where the reward still rises only from 4 times. Critical from "
    "4 times, or where entropy has halved. "
    "Without entropy: above 2 nats per token, or 30 times its own level.",
    main_signal="kl",
    signals=("kl", "sequence_kl", "entropy", "sequence_entropy", "reward", "completion_length"),
    trainers=(*REINFORCED, "custom"),
    hold=3,
    clear=10,
    causes=(
        Cause(text="The KL penalty is off or too small"),
        Cause(text="The learning rate is too high, or there are too many epochs over one batch of answers"),
        Cause(text="The policy has found answers that the reward model overrates"),
        Cause(text="Sampling and training use different temperatures", likelihood="unlikely"),
    ),
    remedies=(
        Remedy(
            text="Raise kl_coef (PPO) or beta (GRPO)",
            detail="Twofold at a time; the reward then rises more slowly",
            **TRL,
        ),
        Remedy(text="Use an adaptive KL coefficient (target 6 nats, horizon 10,000)", **RLHF_DETAILS),
        Remedy(text="Halve the learning rate, or take fewer PPO epochs", **RLHF_DETAILS),
        Remedy(
            text="Read ten answers from before and after the onset",
            detail="A reward that rises with KL is the proxy's, not yours",
            **OVEROPTIMISATION,
        ),
    ),
    false_alarms="Recipes without a KL term (beta 0) drift on purpose; a single value that recovers at once is none. After a resume only "
    "new values count, against the start of the run.",
    source="TRL how-to on PPO metrics; Gao et al. 2022; measured on tiny PPO and GRPO runs",
    needs="kl or objective/kl, 10 points",
    limits=described(Limits),
)

_ENOUGH = 10
_LEAP = 30.0
_MATERIAL = {"kl": 0.2, "sequence_kl": 5.0}
"""Nats below which no KL is worth an alert, whatever it is compared with."""
_MATERIAL_LEAP = {"kl": 0.5, "sequence_kl": 20.0}
_OVERWHELMING = 50.0
_ENOUGH_OVERWHELMING = 5


class _Detector(RowDetector):
    """The newest KL against the entropy of the first rows, and against its own earlier level."""

    def __init__(self, timeline: Timeline, rewards: RewardCourse, limits: Limits) -> None:
        self._resumes = Resumes(timeline)
        self._limits = limits
        self._count = 0
        self._rewards = rewards
        self._newest = Window(5)
        self._waiting: deque[float] = deque(maxlen=5)
        self._level = Window(64)
        self._first_entropy = Window(5)
        self._entropy = Window(5)
        self._first_reward = Window(10)
        self._reward = Window(5)
        self._signal = ""
        self._since: int | None = None

    def update(self, sample: Sample) -> Reading | None:
        signals = sample.signals
        if self._resumes.is_new():
            self._forget_newest()
        if not self._signal:
            self._signal = "sequence_kl" if "sequence_kl" in signals else "kl" if "kl" in signals else ""
        self._take_companions(sample)
        kl = signals.get(self._signal)
        if kl is None or kl - kl != 0.0:
            return None
        self._count += 1
        self._newest.add(kl)
        if len(self._waiting) == 5:
            self._level.add(self._waiting[0])
        self._waiting.append(kl)
        if self._count < _ENOUGH_OVERWHELMING:
            return too_few(_ENOUGH, self._count, "KL")
        median = self._newest.median()
        ratio = self._ratio(median)
        if self._count < _ENOUGH and ratio <= _OVERWHELMING:
            return too_few(_ENOUGH, self._count, "KL")
        return self._judge(median, ratio, sample.step)

    def _forget_newest(self) -> None:
        """After a resume or a rollback the newest values are superseded; what the run began with is not."""
        self._count = 0
        self._newest.clear()
        self._waiting.clear()
        self._entropy.clear()
        self._reward.clear()
        self._since = None

    def _take_companions(self, sample: Sample) -> None:
        entropy = sample.signals.get("entropy" if self._signal == "kl" else "sequence_entropy")
        if entropy is not None and entropy - entropy == 0.0:
            self._first_entropy.fill(entropy)
            self._entropy.add(entropy)
        self._rewards.read(sample)
        reward = sample.signals.get("reward")
        if reward is not None and reward - reward == 0.0:
            self._first_reward.fill(reward)
            self._reward.add(reward)

    def _judge(self, kl: float, ratio: float, step: int | None) -> Reading:
        if ratio <= 1.0:
            if ratio < 0.6:
                self._since = None
            return OK if ratio <= 0.6 else NEAR
        if self._since is None:
            self._since = step
        halved = self._began_with() > 0.0 and self._entropy.median() < 0.5 * self._began_with()
        severity: Severity = "critical" if halved or ratio > self._limits.critical / self._limits.warning else "warning"
        if severity == "warning" and self._rewards.since_resume.rises():
            return NEAR
        return Reading(
            state="bad",
            severity=severity,
            onset_step=self._since,
            sentence=self._sentence(kl, step),
            evidence=Evidence(numbers=self._numbers(kl), window=(self._since, step)),
            causes=self._causes(),
        )

    def _began_with(self) -> float:
        """The entropy of the first rows, 0 where it is not logged."""
        first = self._first_entropy.median()
        return first if first > 0.0 else 0.0

    def _ratio(self, kl: float) -> float:
        """How far KL is, 1.0 being the line of a warning."""
        if kl < _MATERIAL[self._signal]:
            return 0.0
        first = self._began_with()
        if first:
            return kl / (self._limits.warning * first)
        absolute = kl / self._limits.per_token if self._signal == "kl" else 0.0
        return max(absolute, self._leap(kl))

    def _leap(self, kl: float) -> float:
        """The same against the level of the rows before, 0 where that cannot be said."""
        if len(self._level) < 20 or kl <= _MATERIAL_LEAP[self._signal]:
            return 0.0
        level = self._level.median()
        return kl / (_LEAP * level) if level > 0.0 else 0.0

    def _unit(self) -> str:
        return "nats per answer" if self._signal == "sequence_kl" else "nats per token"

    def _sentence(self, kl: float, step: int | None) -> str:
        first = self._began_with()
        against = f", {short(kl / first)} times the entropy that the policy began with" if first else ""
        sentence = f"KL is {short(kl)} {self._unit()} {at(step)}{against}."
        if self._reward_rise() > 0.0:
            sentence += f" The reward went from {short(self._first_reward.median())} to {short(self._reward.median())}."
        return sentence

    def _reward_rise(self) -> float:
        rise = self._reward.median() - self._first_reward.median()
        return rise if math.isfinite(rise) else 0.0

    def _numbers(self, kl: float) -> tuple[Number, ...]:
        first = self._began_with()
        numbers = [
            Number(
                label="KL, median of the last 5", value=kl, unit=self._unit(), expected="rises slowly and stays small"
            )
        ]
        if first:
            numbers[0] = Number(
                label="KL, median of the last 5",
                value=kl,
                unit=self._unit(),
                expected=f"below {short(self._limits.warning * first)}",
            )
            numbers.append(Number(label="Entropy at the start", value=first, unit="nats"))
            numbers.append(Number(label="Entropy now", value=self._entropy.median(), unit="nats"))
        if len(self._reward):
            numbers.append(Number(label="Reward at the start", value=self._first_reward.median()))
            numbers.append(Number(label="Reward now", value=self._reward.median()))
        return tuple(numbers)

    def _causes(self) -> tuple[Cause, ...]:
        off, rate, hack, temperature = SPEC.causes
        if self._reward_rise() > 0.0:
            return (off, Cause(text=hack.text, because="the reward rises together with KL"), rate, temperature)
        return (off, rate, hack, temperature)


def _make(context: RunContext, limits: Limits) -> _Detector:
    return _Detector(Timeline.of_run(context), RewardCourse.of_run(context), limits)


RULE = Adjustable(SPEC, Limits(), _make)
