"""`overfit` (O1): the loss on held-out data climbs while that on training data falls."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median, stdev

from runvitals.diagnostics.limits import Adjustable, described, in_order, limit
from runvitals.diagnostics.rules.definition import (
    NEAR,
    OK,
    SUPERVISED,
    RowDetector,
    at,
    bad,
    short,
    too_few,
)
from runvitals.diagnostics.rules.first_and_newest import FirstAndNewest
from runvitals.diagnostics.rules.sources import PLAYBOOK, RLHF_DETAILS, SAGEMAKER
from runvitals.diagnostics.types import Cause, Number, Reading, Remedy, RuleSpec, RunContext, Sample, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far the evaluation loss may climb above its best."""

    info: float = limit(0.02, "share above the best, for information", least=0.001, most=1.0)
    warning: float = limit(0.05, "share above the best, for a warning", least=0.001, most=2.0)
    critical: float = limit(0.25, "share above the best, for a critical alert", least=0.001, most=10.0)

    def __post_init__(self) -> None:
        in_order(self, "info", "warning", "critical")


SPEC = RuleSpec(
    name="overfit",
    code="O1",
    title="Overfitting",
    family="fit",
    summary="Two evaluations on end lie 2 % above the best one (information) or 5 % (a warning; critical from 25 %, or 10 % in five on end), while the training loss has fallen since, by 2 % and by more than three of its standard errors. Where a preference accuracy is evaluated it must have fallen too.",
    main_signal="eval_loss",
    signals=("eval_loss", "loss", "eval_reward_accuracy"),
    trainers=SUPERVISED,
    hold=1,
    clear=2,
    causes=(
        Cause(text="Too many epochs, or too little data"),
        Cause(text="The learning rate is too high for fine-tuning"),
        Cause(text="The evaluation set is of another kind than the training data"),
    ),
    remedies=(
        Remedy(
            text="Go back to the checkpoint with the best evaluation, and stop there",
            detail="load_best_model_at_end does it",
            **SAGEMAKER,
        ),
        Remedy(text="Fewer epochs: one is enough for most reward models", **RLHF_DETAILS),
        Remedy(text="More, and more diverse, data", **PLAYBOOK),
        Remedy(text="Lower learning rate, weight decay, dropout, smaller adapter rank", **PLAYBOOK),
    ),
    false_alarms="Dropout is on in training only; tiny evaluation sets scatter, so two on end must lie above. DPO's evaluation loss may climb while accuracy holds.",
    source="SageMaker Overfit (ratio 0.1) and Overtraining; rule catalogue O1",
    needs="three evaluations and the training loss",
    limits=described(Limits),
)

_LEAST_SHARE = 0.02
"""A climb must be this share of the first evaluation too: near 0 all ratios are large."""
_SURE = 3.0
"""Standard errors of the two medians by which the training loss must have fallen, as in other rules that compare means. Three healthy reward models
on one set of 128 held-out pairs came to 7 % above their best evaluation with less than that."""
_OF_A_MEDIAN = math.sqrt(math.pi / 2)
"""The standard error of a normal median in those of the mean."""


class _Detector(RowDetector):
    """The best evaluation, how many since lie above it, and the training loss then and now."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._train = FirstAndNewest(first=1)
        self._first = math.nan
        self._best = math.inf
        self._best_step: int | None = None
        self._train_at_best: list[float] = []
        self._accuracy = self._best_accuracy = math.nan
        self._rises: list[float] = []
        self._count = 0

    def update(self, sample: Sample) -> Reading | None:
        """Takes a row; says something where it holds an evaluation."""
        signals = sample.signals
        self._train.add(signals.get("loss"))
        accuracy = signals.get("eval_reward_accuracy")
        if accuracy is not None and accuracy - accuracy == 0.0:
            self._accuracy = accuracy
            self._best_accuracy = (
                accuracy if self._best_accuracy != self._best_accuracy else max(self._best_accuracy, accuracy)
            )
        held_out = signals.get("eval_loss")
        if held_out is None or held_out - held_out != 0.0:
            return None
        self._count += 1
        if self._count == 1:
            self._first = held_out
        if held_out <= self._best:
            self._best, self._best_step, self._train_at_best = held_out, sample.step, list(self._train.newest)
            self._rises = []
        elif len(self._rises) < 64:
            self._rises.append(held_out)
        if self._count < 3 or self._best <= 0.0:
            return too_few(3, self._count, "eval_loss")
        return self._judge(held_out, sample.step)

    def _judge(self, held_out: float, step: int | None) -> Reading:
        least = self._best + _LEAST_SHARE * abs(self._first)
        newest = min(self._rises[-2:], default=self._best)
        rise = newest / self._best - 1.0 if newest > least and len(self._rises) >= 2 else 0.0
        holds = self._accuracy > self._best_accuracy - 0.02
        if rise <= self._limits.info or not self._has_fallen() or holds:
            return OK if held_out < (1 + 0.5 * self._limits.info) * self._best else NEAR
        many = len(self._rises) >= 5 and min(self._rises[-5:]) > max(1.1 * self._best, least)
        severity: Severity = (
            "critical" if rise > self._limits.critical or many else "warning" if rise > self._limits.warning else "info"
        )
        numbers = [
            Number(
                label="Evaluation loss",
                value=held_out,
                expected=f"at most {short((1 + self._limits.info) * self._best)}",
            ),
            Number(label="Best evaluation loss", value=self._best),
            Number(label="Training loss, median of the last 10", value=self._train.now()),
            Number(label="Training loss at the best evaluation", value=_middle(self._train_at_best)),
        ]
        sentence = (
            f"Evaluation loss is {short(held_out)} {at(step)}, {held_out / self._best - 1:.0%} above its best, {at(self._best_step)}, "
            f"while training loss fell from {short(_middle(self._train_at_best))} to {short(self._train.now())}."
        )
        return bad(severity, sentence, numbers, since=self._best_step, step=step)

    def _has_fallen(self) -> bool:
        """Whether the training loss is lower than it was at the best evaluation, beyond what its rows scatter."""
        before, now = _middle(self._train_at_best), self._train.now()
        error = math.hypot(_error(self._train_at_best), _error(list(self._train.newest)))
        return now < 0.98 * before and before - now > _SURE * error


def _middle(values: list[float]) -> float:
    return median(values) if values else math.nan


def _error(values: list[float]) -> float:
    """The standard error of the median of some values, 0 where one value tells none."""
    return _OF_A_MEDIAN * stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0


def _make(context: RunContext, limits: Limits) -> _Detector:
    return _Detector(limits)


RULE = Adjustable(SPEC, Limits(), _make)
