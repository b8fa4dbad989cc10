"""`pairs_memorised` (O1): training pairs are known by heart, which helps little, or harms, on held-out pairs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from runvitals.diagnostics.limits import Adjustable, described, limit
from runvitals.diagnostics.rules.definition import NEAR, OK, RowDetector, at, bad, is_finite, short, too_few
from runvitals.diagnostics.rules.first_and_newest import FirstAndNewest
from runvitals.diagnostics.rules.sources import OVERFITTING_DPO, RLHF_DETAILS, SAGEMAKER
from runvitals.diagnostics.timeline import Timeline
from runvitals.diagnostics.types import Cause, Number, Reading, Remedy, RuleSpec, RunContext, Sample

NOTHING_KNOWN = math.log(2)
"""Loss of a model that gives both answers the same, for sigmoid losses: that of DPO, and Bradley-Terry's of reward models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much worse than knowing nothing, or than on the training pairs."""

    times: float = limit(1.25, "times ln 2 that the held-out loss exceeds", least=1.0, most=100.0)
    train: float = limit(
        0.1, "training loss, as a share of ln 2, below which pairs are known by heart", least=0.001, most=0.9
    )
    # Healthy runs of one to two epochs on their own pairs: never below 0.64. Runs that get 24 pairs again and again: 0.2 soon, 0.03 to 0.06 later.
    share: float = limit(
        0.2, "training loss, as a share of the held-out loss, that tells of pairs seen before", least=0.001, most=0.9
    )


SPEC = RuleSpec(
    name="pairs_memorised",
    code="O1b",
    title="Pairs are memorised",
    family="fit",
    summary="The training loss is below a tenth of ln 2, and in two evaluations on end the held-out loss is above 1.25 times ln 2, which is what "
    "a model has that knows nothing, with fewer than 90 % of held-out pairs won. Or it is less than a fifth of the held-out loss as well, with "
    "5 points fewer held-out pairs won than training pairs: in the first epoch, when no pair should have been seen before, and as long after as "
    "the held-out loss does not fall.",
    main_signal="eval_loss",
    signals=("loss", "reward_accuracy", "eval_loss", "eval_reward_accuracy"),
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
    "training pairs look the same. After the first epoch a low training loss alone says nothing.",
    source="The loss of a model that knows nothing, which needs no fitting; a tiny reward model trained on 24 pairs came to a held-out loss of "
    "2.7. In the first epoch a loss on training pairs is one on pairs not seen before, and estimates the held-out loss: only what was seen "
    "before lies far below it",
    needs="loss, and two evaluations of loss and accuracy of pairs",
    limits=described(Limits),
)

_SIGMOID_STARTS_BELOW = 0.8
_WON = 0.9
_FEWER_WON = 0.05
_STILL_FALLS = 0.95
"""A held-out loss below this share of the one before is falling: what is learned still helps."""


class _Detector(RowDetector):
    """The newest training losses, and each evaluation."""

    def __init__(self, timeline: Timeline, limits: Limits) -> None:
        self._timeline = timeline
        self._limits = limits
        self._train = FirstAndNewest(first=1, newest=5)
        self._train_won = FirstAndNewest(first=1, newest=5)
        self._accuracy = math.nan
        self._before = math.nan
        self._is_early = False
        self._since: int | None = None

    def update(self, sample: Sample) -> Reading | None:
        """Takes a row; judges at each evaluation."""
        signals = sample.signals
        self._train.add(signals.get("loss"))
        self._train_won.add(signals.get("reward_accuracy"))
        accuracy, held_out = signals.get("eval_reward_accuracy"), signals.get("eval_loss")
        if accuracy is not None and is_finite(accuracy):
            self._accuracy = accuracy
        if held_out is None or not is_finite(held_out):
            return None
        before, self._before = self._before, held_out
        if self._train.count < 5 or math.isnan(self._accuracy):
            return too_few(5, self._train.count, "loss, and accuracy of held-out pairs")
        if self._train.began() > _SIGMOID_STARTS_BELOW:
            return Reading(state="unknown", reason="needs a sigmoid loss, which begins near 0.69")
        return self._judge(held_out, before, sample.step)

    def _judge(self, held_out: float, before: float, step: int | None) -> Reading:
        line = self._limits.times * NOTHING_KNOWN
        known = self._train.now() < self._limits.train * NOTHING_KNOWN
        if known and held_out > line and self._accuracy < _WON:
            return self._bad(held_out, f"worse than the {short(NOTHING_KNOWN)} of a model that knows nothing", step)
        if known and self._far_below(held_out):
            # In later epochs a low training loss is what many want; it tells of repeated pairs where it was there in the first.
            first_epoch = self._timeline.epoch <= 1.0
            if first_epoch or (self._is_early and held_out > _STILL_FALLS * before):
                self._is_early = True
                what = "though in the first epoch every pair should be new" if first_epoch else "and does not fall"
                return self._bad(held_out, what, step)
            return NEAR
        if held_out < 0.9 * line:
            self._since = None
            return OK
        return NEAR

    def _far_below(self, held_out: float) -> bool:
        """Whether the training pairs are known so much better than the held-out ones that they must have been seen before."""
        fewer = self._train_won.now() - self._accuracy
        return self._train.now() < self._limits.share * held_out and fewer > _FEWER_WON

    def _bad(self, held_out: float, what: str, step: int | None) -> Reading:
        if self._since is None:
            self._since = step
        numbers = (
            Number(label="Held-out loss", value=held_out, expected=f"below {short(NOTHING_KNOWN)}"),
            Number(
                label="Training loss, median of the last 5",
                value=self._train.now(),
                expected=f"above {short(self._limits.share * held_out)}",
            ),
            Number(label="Held-out pairs won", value=100 * self._accuracy, unit="%"),
        )
        sentence = (
            f"The held-out loss is {short(held_out)} {at(step)}, {what}, while the training loss is {short(self._train.now())}: the training "
            "pairs are known by heart."
        )
        return bad("warning", sentence, numbers, since=self._since, step=step)


def _make(context: RunContext, limits: Limits) -> _Detector:
    return _Detector(Timeline.of_run(context), limits)


RULE = Adjustable(SPEC, Limits(), _make)
