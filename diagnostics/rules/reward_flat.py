"""`reward_flat` (L11): nearly half of the run is done, and the reward has not risen."""

from __future__ import annotations

import math

from runvitals.diagnostics.rules.definition import OK, REINFORCED, Definition, RowDetector, at, bad, short, too_few
from runvitals.diagnostics.rules.reward_course import RewardCourse
from runvitals.diagnostics.rules.sources import DAPO, TRL
from runvitals.diagnostics.timeline import Timeline
from runvitals.diagnostics.types import Cause, Number, Reading, Remedy, RuleSpec, RunContext, Sample

SPEC = RuleSpec(
    name="reward_flat",
    code="L11b",
    title="Reward does not move",
    family="policy",
    summary="After 40 % of the planned run, and at least 60 rows, the second half of the rewards lies no higher than the first by two standard errors, and no straight line through them rises. Information: hard prompts take long.",
    main_signal="reward",
    signals=("reward",),
    trainers=(*REINFORCED, "custom"),
    hold=2,
    clear=3,
    causes=(
        Cause(text="The prompts are too hard, or already solved"),
        Cause(text="The learning rate is too low, or the KL coefficient too high"),
        Cause(text="The reward has too few steps between wrong and right"),
    ),
    remedies=(
        Remedy(text="Look at the share of groups without spread", **DAPO),
        Remedy(text="Raise the learning rate, or lower the KL coefficient", **TRL),
        Remedy(text="Begin with easier prompts, or reward partial success", **DAPO),
    ),
    false_alarms="Rewards of a few prompts a step are noisy; a run that starts at the top has nothing to gain.",
    source="rule catalogue L11 (Mann-Kendall over 40 % of the run), as information",
    needs="reward, 60 points, and the planned number of steps",
)

_EVERY = 10
_ENOUGH = 60


class _Detector(RowDetector):
    """The whole course of the reward."""

    def __init__(self, timeline: Timeline, rewards: RewardCourse) -> None:
        self._timeline = timeline
        self._rewards = rewards

    def update(self, sample: Sample) -> Reading | None:
        """Takes a row; judges every tenth."""
        self._rewards.read(sample)
        course, progress = self._rewards.course, self._timeline.progress
        if course.count % _EVERY:
            return None
        if course.count < _ENOUGH:
            return too_few(_ENOUGH, course.count, "reward")
        if progress is None or progress < 0.4:
            return Reading(state="unknown", reason="needs 40 % of a run whose length is known")
        first, second = course.estimate(0.0, 0.5), course.estimate(0.5, 1.0)
        risen = second.mean - first.mean > 2.0 * math.hypot(first.error, second.error)
        wide = max(course.means) - min(course.means)
        risen = risen or second.mean - first.mean > max(0.25 * wide, 1e-9)
        if risen or self._rewards.gained() or course.trend(0.0, 1.0).direction > 0:
            return OK
        numbers = (
            Number(label="Reward, second half", value=second.mean, expected="above the first"),
            Number(label="Reward, first half", value=first.mean),
            Number(label="Standard error of the difference", value=math.hypot(first.error, second.error)),
        )
        sentence = f"The reward has not risen: {short(first.mean)} over the first half of the rows, {short(second.mean)} over the second, {at(sample.step)}."
        return bad("info", sentence, numbers, since=None, step=sample.step)


def _make(context: RunContext) -> _Detector:
    return _Detector(Timeline.of_run(context), RewardCourse.of_run(context))


RULE = Definition(SPEC, _make)
