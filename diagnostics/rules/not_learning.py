"""`not_learning` (S5): the loss stays what it was at the start."""

from __future__ import annotations

import math

from runvitals.diagnostics.blocks import Blocks
from runvitals.diagnostics.rules.definition import NEAR, OK, Definition, RowDetector, at, bad, short, too_few
from runvitals.diagnostics.rules.sources import PLAYBOOK, TRL
from runvitals.diagnostics.timeline import Timeline
from runvitals.diagnostics.types import Cause, Number, Reading, Remedy, RuleSpec, RunContext, Sample, Severity

SPEC = RuleSpec(
    name="not_learning",
    code="S5b",
    title="Nothing is learned",
    family="stall",
    summary="The loss is the same to the last digit for 30 rows; or, after a fifth of the run and 100 rows, the last quarter of the course lies less than 0.5 % below the first (2 % in pre-training), errors allowed for. Warnings. Between 0.5 and 2 % it is information.",
    main_signal="loss",
    signals=("loss", "learning_rate"),
    trainers=("pretrain", "sft", "custom"),
    hold=2,
    clear=3,
    inhibits=("loss_plateau", "underfit"),
    causes=(
        Cause(
            text="The optimiser does not step, or steps on other parameters: wrapping, frozen layers, adapters not attached"
        ),
        Cause(text="The learning rate is 0, or far too small"),
        Cause(text="The labels are masked, or shifted"),
        Cause(text="The base model fits the data already"),
    ),
    remedies=(
        Remedy(text="Compare a parameter before and after a step"),
        Remedy(text="Train one batch alone: its loss must go to 0", **PLAYBOOK),
        Remedy(text="Raise the learning rate 10 times for 50 steps", **PLAYBOOK),
        Remedy(text="Decode the labels of one batch, and look at the chat template", **TRL),
    ),
    false_alarms="Fine-tuning a model that fits already: its evaluation tells. A loss so noisy that 0.5 % cannot be told is not judged.",
    source="SageMaker LossNotDecreasing asks for a fall every 10 steps, and warns 60 % of healthy runs; rule catalogue S5",
    needs="loss, 100 points",
)

_EVERY = 10
_ENOUGH = 100
_SAME = 30


class _Detector(RowDetector):
    """The whole course of the loss, and how long it has been the same."""

    def __init__(self, timeline: Timeline, *, sure: float) -> None:
        self._timeline = timeline
        self._sure = sure
        self._course = Blocks()
        self._last = math.nan
        self._same = 0

    def update(self, sample: Sample) -> Reading | None:
        """Takes a row; judges every tenth."""
        loss = sample.signals.get("loss")
        if loss is None or loss - loss != 0.0:
            return None
        self._course.add(loss)
        self._same = self._same + 1 if loss == self._last else 0
        self._last = loss
        count = self._course.count
        return self._judge(loss, sample.step) if count % _EVERY == 0 else None

    def _judge(self, loss: float, step: int | None) -> Reading:
        timeline, count = self._timeline, self._course.count
        if self._same >= _SAME and loss > 0.01:
            numbers = (Number(label="Rows with the same loss", value=float(self._same), expected="0"),)
            sentence = f"The loss has been exactly {short(loss)} for {self._same} rows {at(step)}."
            return bad("warning", sentence, numbers, since=None, step=step)
        progress = timeline.progress
        if count < _ENOUGH or (progress is not None and progress < 0.2):
            return (
                too_few(_ENOUGH, count, "loss")
                if count < _ENOUGH
                else Reading(state="unknown", reason="needs a fifth of the run")
            )
        return self._compare(step)

    def _compare(self, step: int | None) -> Reading:
        first, last = self._course.estimate(0.0, 0.25), self._course.estimate(0.75, 1.0)
        if first.mean <= 0.0:
            return Reading(state="unknown", reason="needs a loss above 0")
        error = math.hypot(first.error, last.error) / first.mean
        gain = 1.0 - last.mean / first.mean
        most = gain + 3.0 * error
        if most >= 0.02:
            return OK if gain > 0.02 else NEAR
        # A loss that climbs for sure is another fault, one whose course cannot be told is none, and a zero error that of a made-up series.
        if most < -0.01 or not 0.0 < error < 0.006:
            return NEAR
        severity: Severity = "warning" if most < self._sure else "info"
        numbers = (
            Number(label="Loss, last quarter", value=last.mean, expected=f"below {short(0.98 * first.mean)}"),
            Number(label="Loss, first quarter", value=first.mean),
            Number(label="Error of the difference", value=100 * error, unit="%"),
            Number(label="Learning rate", value=self._timeline.rate),
        )
        sentence = f"The loss has hardly moved: {short(last.mean)} {at(step)}, {short(first.mean)} over the first quarter of the rows."
        shown = [number for number in numbers if math.isfinite(number.value)]
        return bad(severity, sentence, shown, since=None, step=step)


def _make(context: RunContext) -> _Detector:
    return _Detector(Timeline.of_run(context), sure=0.02 if context.trainer == "pretrain" else 0.005)


RULE = Definition(SPEC, _make)
