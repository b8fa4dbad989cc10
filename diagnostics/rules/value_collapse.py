"""`value_collapse` (L7): the value head predicts worse than it did, or than nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass

from runvitals.diagnostics.limits import Adjustable, described, limit
from runvitals.diagnostics.rules.definition import NEAR, OK, RowDetector, at, bad, short, too_few
from runvitals.diagnostics.rules.first_and_newest import FirstAndNewest
from runvitals.diagnostics.rules.reward_course import RewardCourse
from runvitals.diagnostics.rules.sources import RLHF_DETAILS, SB3
from runvitals.diagnostics.types import Cause, Number, Reading, Remedy, RuleSpec, RunContext, Sample, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far the value head may fail."""

    times: float = limit(5.0, "times the value loss of the start", least=1.1, most=1000.0)
    explained: float = limit(-0.5, "explained variance below which it is a warning", least=-100.0, most=0.0)


SPEC = RuleSpec(
    name="value_collapse",
    code="L7",
    title="Value head fails",
    family="policy",
    summary="The median value loss of the last ten rows is 5 times that of the first ten and of its best (information, since rewards that grow raise it too; a warning where the reward has gained nothing); or the explained variance of the last ten is below 0 after 40 rows (information), below -0.5 (a warning).",
    main_signal="value_loss",
    signals=("value_loss", "explained_variance", "reward"),
    trainers=("ppo", "custom"),
    hold=2,
    clear=5,
    causes=(
        Cause(text="The value head's learning rate is too high"),
        Cause(text="Rewards change their scale"),
        Cause(text="Rewards are taken at the wrong token: padding, end of answer"),
    ),
    remedies=(
        Remedy(text="Lower the value head's learning rate or weight", **RLHF_DETAILS),
        Remedy(text="Whiten or normalise rewards", **RLHF_DETAILS),
        Remedy(text="Warm the value head up before the policy learns", **RLHF_DETAILS),
        Remedy(text="Below 0 the explained variance is worse than predicting the mean", **SB3),
    ),
    false_alarms="A head that starts at zero explains nothing at first; rewards that rise raise the loss.",
    source="Stable-Baselines3 (explained variance); rule catalogue L7",
    needs="value loss or explained variance, 20 points",
    limits=described(Limits),
)

_EVERY = 3
_ENOUGH = 20


class _Detector(RowDetector):
    """Value loss of the first rows, of the best stretch and of the newest; the newest explained variance."""

    def __init__(self, rewards: RewardCourse, limits: Limits) -> None:
        self._limits = limits
        self._rewards = rewards
        self._loss = FirstAndNewest()
        self._explained = FirstAndNewest(first=1)
        self._best = math.inf
        self._rows = 0
        self._since: int | None = None

    def update(self, sample: Sample) -> Reading | None:
        """Takes a row; judges every third."""
        self._rewards.read(sample)
        taken = self._loss.add(sample.signals.get("value_loss"))
        if not self._explained.add(sample.signals.get("explained_variance")) and not taken:
            return None
        self._rows += 1
        if self._rows < _ENOUGH:
            return too_few(_ENOUGH, self._rows, "value loss")
        return self._judge(sample.step) if self._rows % _EVERY == 0 else None

    def _judge(self, step: int | None) -> Reading:
        loss, explained = self._loss.now(), self._explained.now()
        self._best = min(self._best, loss)
        # Below the first loss nothing has failed, however good the best stretch was.
        grown = loss / self._loss.began() if self._loss.full and self._loss.began() > 0.0 else 0.0
        worse = explained < 0.0 and self._explained.count >= 40
        line = self._limits.times
        if grown <= line and not worse:
            if grown < 0.6 * line:
                self._since = None
            return OK if grown < 0.6 * line else NEAR
        if self._since is None:
            self._since = step
        hopeless = worse and explained < self._limits.explained
        severity: Severity = "warning" if hopeless or (grown > line and not self._rewards.gained()) else "info"
        numbers = [
            Number(label="Value loss, median of the last 10", value=loss, expected="falling"),
            Number(label="Value loss at the start", value=self._loss.began()),
            Number(label="Best such median", value=self._best),
            Number(label="Explained variance, median of the last 10", value=explained, expected="above 0"),
        ]
        shown = [number for number in numbers if math.isfinite(number.value)]
        if grown > line:
            sentence = f"Value loss is {short(loss)} {at(step)}, {short(grown)} times that of the start."
        else:
            sentence = f"The value head explains {short(explained)} of the returns' variance {at(step)}: worse than their mean."
        return bad(severity, sentence, shown, since=self._since, step=step)


def _make(context: RunContext, limits: Limits) -> _Detector:
    return _Detector(RewardCourse.of_run(context), limits)


RULE = Adjustable(SPEC, Limits(), _make)
