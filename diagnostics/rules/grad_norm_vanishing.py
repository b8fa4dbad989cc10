"""`grad_norm_vanishing` (D7): nothing flows back, though there is a loss to bring down."""

from __future__ import annotations

import math
from dataclasses import dataclass

from runvitals.diagnostics.limits import Adjustable, described, limit
from runvitals.diagnostics.rules.definition import (
    NEAR,
    OK,
    SUPERVISED,
    RowDetector,
    at,
    bad,
    counted,
    short,
    too_few,
)
from runvitals.diagnostics.rules.first_and_newest import FirstAndNewest
from runvitals.diagnostics.rules.sources import PLAYBOOK, TRL
from runvitals.diagnostics.timeline import Timeline
from runvitals.diagnostics.types import Cause, Number, Reading, Remedy, RuleSpec, RunContext, Sample, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How little gradient is none."""

    share: float = limit(0.01, "share of the norm after the warm-up that is left", least=1e-06, most=0.5)
    zeros: float = limit(5, "rows on end with a norm of exactly 0, for a warning", least=1, most=10000, unit="rows")


SPEC = RuleSpec(
    name="grad_norm_vanishing",
    code="D7",
    title="Gradients vanish",
    family="divergence",
    summary="The gradient norm is exactly 0 for 5 rows on end (a warning; critical from 20) while the loss is above 0 and the learning rate too; or its median over 20 rows is below 1 % of what it was after the warm-up, with a loss above a tenth of the first.",
    main_signal="grad_norm",
    signals=("grad_norm", "loss"),
    trainers=SUPERVISED,
    hold=1,
    clear=5,
    inhibits=("not_learning", "loss_plateau", "margin_stagnant", "margin_too_small"),
    causes=(
        Cause(text="The trained parameters are not in the graph: frozen, detached, adapters not attached"),
        Cause(text="All labels are masked (-100): template, collator, truncation"),
        Cause(text="The loss is saturated"),
    ),
    remedies=(
        Remedy(text="Print the parameters that require a gradient, and their gradients after one step"),
        Remedy(text="Decode the labels of one batch: is anything left to predict?", **TRL),
        Remedy(text="Train one batch alone: its loss must go to 0", **PLAYBOOK),
        Remedy(text="For adapters: check the names of the target modules", **TRL),
    ),
    false_alarms="The end of a schedule and a loss near 0 have small gradients rightly; GRPO without reward spread is another rule.",
    source="SageMaker VanishingGradient (mean absolute gradient, not comparable); rule catalogue D7",
    needs="grad_norm and loss, 5 points",
    limits=described(Limits),
)

_MANY_ZEROS = 20
_EVERY = 5


class _Detector(RowDetector):
    """Zeros on end, and the norm now against that after the warm-up."""

    def __init__(self, timeline: Timeline, limits: Limits) -> None:
        self._limits = limits
        self._timeline = timeline
        self._norm = FirstAndNewest(first=30, newest=20)
        self._loss = FirstAndNewest(first=5, newest=10)
        self._zeros = 0
        self._since: int | None = None

    def update(self, sample: Sample) -> Reading | None:
        """Takes a row."""
        self._loss.add(sample.signals.get("loss"))
        norm = sample.signals.get("grad_norm")
        if norm is None or norm - norm != 0.0 or not self._loss.count:
            return None
        if norm == 0.0 and self._loss.newest[-1] > 0.0 and self._timeline.rate != 0.0:
            self._zeros += 1
            return self._none(sample.step) if self._zeros >= self._limits.zeros else None
        self._zeros = 0
        if not self._timeline.warming_up:
            self._norm.add(norm)
        count = self._norm.count
        if not self._norm.full:
            return too_few(50, count, "grad_norm after the warm-up") if self._since is None else OK
        return self._judge(sample.step) if count % _EVERY == 0 else None

    def _none(self, step: int | None) -> Reading:
        if self._zeros == math.ceil(self._limits.zeros):
            self._since = step
        severity: Severity = "critical" if self._zeros >= max(_MANY_ZEROS, self._limits.zeros) else "warning"
        numbers = (
            Number(label="Gradient norm", value=0.0, expected="above 0"),
            Number(label="Loss", value=self._loss.newest[-1]),
            Number(label="Rows on end", value=float(self._zeros)),
        )
        sentence = f"The gradient norm has been exactly 0 for {counted(self._zeros, 'row')} {at(step)}, with a loss of {short(self._loss.newest[-1])}: nothing is learned."
        return bad(severity, sentence, numbers, since=self._since, step=step)

    def _judge(self, step: int | None) -> Reading:
        began, now = self._norm.began(), self._norm.now()
        low = began > 0.0 and now < self._limits.share * began
        done = self._loss.now() < 0.1 * abs(self._loss.began()) or self._timeline.rate < 0.1 * self._timeline.peak_rate
        if not low or done:
            if now > 2 * self._limits.share * began:
                self._since = None
                return OK
            return NEAR
        if self._since is None:
            self._since = step
        numbers = (
            Number(
                label="Gradient norm, median of the last 20",
                value=now,
                expected=f"above {short(self._limits.share * began)}",
            ),
            Number(label="Gradient norm after the warm-up", value=began),
            Number(label="Loss, median of the last 10", value=self._loss.now()),
        )
        sentence = f"The gradient norm is {short(now)} {at(step)}, {self._limits.share:.0%} or less of the {short(began)} after the warm-up, while the loss is {short(self._loss.now())}."
        return bad("warning", sentence, numbers, since=self._since, step=step)


def _make(context: RunContext, limits: Limits) -> _Detector:
    return _Detector(Timeline.of_run(context), limits)


RULE = Adjustable(SPEC, Limits(), _make)
