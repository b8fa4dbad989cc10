"""`reward_collapse` (L11): the reward has lost what it had gained."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from runvitals.diagnostics.limits import Adjustable, described, limit
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
from runvitals.diagnostics.rules.sources import RLHF_DETAILS, TRL
from runvitals.diagnostics.types import Cause, Number, Reading, Remedy, RuleSpec, RunContext, Sample, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of the gain may be lost."""

    lost: float = limit(0.5, "share of what was gained, for an alert", least=0.05, most=1.0)


SPEC = RuleSpec(
    name="reward_collapse",
    code="L11",
    title="Reward collapses",
    family="policy",
    summary="The mean reward of the last 20 rows lies below that of the best 20 by half of all that was gained, and by six standard errors, and is no better than at the start by more than noise (a warning); critical where it is below the start as well.",
    main_signal="reward",
    signals=("reward",),
    trainers=(*REINFORCED, "custom"),
    hold=3,
    clear=5,
    causes=(
        Cause(text="The policy has left the region where the reward is sound: KL, learning rate"),
        Cause(text="Training and sampling engine disagree"),
        Cause(text="The reward function, its parser or its judge fails on the newest answers"),
        Cause(text="The prompts have become harder"),
    ),
    remedies=(
        Remedy(text="Go back to the checkpoint at the best reward, with half the learning rate", **TRL),
        Remedy(text="Raise the KL coefficient", **RLHF_DETAILS),
        Remedy(text="Read ten answers and their rewards from before and after the fall"),
        Remedy(text="Compare on fixed prompts: a curriculum lowers the reward on purpose", **TRL),
    ),
    false_alarms="A curriculum that gets harder, and few prompts a step: the fall must be six standard errors.",
    source="rule catalogue L11 (30 % of the best), tightened because rewards of public runs swing by more",
    needs="reward, 60 points",
    limits=described(Limits),
)

_EVERY = 5
_ENOUGH = 60
_WINDOW = 20


class _Detector(RowDetector):
    """The newest rewards, their best mean and what they began with."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._began = (math.nan, 0.0)
        self._newest: deque[float] = deque(maxlen=_WINDOW)
        self._count = 0
        self._best = -math.inf
        self._best_error = 0.0
        self._best_step: int | None = None
        self._since: int | None = None

    def update(self, sample: Sample) -> Reading | None:
        """Takes a row; judges every fifth."""
        reward = sample.signals.get("reward")
        if reward is None or reward - reward != 0.0:
            return None
        self._count += 1
        self._newest.append(reward)
        if self._count == _WINDOW:
            self._began = _mean(self._newest)
        if self._count < _WINDOW or self._count % _EVERY:
            return None
        return self._judge(sample.step)

    def _judge(self, step: int | None) -> Reading:
        now, error = _mean(self._newest)
        if now > self._best:
            self._best, self._best_error, self._best_step = now, error, step
        if self._count < _ENOUGH:
            return too_few(_ENOUGH, self._count, "reward")
        began, began_error = self._began
        fall, gain = self._best - now, self._best - began
        sure = 6.0 * math.hypot(error, self._best_error)
        nothing_left = now - began < 2.0 * math.hypot(error, began_error)
        if not (fall > max(self._limits.lost * gain, sure, 1e-9) and nothing_left):
            if fall < 0.5 * max(self._limits.lost * gain, sure):
                self._since = None
                return OK
            return NEAR
        if self._since is None:
            self._since = step
        severity: Severity = (
            "critical" if began - now > max(0.5 * gain, 3.0 * math.hypot(error, began_error)) else "warning"
        )
        numbers = (
            Number(label="Reward, mean of the last 20", value=now, expected=f"near {short(self._best)}"),
            Number(label="Best such mean", value=self._best),
            Number(label="Reward at the start", value=began),
            Number(label="Six standard errors of the fall", value=sure),
        )
        sentence = f"The reward is {short(now)} {at(step)}, after {short(self._best)} at its best, {at(self._best_step)}, and {short(began)} at the start."
        return bad(severity, sentence, numbers, since=self._since, step=step)


def _mean(values: Sequence[float]) -> tuple[float, float]:
    """The mean and its standard error."""
    count = len(values)
    mean = math.fsum([value / count for value in values])
    try:
        variance = math.fsum([(value - mean) ** 2 for value in values]) / max(count - 1, 1)
    except OverflowError:
        return mean, math.inf
    return mean, math.sqrt(variance / count)


def _make(context: RunContext, limits: Limits) -> _Detector:
    return _Detector(limits)


RULE = Adjustable(SPEC, Limits(), _make)
