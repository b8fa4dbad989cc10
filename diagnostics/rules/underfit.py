"""`underfit` (O2): a whole epoch has brought next to nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass

from runvitals.diagnostics.limits import Adjustable, described, limit
from runvitals.diagnostics.rules.definition import NEAR, OK, RowDetector, at, bad, counted, short, too_few
from runvitals.diagnostics.rules.first_and_newest import FirstAndNewest
from runvitals.diagnostics.rules.sources import PLAYBOOK, TRL
from runvitals.diagnostics.timeline import Timeline
from runvitals.diagnostics.types import Cause, Number, Reading, Remedy, RuleSpec, RunContext, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far the losses must have fallen."""

    gain: float = limit(0.05, "share of the loss at the start", least=0.001, most=0.9)


SPEC = RuleSpec(
    name="underfit",
    code="O2",
    title="Underfitting",
    family="fit",
    summary="After one epoch, or nine tenths of the run, and 40 rows: training loss less than 5 % below that of the first ten rows, evaluation loss less than 5 % below the first one, where there are two. Information.",
    main_signal="loss",
    signals=("loss", "eval_loss", "epoch"),
    trainers=("sft",),
    hold=2,
    clear=3,
    causes=(
        Cause(text="The learning rate is too low, or the adapter too small"),
        Cause(text="The chat template or the mask hides what is to be learned"),
        Cause(text="The base model fits the data already"),
    ),
    remedies=(
        Remedy(text="Raise the learning rate: adapters bear 10 times more than full fine-tuning", **TRL),
        Remedy(text="Higher adapter rank, more target modules, one more epoch", **TRL),
        Remedy(text="Read one batch as the model gets it", **TRL),
        Remedy(text="Read 50 samples: contradicting or empty answers cannot be learned", **PLAYBOOK),
    ),
    false_alarms="A base model that fits the data already.",
    source="rule catalogue O2, as information",
    needs="loss, 40 points, and an epoch or the planned number of steps",
    limits=described(Limits),
)

_EVERY = 10
_ENOUGH = 40


class _Detector(RowDetector):
    """Losses of the start and of now."""

    def __init__(self, timeline: Timeline, limits: Limits) -> None:
        self._limits = limits
        self._timeline = timeline
        self._train = FirstAndNewest(first=10, newest=20)
        self._held_out = FirstAndNewest(first=1, newest=1)

    def update(self, sample: Sample) -> Reading | None:
        """Takes a row; judges every tenth."""
        self._held_out.add(sample.signals.get("eval_loss"))
        if not self._train.add(sample.signals.get("loss")) or self._train.count % _EVERY:
            return None
        if self._train.count < _ENOUGH:
            return too_few(_ENOUGH, self._train.count, "loss")
        timeline = self._timeline
        if not (timeline.epoch >= 1.0 or (timeline.progress or 0.0) >= 0.9):
            return Reading(state="unknown", reason="needs one epoch")
        began, now = self._train.began(), self._train.now()
        if began <= 0.0:
            return Reading(state="unknown", reason="needs a loss above 0")
        gain = 1.0 - now / began
        noise = self._train.noise() / began / math.sqrt(10)
        held = (
            1.0 - self._held_out.now() / self._held_out.began()
            if self._held_out.count > 1 and self._held_out.began() > 0.0
            else 0.0
        )
        least = self._limits.gain
        if not (least - noise > gain > -least and held < least):
            return OK if max(gain, held) > 1.2 * least else NEAR
        numbers = [
            Number(label="Loss, median of the last 20", value=now, expected=f"below {short((1 - least) * began)}"),
            Number(label="Loss, median of the first 10", value=began),
            Number(label="Learning rate", value=timeline.rate),
        ]
        done = (
            counted(timeline.epoch, "epoch")
            if math.isfinite(timeline.epoch)
            else f"{timeline.progress or 0.0:.0%} of the run"
        )
        sentence = f"After {done} the loss is {short(now)} {at(sample.step)}, {gain:.0%} below that of the start."
        return bad("info", sentence, [n for n in numbers if math.isfinite(n.value)], since=None, step=sample.step)


def _make(context: RunContext, limits: Limits) -> _Detector:
    return _Detector(Timeline.of_run(context), limits)


RULE = Adjustable(SPEC, Limits(), _make)
