"""`reward_overoptimisation` (L2): the trained reward rises while an independent measure falls: Goodhart's law."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from itertools import pairwise

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
from runvitals.diagnostics.rules.reward_course import RewardCourse
from runvitals.diagnostics.rules.sources import LENGTH, OVEROPTIMISATION
from runvitals.diagnostics.signals import SIGNALS
from runvitals.diagnostics.types import Cause, Number, Reading, Remedy, RuleSpec, RunContext, Sample, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far an evaluation may fall from its best."""

    warning: float = limit(0.1, "share of the best, for a warning", least=0.01, most=10.0)
    critical: float = limit(0.3, "share of the best, for a critical alert", least=0.01, most=10.0)

    def __post_init__(self) -> None:
        in_order(self, "warning", "critical")


SPEC = RuleSpec(
    name="reward_overoptimisation",
    code="L2",
    title="Proxy reward is over-optimised",
    family="policy",
    summary="The reward has risen since the best evaluation, while the evaluated reward, or judged margin, has fallen in three evaluations on end, by 10 % of its best and three times its noise (a warning); critical from four evaluations and 30 %. Neighbours are averaged. A held-out preference margin that falls is information: it is no measure of this task.",
    main_signal="reward",
    signals=("reward", "eval_reward", "score_margin", "probe_margin"),
    trainers=(*REINFORCED, "custom"),
    hold=1,
    clear=2,
    causes=(
        Cause(text="The policy has found what the reward overrates: length, phrases, format, flattery"),
        Cause(text="The KL coefficient is too low, or the run is too long"),
        Cause(text="The training prompts are memorised"),
    ),
    remedies=(
        Remedy(
            text="Go back to the checkpoint at the best evaluation, and stop there",
            detail="The peak comes early for small reward models",
            **OVEROPTIMISATION,
        ),
        Remedy(text="Raise the KL coefficient: gold reward falls with distance", **OVEROPTIMISATION),
        Remedy(text="Use several reward models, or train the reward model on answers of now", **OVEROPTIMISATION),
        Remedy(text="Read ten answers that the reward ranks highest", **LENGTH),
    ),
    false_alarms="Few evaluation prompts scatter: the noise between neighbouring evaluations is allowed for three times.",
    source="Goodhart's law; Gao et al., 2022; rule catalogue L2",
    needs="reward, and at least four evaluations of something independent",
    limits=described(Limits),
)

_EVALUATIONS = 4
_GOLD = ("eval_reward", "score_margin")


class _Measure:
    """The course of one independent measure, and the reward at its best."""

    def __init__(self, share: float) -> None:
        self._share = share
        self.values: deque[float] = deque(maxlen=16)
        self.first = math.nan
        self.best = -math.inf
        self.best_step: int | None = None
        self.reward_at_best = math.nan
        self.count = 0
        self.below = 0

    def add(self, value: float, reward: float, step: int | None) -> None:
        self.count += 1
        if self.count == 1:
            self.first = value
        self.values.append(value)
        if self.now() > self.best:
            self.best, self.best_step, self.reward_at_best = self.now(), step, reward
        self.below = self.below + 1 if self.best - self.now() > self.limit() else 0

    def now(self) -> float:
        """The mean of the newest two values: the best of many single ones would be chance."""
        return (self.values[-1] + self.values[-2]) / 2 if self.count > 1 else self.values[-1]

    def limit(self) -> float:
        """How far below the best is more than noise: a share of it, and three times the usual step between neighbours."""
        steps = [abs(b - a) for a, b in pairwise(self.values)]
        return max(self._share * abs(self.best), 3.0 * sum(step / len(steps) for step in steps) if steps else 0.0)


class _Detector(RowDetector):
    """The reward, and each measure that training does not see."""

    def __init__(self, rewards: RewardCourse, limits: Limits) -> None:
        self._limits = limits
        self._rewards = rewards
        self._measures = {name: _Measure(limits.warning) for name in (*_GOLD, "probe_margin")}

    def update(self, sample: Sample) -> Reading | None:
        """Takes a row; says something where it holds an evaluation."""
        signals = sample.signals
        if "reward" in signals:
            self._rewards.read(sample)
        reading = None
        for name, measure in self._measures.items():
            value = signals.get(name)
            if value is not None and value - value == 0.0:
                measure.add(value, self._rewards.level.now(), sample.step)
                reading = self._judge(name, measure, sample.step)
        return reading

    def _judge(self, name: str, measure: _Measure, step: int | None) -> Reading:
        if measure.count < _EVALUATIONS:
            return too_few(_EVALUATIONS, measure.count, name)
        proxy = self._rewards.level.now()
        risen = proxy - measure.reward_at_best
        if not (measure.below >= 3 and risen > 0.5 * self._rewards.level.noise()):
            return OK if not measure.below else NEAR
        value, fall = measure.now(), measure.best - measure.now()
        severity: Severity = "info"
        if name in _GOLD:
            grave = measure.below >= 4 and fall > self._limits.critical * max(
                abs(measure.best), measure.best - measure.first
            )
            severity = "critical" if grave else "warning"
        title = SIGNALS[name].title
        numbers = (
            Number(label=title, value=value, expected=f"near {short(measure.best)}"),
            Number(label=f"{title}, best", value=measure.best),
            Number(label="Reward now", value=proxy),
            Number(label="Reward at that evaluation", value=measure.reward_at_best),
        )
        sentence = (
            f"The reward rose from {short(measure.reward_at_best)} to {short(proxy)} while {title.lower()} fell from {short(measure.best)} to "
            f"{short(value)} {at(step)}: the policy learns to please its proxy (Goodhart's law)."
        )
        return bad(severity, sentence, numbers, since=measure.best_step, step=step)


def _make(context: RunContext, limits: Limits) -> _Detector:
    return _Detector(RewardCourse.of_run(context), limits)


RULE = Adjustable(SPEC, Limits(), _make)
