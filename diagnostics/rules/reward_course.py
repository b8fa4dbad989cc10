"""The course of the reward, for all rules of a run that ask whether the policy still gains by what it does."""

from __future__ import annotations

from runvitals.diagnostics.blocks import Blocks
from runvitals.diagnostics.rules.first_and_newest import FirstAndNewest
from runvitals.diagnostics.rules.masks import Resumes
from runvitals.diagnostics.rules.reward_trend import RewardTrend
from runvitals.diagnostics.timeline import Timeline
from runvitals.diagnostics.types import RunContext, Sample


class RewardCourse:
    """One for each run, in `RunContext.shared`. level: first 10 and newest 20 rewards. course: the whole run in blocks.

    trend: that of the whole run, though steps went back; since_resume: that of the rows since.
    """

    def __init__(self, timeline: Timeline) -> None:
        """No rewards yet."""
        self._resumes = Resumes(timeline)
        self.level = FirstAndNewest(first=10, newest=20)
        self.course = Blocks()
        self.trend = self.since_resume = RewardTrend()
        self._sample: Sample | None = None

    @classmethod
    def of_run(cls, context: RunContext) -> RewardCourse:
        """The course of a run; a new one where there is none yet."""
        found = context.shared.get("reward")
        if not isinstance(found, cls):
            found = context.shared["reward"] = cls(Timeline.of_run(context))
        return found

    def read(self, sample: Sample) -> None:
        """Takes a row, once, whichever rule comes with it first."""
        if sample is self._sample:
            return
        self._sample = sample
        if self._resumes.is_new():
            self.since_resume = RewardTrend()
        reward = sample.signals.get("reward")
        if self.level.add(reward) and reward is not None:
            self.course.add(reward)
            self.trend.add(reward)
            if self.since_resume is not self.trend:
                self.since_resume.add(reward)

    def gained(self) -> bool:
        """True where the reward rises, or lies above its start by more than its noise: about two standard errors."""
        return self.trend.rises() or self.level.now() - self.level.began() > max(self.level.noise(), 1e-9)

    def lost(self) -> bool:
        """True where the reward lies below its start by more than its noise."""
        return self.level.began() - self.level.now() > max(self.level.noise(), 1e-9)
