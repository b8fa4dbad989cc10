"""`learning_rate_too_high` (D9): the loss hardly falls until the learning rate does."""

from __future__ import annotations

import math
from dataclasses import dataclass

from runvitals.diagnostics.baseline import SortedWindow
from runvitals.diagnostics.blocks import Blocks
from runvitals.diagnostics.limits import Adjustable, described, limit
from runvitals.diagnostics.rules.definition import NEAR, OK, RowDetector, at, bad, is_finite, short
from runvitals.diagnostics.rules.masks import Resumes
from runvitals.diagnostics.rules.sources import OPT, PLAYBOOK, WSD
from runvitals.diagnostics.timeline import Timeline
from runvitals.diagnostics.types import Cause, Number, Reading, Remedy, RuleSpec, RunContext, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of the loss the decay of the learning rate may take away."""

    # Healthy pre-training, published and made: 7 % at most where the fall speeds up. Thirty times the rate: 22 to 32 %.
    fall: float = limit(
        0.18, "share of the loss that falls away once the rate is below half its peak", least=0.05, most=0.9
    )


SPEC = RuleSpec(
    name="learning_rate_too_high",
    code="D9",
    title="Learning rate was too high",
    family="divergence",
    summary="In pre-training, since the learning rate fell below half of its peak the loss has fallen by 18 % and three times its noise, and a "
    "quarter more than over as many rows before. Learning slows down as it goes on: where it speeds up with the decay, "
    "the rate was in its way.",
    main_signal="loss",
    signals=("loss", "learning_rate"),
    trainers=("pretrain",),
    hold=2,
    clear=5,
    causes=(
        Cause(text="The peak of the learning rate is too high for this model, batch and optimiser"),
        Cause(text="Warm-up is too short"),
        Cause(text="The data became easier at that time"),
    ),
    remedies=(
        Remedy(text="Start again with a peak of a third to a tenth of this one", **PLAYBOOK),
        Remedy(text="Sweep the rate over three short runs, and take the largest whose loss falls smoothly", **PLAYBOOK),
        Remedy(text="Lengthen the warm-up, clip gradients at 1.0 or less", **OPT),
        Remedy(text="Too late to start again: go on at the low rate, for the loss still falls", **WSD),
    ),
    false_alarms="The decay of a healthy schedule takes 2 to 9 % of the loss away, in a slow learner more, but less than the time before. A run that learned "
    "nothing yet when the decay began, because its rate is too low, looks the same. A constant rate cannot be judged.",
    source="MiniCPM (Hu et al., 2024): what the decay brings; tiny real runs with thirty times the rate",
    needs="loss and learning rate, 10 rows before the rate is halved and 5 after",
    limits=described(Limits),
)

_NEWEST = 5
_ENOUGH = 10
_FASTER = 1.25
"""How much more than before the loss must fall. One that falls by the same share in every row is a slow learner's."""
_ABOUT = 0.1
"""The level of a row before is that of the rows around it, so many of all on each side."""
_EARLIEST = 0.2
"""The first fifth of the rows before is no measure: there every loss falls fast."""
_ROSE = 0.15
"""A loss that has risen by so much from its lowest before the decay only comes back."""
_CHANGE_OF_NORMAL = 0.954
_NOISE_FACTOR = 3.0


class _Detector(RowDetector):
    """Logarithms of the losses: their course until the rate is halved, their level there and now."""

    def __init__(self, timeline: Timeline, limits: Limits) -> None:
        self._timeline = timeline
        self._resumes = Resumes(timeline)
        self._fall = -math.log(1.0 - limits.fall)
        self._forget()

    def _forget(self) -> None:
        self._course = Blocks()
        self._newest = SortedWindow(_NEWEST)
        self._changes = SortedWindow(64)
        self._last = math.nan
        self._halved: int | None = None
        self._there = math.nan
        self._after = 0

    def update(self, sample: Sample) -> Reading | None:
        """Takes a row."""
        if self._resumes.is_new():
            self._forget()
        loss = sample.signals.get("loss")
        if loss is None or not is_finite(loss) or loss <= 0.0:
            return None
        level = math.log(loss)
        if is_finite(self._last):
            self._changes.add(abs(level - self._last))
        self._last = level
        timeline = self._timeline
        if not timeline.rate < 0.5 * timeline.peak_rate:
            self._halved = None
        elif self._halved is None:
            self._halve(sample.step)
        self._newest.add(level)
        if self._halved is None:
            self._course.add(level)
            return OK
        self._after += 1
        if not is_finite(self._there) or self._after < _NEWEST:
            return Reading(state="unknown", reason="needs 10 losses before the learning rate is halved and 5 after")
        return self._judge(sample.step)

    def _halve(self, step: int | None) -> None:
        """Remembers what the loss was when the rate fell below half of its peak."""
        self._halved = step or 0
        self._after = 0
        self._there = self._newest.median() if self._course.count >= _ENOUGH else math.nan

    def _fell_before(self) -> float:
        """How far the loss fell over as many rows before the rate was halved as came since; infinite where that tells nothing."""
        place = 1.0 - self._after / self._course.count
        if place < _EARLIEST or self._there > min(self._course.means) + _ROSE:
            return math.inf
        return self._course.estimate(place - _ABOUT, min(1.0, place + _ABOUT)).mean - self._there

    def _judge(self, step: int | None) -> Reading:
        fell = self._there - self._newest.median()
        noise = self._changes.median() / _CHANGE_OF_NORMAL
        line = max(self._fall, _NOISE_FACTOR * noise)
        if fell <= line:
            return OK if fell < 0.5 * line else NEAR
        before = self._fell_before()
        if fell <= _FASTER * before:
            return NEAR
        now, there, rate = math.exp(self._newest.median()), math.exp(self._there), self._timeline.peak_rate
        numbers = (
            Number(label="Loss, median of the last 5", value=now),
            Number(label="Loss when the rate was half its peak", value=there),
            Number(
                label="Fall since",
                value=100 * (1 - math.exp(-fell)),
                unit="%",
                expected=f"below {100 * (1 - math.exp(-line)):.0f}",
            ),
            Number(label="Fall over as many rows before", value=100 * (1 - math.exp(-before)), unit="%"),
            Number(label="Highest learning rate", value=rate),
        )
        sentence = (
            f"Since the learning rate fell below half of its {short(rate)} the loss has fallen from {short(there)} to {short(now)} {at(step)}, "
            "faster than before: the rate was too high to learn at."
        )
        return bad("warning", sentence, numbers, since=self._halved, step=step)


def _make(context: RunContext, limits: Limits) -> _Detector:
    return _Detector(Timeline.of_run(context), limits)


RULE = Adjustable(SPEC, Limits(), _make)
