"""`pairs_memorised` (O1): training pairs are known by heart, and on held-out pairs the model does worse than one that knows nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass

from runvitals.diagnostics.limits import Adjustable, described, limit
from runvitals.diagnostics.rules.definition import NEAR, OK, RowDetector, at, bad, is_finite, short, too_few
from runvitals.diagnostics.rules.first_and_newest import FirstAndNewest
from runvitals.diagnostics.rules.sources import OVERFITTING_DPO, RLHF_DETAILS, SAGEMAKER
from runvitals.diagnostics.types import Cause, Number, Reading, Remedy, RuleSpec, RunContext, Sample

NOTHING_KNOWN = math.log(2)
"""Loss of a model that gives both answers the same, for sigmoid losses: that of DPO, and Bradley-Terry's of reward models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much worse than knowing nothing."""

    times: float = limit(1.25, "times ln 2 that the held-out loss exceeds", least=1.0, most=100.0)
    train: float = limit(
        0.1, "training loss, as a share of ln 2, below which pairs are known by heart", least=0.001, most=0.9
    )


SPEC = RuleSpec(
    name="pairs_memorised",
    code="O1b",
    title="Pairs are memorised",
    family="fit",
    summary="The training loss is below a tenth of ln 2, and in two evaluations on end the held-out loss is above 1.25 times ln 2, which is what "
    "a model has that knows nothing, with fewer than 90 % of held-out pairs won.",
    main_signal="eval_loss",
    signals=("loss", "eval_loss", "eval_reward_accuracy"),
    trainers=("dpo", "reward"),
    hold=2,
    clear=2,
    inhibits=("margin_saturated",),
    causes=(
        Cause(text="The same few pairs come again and again: duplicates, too many epochs, a sampler that repeats"),
        Cause(text="The pairs are told apart by something trivial: length, a phrase, the template"),
        Cause(text="The learning rate is too high for so few pairs"),
    ),
    remedies=(
        Remedy(text="Count the distinct prompts and answers that training has seen"),
        Remedy(text="Go back to the checkpoint with the best evaluation, and stop there", **SAGEMAKER),
        Remedy(text="Train a reward model for one epoch", **RLHF_DETAILS),
        Remedy(text="Raise beta, or use more and more diverse pairs", **OVERFITTING_DPO),
    ),
    false_alarms="A loss on another scale (IPO, hinge) is not judged where it begins above 0.8; held-out pairs of another kind than the "
    "training pairs look the same.",
    source="The loss of a model that knows nothing, which needs no fitting; a tiny reward model trained on 24 pairs came to a held-out loss of 2.7",
    needs="loss, and two evaluations of loss and accuracy of pairs",
    limits=described(Limits),
)

_SIGMOID_STARTS_BELOW = 0.8
_WON = 0.9


class _Detector(RowDetector):
    """The newest training losses, and each evaluation."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._train = FirstAndNewest(first=1, newest=5)
        self._accuracy = math.nan
        self._since: int | None = None

    def update(self, sample: Sample) -> Reading | None:
        """Takes a row; judges at each evaluation."""
        signals = sample.signals
        self._train.add(signals.get("loss"))
        accuracy, held_out = signals.get("eval_reward_accuracy"), signals.get("eval_loss")
        if accuracy is not None and is_finite(accuracy):
            self._accuracy = accuracy
        if held_out is None or not is_finite(held_out):
            return None
        if self._train.count < 5 or math.isnan(self._accuracy):
            return too_few(5, self._train.count, "loss, and accuracy of held-out pairs")
        if self._train.began() > _SIGMOID_STARTS_BELOW:
            return Reading(state="unknown", reason="needs a sigmoid loss, which begins near 0.69")
        return self._judge(held_out, sample.step)

    def _judge(self, held_out: float, step: int | None) -> Reading:
        train = self._train.now()
        line = self._limits.times * NOTHING_KNOWN
        if held_out <= line or train >= self._limits.train * NOTHING_KNOWN or self._accuracy >= _WON:
            if held_out < 0.9 * line:
                self._since = None
                return OK
            return NEAR
        if self._since is None:
            self._since = step
        numbers = (
            Number(label="Held-out loss", value=held_out, expected=f"below {short(NOTHING_KNOWN)}"),
            Number(label="Training loss, median of the last 5", value=train),
            Number(label="Held-out pairs won", value=100 * self._accuracy, unit="%"),
        )
        sentence = (
            f"The held-out loss is {short(held_out)} {at(step)}, worse than the {short(NOTHING_KNOWN)} of a model that knows nothing, while the "
            f"training loss is {short(train)}: the training pairs are known by heart."
        )
        return bad("warning", sentence, numbers, since=self._since, step=step)


def _make(context: RunContext, limits: Limits) -> _Detector:
    return _Detector(limits)


RULE = Adjustable(SPEC, Limits(), _make)
