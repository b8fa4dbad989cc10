"""`learning_rate_zero` (S5): nothing can be learned, since the learning rate is 0."""

from __future__ import annotations

import math
from dataclasses import dataclass

from runvitals.diagnostics.blocks import Blocks
from runvitals.diagnostics.limits import Adjustable, described, limit
from runvitals.diagnostics.rules.definition import OK, RowDetector, at, bad, is_finite
from runvitals.diagnostics.rules.sources import PLAYBOOK
from runvitals.diagnostics.timeline import Timeline
from runvitals.diagnostics.types import Cause, Number, Reading, Remedy, RuleSpec, RunContext, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long the rate must have been 0."""

    rows: float = limit(10, "rows on end with a learning rate of exactly 0", least=3, most=10_000, unit="rows")
    steps: float = limit(50, "steps that they span", least=1, most=1_000_000, unit="steps")


SPEC = RuleSpec(
    name="learning_rate_zero",
    code="S5",
    title="Learning rate is 0",
    family="stall",
    summary="The learning rate is exactly 0 in 10 rows on end that span 50 steps. From the start, with a loss that does not fall, it is critical: "
    "nothing was learned at all. Later it is a warning where a tenth of the planned run is still to come.",
    main_signal="learning_rate",
    signals=("learning_rate",),
    hold=1,
    clear=3,
    inhibits=(
        "not_learning",
        "loss_plateau",
        "underfit",
        "margin_too_small",
        "margin_inverted",
        "margin_stagnant",
        "margin_fluctuating",
        "reward_model_at_chance",
        "reward_flat",
    ),
    causes=(
        Cause(text="The learning rate was set to 0, or read from the configuration as 0 (1e-5 as text, an integer)"),
        Cause(text="The schedule was told fewer steps than the run has, and has ended"),
        Cause(text="The optimiser skips its steps, so that the schedule does not move: fp16 overflow from the start"),
    ),
    remedies=(
        Remedy(text="Stop: the run trains nothing from here on"),
        Remedy(text="Print the optimiser's parameter groups: their lr, and the parameters in them"),
        Remedy(text="Compare the schedule's number of steps with the run's, and the warm-up with both", **PLAYBOOK),
    ),
    false_alarms="The first row of a warm-up, and the last of a schedule, are 0 rightly; a loss scaler may skip the first steps.",
    source="rule catalogue S5; a made-up run that learned nothing raised wrong alarms of other rules before this one named its cause",
    needs="learning_rate, 10 points",
    limits=described(Limits),
)

_LEFT = 0.9


class _Detector(RowDetector):
    """How long the rate has been 0, and the losses since: whether they fall all the same."""

    def __init__(self, timeline: Timeline, limits: Limits) -> None:
        self._timeline = timeline
        self._limits = limits
        self._rows = 0
        self._first: int | None = None
        self._losses = Blocks()

    def update(self, sample: Sample) -> Reading | None:
        """Takes a row."""
        rate = sample.signals.get("learning_rate")
        if rate is None or not is_finite(rate):
            return None
        if rate != 0.0:
            self._rows = 0
            return OK
        if not self._rows:
            self._first, self._losses = sample.step, Blocks()
        loss = sample.signals.get("loss")
        if loss is not None and is_finite(loss):
            self._losses.add(loss)
        self._rows += 1
        if self._rows < self._limits.rows or self._spanned(sample.step) < self._limits.steps:
            return None
        return self._judge(sample.step)

    def _spanned(self, step: int | None) -> float:
        return math.inf if step is None or self._first is None else step - self._first

    def _judge(self, step: int | None) -> Reading | None:
        number = (
            Number(label="Learning rate", value=0.0, expected="above 0"),
            Number(label="Rows on end", value=float(self._rows), expected="1"),
        )
        timeline = self._timeline
        if timeline.peak_rate > 0.0:
            if timeline.progress is None or timeline.progress > _LEFT:
                return None
            sentence = (
                f"The learning rate has been 0 for {self._rows} rows {at(step)}, and {1 - timeline.progress:.0%} of the run is to come: "
                "nothing is learned in it."
            )
            return bad("warning", sentence, number, since=self._first, step=step)
        if self._loss_falls():
            return None
        sentence = f"The learning rate has been 0 in all {self._rows} rows {at(step)}: nothing is learned."
        return bad("critical", sentence, number, since=self._first, step=step)

    def _loss_falls(self) -> bool:
        """True where a straight line through the losses surely falls: then the rate is logged wrongly."""
        return self._losses.trend(0.0, 1.0).direction < 0


def _make(context: RunContext, limits: Limits) -> _Detector:
    return _Detector(Timeline.of_run(context), limits)


RULE = Adjustable(SPEC, Limits(), _make)
