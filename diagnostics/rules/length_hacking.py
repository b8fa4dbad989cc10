"""`length_hacking` (L9): answers grow or shrink, and nothing is gained by it; or length explains the reward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import correlation

from runvitals.diagnostics.blocks import Blocks
from runvitals.diagnostics.limits import Adjustable, described, limit
from runvitals.diagnostics.rules.co_movement import CoMovement
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
from runvitals.diagnostics.rules.sources import DAPO, LENGTH, ODIN
from runvitals.diagnostics.types import Cause, Number, Reading, Remedy, RuleSpec, RunContext, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far answers may grow or shrink, and what of the reward length may explain."""

    longer: float = limit(3.0, "times as long as at the start, with nothing gained", least=1.1, most=100.0)
    shorter: float = limit(
        0.2, "share of the length at the start that is left, with nothing gained", least=0.001, most=0.95
    )
    # Four fifths of the reward's movement.
    correlation: float = limit(
        0.9, "correlation of the changes of reward and length that is surely exceeded", least=0.1, most=0.999
    )


SPEC = RuleSpec(
    name="length_hacking",
    code="L9b",
    title="Answer length runs away",
    family="policy",
    summary="Answers are 3 times as long as at the start, or a fifth, while the reward has gained nothing (a warning). A warning too where reward and length move together from row to row, correlated surely above 0.9: the reward measures length. Where they grew by half and the reward rose with them, correlated above 0.8 over the run: information that length may explain the reward.",
    main_signal="completion_length",
    signals=("completion_length", "reward"),
    trainers=(*REINFORCED, "custom"),
    hold=2,
    clear=3,
    causes=(
        Cause(text="The reward grows with length, whatever is said"),
        Cause(text="The policy repeats itself, or gives up at once"),
        Cause(text="The end token is not learned or not rewarded"),
    ),
    remedies=(
        Remedy(text="Read ten short and ten long answers with their rewards"),
        Remedy(text="Punish overlong answers softly", **DAPO),
        Remedy(text="Train the reward model on pairs of balanced length, or take length out of it", **ODIN),
        Remedy(
            text="Look at reward among answers of like length",
            detail="Length alone gives most of the reward in some set-ups",
            **LENGTH,
        ),
    ),
    false_alarms="Reasoning runs grow their answers legitimately: with a gain of reward it is information at most. Their changes from row to row "
    "correlate with the reward's by 0.75 at most in healthy runs, and by 0.999 where the reward counts words. A reward that is meant to pay for "
    "length is told too; one that falls with length is not.",
    source="Singhal et al., 2023; rule catalogue L9, with the reward as witness; changes rather than levels, which rise alike in any run that learns",
    needs="answer length and reward, 13 points",
    limits=described(Limits),
)

_EVERY = 10
_ENOUGH = 30


class _Detector(RowDetector):
    """Length at the start and now, and its course beside the reward's."""

    def __init__(self, rewards: RewardCourse, limits: Limits) -> None:
        self._limits = limits
        self._rewards = rewards
        self._length = FirstAndNewest()
        self._course = Blocks()
        self._together = CoMovement()
        self._since: int | None = None

    def update(self, sample: Sample) -> Reading | None:
        """Takes a row; judges every tenth."""
        self._rewards.read(sample)
        length = sample.signals.get("completion_length")
        if not self._length.add(length) or length is None:
            return None
        self._course.add(length)
        self._together.add(sample.signals.get("reward"), length)
        if self._together.surely_above(self._limits.correlation):
            return self._measured(sample.step)
        count = self._length.count
        if count < _ENOUGH:
            return too_few(_ENOUGH, count, "answer length")
        return self._judge(sample.step) if count % _EVERY == 0 and self._rewards.level.full else None

    def _measured(self, step: int | None) -> Reading:
        along = self._together.correlation()
        numbers = (
            Number(
                label="Correlation of changes of reward and length",
                value=along,
                expected=f"below {self._limits.correlation:g}",
            ),
            Number(label="Changes", value=float(self._together.count)),
            Number(label="Answer length, median of the last 10", value=self._length.now(), unit="tokens"),
            Number(label="Answer length at the start", value=self._length.began(), unit="tokens"),
        )
        sentence = (
            f"The reward measures length: over {self._together.count} rows {at(step)} its changes follow those of the answers' length, "
            f"correlated at {along:.3f}."
        )
        return bad("warning", sentence, numbers, since=None, step=step)

    def _judge(self, step: int | None) -> Reading:
        began, now = self._length.began(), self._length.now()
        if began <= 0.0:
            return Reading(state="unknown", reason="needs answers at the start")
        ratio = now / began
        changed = ratio > self._limits.longer or ratio < self._limits.shorter
        gained = (changed or ratio > 1.5) and self._rewards.gained()
        far = changed and not gained
        along = _correlation(self._course.means, self._rewards.course.means) if ratio > 1.5 and gained else 0.0
        if not far and along <= 0.8:
            near = along > 0.6 or ratio > 0.67 * self._limits.longer or ratio < 1.75 * self._limits.shorter
            if not near:
                self._since = None
            return NEAR if near else OK
        if self._since is None:
            self._since = step
        reward = self._rewards.level
        numbers = [
            Number(label="Answer length, median of the last 10", value=now, unit="tokens"),
            Number(label="Answer length at the start", value=began, unit="tokens"),
            Number(label="Reward, median of the last 20", value=reward.now()),
            Number(label="Reward at the start", value=reward.began()),
        ]
        sentence = f"Answers have {short(now)} tokens {at(step)}, {short(ratio)} times the {short(began)} of the start"
        if far:
            return bad("warning", f"{sentence}; the reward has gained nothing.", numbers, since=self._since, step=step)
        numbers.append(Number(label="Correlation of length and reward", value=along))
        return bad(
            "info",
            f"{sentence}; the reward rises with them, and length may explain it.",
            numbers,
            since=self._since,
            step=step,
        )


def _correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Pearson's correlation of two courses of the same blocks; 0 where they differ in number or one does not vary."""
    if len(first) != len(second) or len(first) < 10:
        return 0.0
    try:
        return correlation(first, second)
    except (ValueError, OverflowError):  # courses that do not vary; sums beyond what floats hold
        return 0.0


def _make(context: RunContext, limits: Limits) -> _Detector:
    return _Detector(RewardCourse.of_run(context), limits)


RULE = Adjustable(SPEC, Limits(), _make)
