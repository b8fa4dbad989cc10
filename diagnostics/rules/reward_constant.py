"""`reward_constant` (L8): the mean reward is the same to the last digit, row after row."""

from __future__ import annotations

from dataclasses import dataclass

from runvitals.diagnostics.limits import Adjustable, described, in_order, limit
from runvitals.diagnostics.rules.definition import OK, REINFORCED, RowDetector, at, bad, is_finite, short, too_few
from runvitals.diagnostics.rules.masks import Resumes
from runvitals.diagnostics.rules.sources import DAPO, RLHF_DETAILS
from runvitals.diagnostics.timeline import Timeline
from runvitals.diagnostics.types import Cause, Number, Reading, Remedy, RuleSpec, RunContext, Sample, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a reward must have been the same."""

    warning: float = limit(20, "rows on end with the same mean reward, for a warning", least=5, most=10_000)
    critical: float = limit(40, "the same, for a critical alert", least=5, most=100_000)

    def __post_init__(self) -> None:
        in_order(self, "warning", "critical")


SPEC = RuleSpec(
    name="reward_constant",
    code="L8b",
    title="Reward is a constant",
    family="policy",
    summary="The mean reward is the same to the last digit in 20 rows on end (a warning; critical from 40): no answer differs from another, "
    "so nothing can be learned from them. Information where it has risen to there: then the prompts are learned. For trainers that do not log "
    "the spread within groups.",
    main_signal="reward",
    signals=("reward",),
    trainers=REINFORCED,
    hold=1,
    clear=3,
    inhibits=("reward_flat",),
    causes=(
        Cause(
            text="The reward function gives the same to every answer: a parser that fails, a constant, a caught exception"
        ),
        Cause(text="The reward model reads something that is the same in all answers: padding, a cut prompt"),
        Cause(text="The prompts are too hard, or already solved"),
    ),
    remedies=(
        Remedy(
            text="Print the rewards of one batch with its answers",
            detail="Shows at once whether the reward function works",
        ),
        Remedy(text="Check which token the reward model's score is read at", **RLHF_DETAILS),
        Remedy(text="Drop prompts that are always or never solved, and sample more in their place", **DAPO),
    ),
    false_alarms="A mean over a batch is hardly ever the same twice unless all answers get the same. A logger that repeats its last value "
    "looks alike.",
    source="Four published runs whose rewards are all zero, which other run doctors miss; a tiny PPO run with a constant reward",
    needs="reward, 20 points",
    limits=described(Limits),
)


class _Detector(RowDetector):
    """How long the reward has been the same, and what it began with."""

    def __init__(self, timeline: Timeline, limits: Limits) -> None:
        self._limits = limits
        self._resumes = Resumes(timeline)
        self._first: float | None = None
        self._last: float | None = None
        self._same = 0
        self._since: int | None = None

    def update(self, sample: Sample) -> Reading | None:
        """Takes a row."""
        reward = sample.signals.get("reward")
        if reward is None or not is_finite(reward):
            return None
        if self._first is None:
            self._first = reward
        if self._resumes.is_new() or reward != self._last:
            self._last, self._same, self._since = reward, 1, sample.step
            return OK
        self._same += 1
        if self._same < self._limits.warning:
            return too_few(int(self._limits.warning), self._same, "reward") if reward == self._first else OK
        return self._judge(reward, self._first, sample.step)

    def _judge(self, reward: float, first: float, step: int | None) -> Reading:
        severity: Severity = "critical" if self._same >= self._limits.critical else "warning"
        if reward > first:
            severity = "info"
        numbers = (
            Number(label="Rows on end with the same reward", value=float(self._same), unit="rows", expected="1"),
            Number(label="Mean reward", value=reward),
            Number(label="Reward of the first row", value=first),
        )
        sentence = f"The mean reward has been exactly {short(reward)} in {self._same} rows on end {at(step)}"
        sentence += (
            f", up from {short(first)}: these prompts are learned."
            if reward > first
            else ": nothing tells answers apart."
        )
        return bad(severity, sentence, numbers, since=self._since, step=step)


def _make(context: RunContext, limits: Limits) -> _Detector:
    return _Detector(Timeline.of_run(context), limits)


RULE = Adjustable(SPEC, Limits(), _make)
