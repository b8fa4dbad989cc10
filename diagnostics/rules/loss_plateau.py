"""`loss_plateau` (S4): the newest stretch of the run has brought nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass

from runvitals.diagnostics.blocks import Blocks
from runvitals.diagnostics.limits import Adjustable, described, limit
from runvitals.diagnostics.rules.definition import NEAR, OK, RowDetector, at, bad, short, too_few
from runvitals.diagnostics.rules.sources import PLAYBOOK, SAGEMAKER
from runvitals.diagnostics.timeline import Timeline
from runvitals.diagnostics.types import Cause, Number, Reading, Remedy, RuleSpec, RunContext, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How little progress is none."""

    gain: float = limit(0.002, "share of the loss that the last fifth of the course must bring", least=1e-05, most=0.1)


SPEC = RuleSpec(
    name="loss_plateau",
    code="S4",
    title="Loss has levelled off",
    family="stall",
    summary="Between 20 and 80 % of a run whose length is known, from 200 rows on and with a learning rate above a tenth of its peak: the two halves of the last fifth of the course differ by less than 0.2 % and by less than their error. Information: a loss levels off by nature.",
    main_signal="loss",
    signals=("loss",),
    trainers=("pretrain", "sft", "custom"),
    hold=2,
    clear=3,
    causes=(
        Cause(text="The model has learned what the data gives"),
        Cause(text="The learning rate is too high to settle, or too low to move"),
        Cause(text="The data repeats itself"),
    ),
    remedies=(
        Remedy(text="Let the learning rate decay now", **PLAYBOOK),
        Remedy(text="Sweep the learning rate over three runs", **PLAYBOOK),
        Remedy(text="Look at the evaluation: if it is flat as well, stop", **SAGEMAKER),
        Remedy(text="More or other data; a larger model or adapter"),
    ),
    false_alarms="Normal late in a run; evaluation decides.",
    source="SageMaker LossNotDecreasing; rule catalogue S4, as information",
    needs="loss, 200 points, and the planned number of steps",
    limits=described(Limits),
)

_EVERY = 25
_ENOUGH = 200


class _Detector(RowDetector):
    """The whole course of the loss."""

    def __init__(self, timeline: Timeline, limits: Limits) -> None:
        self._limits = limits
        self._timeline = timeline
        self._course = Blocks()

    def update(self, sample: Sample) -> Reading | None:
        """Takes a row; judges every 25th."""
        loss = sample.signals.get("loss")
        if loss is None or loss - loss != 0.0:
            return None
        self._course.add(loss)
        count, timeline = self._course.count, self._timeline
        if count % _EVERY:
            return None
        progress = timeline.progress
        if count < _ENOUGH or progress is None or progress < 0.2:
            return (
                too_few(_ENOUGH, count, "loss")
                if count < _ENOUGH
                else Reading(state="unknown", reason="needs a run whose length is known")
            )
        if progress > 0.8 or timeline.rate < 0.1 * timeline.peak_rate:
            return OK
        before, now = self._course.estimate(0.8, 0.9), self._course.estimate(0.9, 1.0)
        gain, error = before.mean - now.mean, math.hypot(before.error, now.error)
        if not (abs(gain) < min(self._limits.gain * abs(before.mean), error) and error < 0.01 * abs(before.mean)):
            return OK if gain > error else NEAR
        numbers = (
            Number(label="Loss, last tenth of the rows", value=now.mean, expected="falling"),
            Number(label="Loss, the tenth before", value=before.mean),
            Number(label="Standard error of the difference", value=error),
        )
        sentence = f"The loss has levelled off at {short(now.mean)} {at(sample.step)}: the last fifth of the rows has brought less than {100 * self._limits.gain:g} %."
        return bad("info", sentence, numbers, since=None, step=sample.step)


def _make(context: RunContext, limits: Limits) -> _Detector:
    return _Detector(Timeline.of_run(context), limits)


RULE = Adjustable(SPEC, Limits(), _make)
