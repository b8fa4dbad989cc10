"""`entropy_collapse` (L3): the policy has stopped trying anything, and the reward no longer rises."""

from __future__ import annotations

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
from runvitals.diagnostics.rules.sources import DAPO, ENTROPY, TRL
from runvitals.diagnostics.timeline import Timeline
from runvitals.diagnostics.types import Cause, Evidence, Number, Reading, Remedy, RuleSpec, RunContext, Sample, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of the entropy at the start may go."""

    # Published runs fall to 27 % while most of the gain is still to come (Cui et al. 2025).
    warning: float = limit(
        0.15, "share of the entropy at the start that is left, for a warning", least=0.001, most=0.95
    )
    critical: float = limit(0.05, "share that is left, for a critical alert", least=0.0001, most=0.95)

    def __post_init__(self) -> None:
        in_order(self, "critical", "warning")


SPEC = RuleSpec(
    name="entropy_collapse",
    code="L3",
    title="Entropy collapses",
    family="policy",
    summary="Entropy is below 15 % of what the run began with (critical: below 5 %) while the reward no longer rises. "
    "Falling entropy alone is normal.",
    main_signal="entropy",
    signals=("entropy", "sequence_entropy", "reward"),
    trainers=(*REINFORCED, "custom"),
    hold=3,
    clear=10,
    causes=(
        Cause(text="The policy is sure of a few answers and samples no others"),
        Cause(text="Clipping keeps rare tokens from growing (the same bound up and down)"),
        Cause(text="The learning rate is too high"),
        Cause(text="Too few or too similar prompts"),
    ),
    remedies=(
        Remedy(text="Raise the upper clip bound (epsilon_high 0.28 beside epsilon 0.2)", **DAPO),
        Remedy(
            text="Limit updates of tokens whose log-probability and advantage move together (Clip-Cov, KL-Cov)",
            **ENTROPY,
        ),
        Remedy(text="Add an entropy bonus, or raise the sampling temperature", **TRL),
        Remedy(text="Lower the learning rate; add prompts"),
    ),
    false_alarms="Tasks with one right wording and policies tuned on a narrow format have little entropy from the start: "
    "the rule compares with the run's own start, and keeps it over a resume.",
    source="Cui et al. 2025; rule catalogue L3",
    needs="entropy and reward, 15 points",
    limits=described(Limits),
)

_FIRST = 5
_NEWEST = 5
_ENOUGH = 15
_REWARD_ROWS = 10


class _Detector(RowDetector):
    """Entropy now against the first rows, and whether the reward still rises."""

    def __init__(self, timeline: Timeline, rewards: RewardCourse, limits: Limits) -> None:
        self._resumes = Resumes(timeline)
        self._limits = limits
        self._count = 0
        self._first = Window(_FIRST)
        self._newest = Window(_NEWEST)
        self._rewards = rewards
        self._signal = ""
        self._since: int | None = None

    def update(self, sample: Sample) -> Reading | None:
        signals = sample.signals
        if self._resumes.is_new():
            self._forget_newest()
        self._rewards.read(sample)
        if not self._signal:
            self._signal = (
                "entropy" if "entropy" in signals else "sequence_entropy" if "sequence_entropy" in signals else ""
            )
        entropy = signals.get(self._signal)
        if entropy is None or entropy - entropy != 0.0:
            return None
        self._count += 1
        self._first.fill(entropy)
        self._newest.add(entropy)
        if self._count < _ENOUGH:
            return too_few(_ENOUGH, self._count, "entropy")
        rewards = len(self._rewards.since_resume)
        if rewards < _REWARD_ROWS:
            return too_few(_REWARD_ROWS, rewards, "reward")
        return self._judge(sample.step)

    def _forget_newest(self) -> None:
        """After a resume or a rollback the newest values are superseded; what the run began with is not."""
        self._count = min(self._count, _ENOUGH - _NEWEST)
        self._newest.clear()
        self._since = None

    def _judge(self, step: int | None) -> Reading:
        start = self._first.median()
        if start <= 0.0:
            return Reading(state="unknown", reason="needs an entropy above 0 at the start")
        now = self._newest.median()
        share = now / start
        if share >= self._limits.warning:
            self._since = None
            return OK if share >= 2 * self._limits.warning else NEAR
        if self._since is None:
            self._since = step
        if self._rewards.since_resume.rises():
            return NEAR
        severity: Severity = "critical" if share < self._limits.critical else "warning"
        return Reading(
            state="bad",
            severity=severity,
            onset_step=self._since,
            sentence=f"Entropy is {short(now)} {at(step)}, {share:.0%} of the {short(start)} it began with, "
            "and the reward no longer rises.",
            evidence=Evidence(numbers=self._numbers(now, start), window=(self._since, step)),
        )

    def _numbers(self, now: float, start: float) -> tuple[Number, ...]:
        before, newest = self._rewards.since_resume.halves()
        return (
            Number(
                label="Entropy, median of the last 5",
                value=now,
                unit="nats",
                expected=f"above {short(self._limits.warning * start)}",
            ),
            Number(label="Entropy at the start", value=start, unit="nats"),
            Number(label="Reward, newer half of 40 rows", value=newest, expected="rising"),
            Number(label="Reward, older half", value=before),
        )


def _make(context: RunContext, limits: Limits) -> _Detector:
    return _Detector(Timeline.of_run(context), RewardCourse.of_run(context), limits)


RULE = Adjustable(SPEC, Limits(), _make)
