"""`epoch_staircase` (O3): the loss drops at the edge of an epoch: samples seen before are remembered."""

from __future__ import annotations

import math
from collections import deque
from statistics import median, stdev

from runvitals.diagnostics.rules.definition import NEAR, OK, Definition, RowDetector, at, bad, short
from runvitals.diagnostics.rules.sources import OLMO, PLAYBOOK, SAGEMAKER, SPIKES
from runvitals.diagnostics.timeline import Timeline
from runvitals.diagnostics.types import Cause, Number, Reading, Remedy, RuleSpec, RunContext, Sample

SPEC = RuleSpec(
    name="epoch_staircase",
    code="O3",
    title="Loss falls in steps, epoch by epoch",
    family="fit",
    summary="At two edges of epochs on end, or at one by a quarter, the median of ten losses drops by more than 8 % and three standard errors. Information: from here on training loss says little of new data. A jump upwards by as much means that the data changed.",
    main_signal="loss",
    signals=("loss",),
    trainers=("pretrain", "sft", "reward", "custom"),
    hold=1,
    clear=1,
    causes=(
        Cause(text="The model remembers single samples: more epochs than the data bears"),
        Cause(text="The data is not shuffled anew, or its parts differ"),
    ),
    remedies=(
        Remedy(text="Judge by an evaluation from here on, and stop at its best", **SAGEMAKER),
        Remedy(text="Fewer epochs, or more data", **PLAYBOOK),
        Remedy(text="Remove duplicates", **OLMO),
        Remedy(text="After a resume: check the sampler's state and seed", **SPIKES),
    ),
    false_alarms="Common in instruction tuning of three epochs, and often wanted.",
    source="Public fine-tuning runs; rule catalogue O3",
    needs="loss and epoch, ten rows on both sides of an edge",
)

_WINDOW = 10
_DROP = 0.08


class _Detector(RowDetector):
    """Ten losses before an edge, and ten after."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._newest: deque[float] = deque(maxlen=_WINDOW)
        self._before: list[float] = []
        self._edge: int | None = None
        self._to_come = 0
        self._steps_down = 0

    def update(self, sample: Sample) -> Reading | None:
        """Takes a row; judges ten rows after an edge."""
        loss = sample.signals.get("loss")
        if loss is None or loss - loss != 0.0:
            return None
        if self._timeline.since("epoch") == 0 and len(self._newest) == _WINDOW:
            self._before, self._edge, self._to_come = list(self._newest), sample.step, _WINDOW
        self._newest.append(loss)
        if not self._to_come:
            return None
        self._to_come -= 1
        return None if self._to_come else self._judge(sample.step)

    def _judge(self, step: int | None) -> Reading:
        before, after = median(self._before), median(self._newest)
        spread = max(stdev(self._before), stdev(self._newest))
        change = after - before
        if before <= 0.0 or abs(change) <= max(_DROP * before, 3.0 * 1.25 * spread * math.sqrt(2.0 / _WINDOW)):
            self._steps_down = 0
            return OK
        self._steps_down = self._steps_down + 1 if change < 0.0 else 0
        if change < 0.0 and self._steps_down < 2 and -change < 0.25 * before:
            return NEAR
        numbers = (
            Number(label="Loss, ten rows after the edge", value=after),
            Number(label="Loss, ten rows before", value=before),
        )
        what = "what was seen before is remembered" if change < 0.0 else "the data is another now"
        sentence = (
            f"At the edge of an epoch, {at(self._edge)}, the loss went from {short(before)} to {short(after)}: {what}."
        )
        return bad("info", sentence, numbers, since=self._edge, step=step)


def _make(context: RunContext) -> _Detector:
    return _Detector(Timeline.of_run(context))


RULE = Definition(SPEC, _make)
