"""`answers_truncated` (L9): most answers reach the length limit, or none ends by itself."""

from __future__ import annotations

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
from runvitals.diagnostics.rules.first_and_newest import FirstAndNewest
from runvitals.diagnostics.rules.reward_course import RewardCourse
from runvitals.diagnostics.rules.sources import DAPO, TRL
from runvitals.diagnostics.types import Cause, Number, Reading, Remedy, RuleSpec, RunContext, Sample, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Share of answers that may be cut off."""

    cut: float = limit(0.7, "share of answers that reach the length limit", least=0.05, most=0.99)


SPEC = RuleSpec(
    name="answers_truncated",
    code="L9",
    title="Answers are cut off",
    family="policy",
    summary="The median share of truncated answers over the last ten rows is above 70 % (information); a warning where it has risen by 30 points while the reward gained nothing, critical where it is above 95 % and the reward has fallen. Also a warning, whatever the reward says, where no answer ends any more that did at the start: in ten rows by their number, or above 95 % truncated in five rows, below 30 % in the first five.",
    main_signal="truncated_fraction",
    signals=("truncated_fraction", "eos_tokens", "reward"),
    trainers=(*REINFORCED, "custom"),
    hold=2,
    clear=5,
    causes=(
        Cause(text="The policy no longer ends its answers: it repeats itself or rambles"),
        Cause(text="The length limit is too small for the task"),
        Cause(text="Long answers are rewarded"),
    ),
    remedies=(
        Remedy(text="Read ten answers of now: repetition shows at once"),
        Remedy(text="Punish answers that do not end (missing_eos_penalty), or overlong ones softly", **DAPO),
        Remedy(text="Leave truncated answers out of the loss (mask_truncated_completions)", **TRL),
        Remedy(text="Raise the length limit where the answers are good", **TRL),
    ),
    false_alarms="Reasoning runs under a small budget are truncated from the start and learn: without a rise, or with a gain of reward, it is information while some answers end.",
    source="DAPO (overlong answers); rule catalogue L9, with the reward as witness",
    needs="share of truncated answers, or answers that end, 20 points; 10 where no answer ends any more",
    limits=described(Limits),
)

_EVERY = 4
_ENOUGH = 20
_FEW = 5
_ALL_CUT, _ENDED = 0.95, 0.3
"""Shares that all of the newest five rows exceed, and all of the first five stay below. A budget that is only tight lies between. Where no answer
ends, a reward that climbs is paid for something else: a GRPO run whose reward was hacked came from 0 to 100 % within 60 steps while its reward
grew fifteenfold; its healthy twins stay below 2 %."""


class _Detector(RowDetector):
    """The share of truncated answers and the number of answers that end, at the start and now."""

    def __init__(self, rewards: RewardCourse, limits: Limits) -> None:
        self._limits = limits
        self._rewards = rewards
        self._cut = FirstAndNewest()
        self._ends = FirstAndNewest()
        self._rows = 0
        self._since: int | None = None

    def update(self, sample: Sample) -> Reading | None:
        """Takes a row; judges every fourth, and each where no answer ends any more."""
        self._rewards.read(sample)
        taken = self._cut.add(sample.signals.get("truncated_fraction"))
        if not self._ends.add(sample.signals.get("eos_tokens")) and not taken:
            return None
        self._rows += 1
        all_are_cut = self._all_are_cut()
        if self._rows < _ENOUGH and not all_are_cut:
            return too_few(_ENOUGH, self._rows, "answers")
        return self._judge(sample.step, all_are_cut) if all_are_cut or self._rows % _EVERY == 0 else None

    def _all_are_cut(self) -> bool:
        """Whether the newest five rows hold hardly an answer that ends, and the first five mostly such answers."""
        cut = self._cut
        return (
            cut.count >= 2 * _FEW
            and cut.newest[-1] > _ALL_CUT
            and min(list(cut.newest)[-_FEW:]) > _ALL_CUT
            and max(cut.first[:_FEW]) < _ENDED
        )

    def _judge(self, step: int | None, all_are_cut: bool) -> Reading:
        cut = self._cut.now() if self._cut.full or all_are_cut else 0.0
        none_ends = self._ends.full and self._ends.began() > 0.0 and max(self._ends.newest) <= 0.0
        if cut <= self._limits.cut and not none_ends and not all_are_cut:
            is_clear = cut < self._limits.cut - 0.2 or cut == 0.0
            if is_clear:
                self._since = None
            return OK if is_clear else NEAR
        if self._since is None:
            self._since = step
        severity: Severity = "info"
        if none_ends or all_are_cut or (cut - self._cut.began() > 0.3 and not self._rewards.gained()):
            severity = "critical" if cut > 0.95 and self._rewards.lost() else "warning"
        numbers = [Number(label="Reward, median of the last 20", value=self._rewards.level.now())]
        if none_ends:
            numbers.insert(
                0,
                Number(
                    label="Answers that end, last 10 rows",
                    value=0.0,
                    expected=f"as at the start, {short(self._ends.began())}",
                ),
            )
            sentence = (
                f"No answer has ended by itself for ten rows {at(step)}; at the start {short(self._ends.began())} did."
            )
        else:
            numbers.insert(
                0,
                Number(
                    label="Truncated, median of the last 10",
                    value=100 * cut,
                    unit="%",
                    expected=f"below {short(100 * self._limits.cut)}",
                ),
            )
            sentence = f"{cut:.0%} of the answers are cut off at the length limit {at(step)}, {self._cut.began():.0%} at the start."
        return bad(severity, sentence, numbers, since=self._since, step=step)


def _make(context: RunContext, limits: Limits) -> _Detector:
    return _Detector(RewardCourse.of_run(context), limits)


RULE = Adjustable(SPEC, Limits(), _make)
