"""`loss_spike` (D3): single losses far above their neighbours."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from runvitals.diagnostics.baseline import SortedWindow, Window
from runvitals.diagnostics.limits import Adjustable, described, limit
from runvitals.diagnostics.rules.definition import NEAR, OK, SUPERVISED, RowDetector, at, is_finite, short, too_few
from runvitals.diagnostics.rules.masks import RateJump, Resumes
from runvitals.diagnostics.rules.sources import OLMO, PALM, SPIKES, ZCLIP
from runvitals.diagnostics.timeline import Timeline
from runvitals.diagnostics.types import (
    Cause,
    Evidence,
    Number,
    Reading,
    Remedy,
    RuleSpec,
    RunContext,
    Sample,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far above its neighbours a loss is a spike."""

    times: float = limit(1.4, "times its neighbours that a spike reaches at least", least=1.05, most=100.0)
    noise: float = limit(8.0, "times their noise that it lies above them at least", least=2.0, most=100.0)


SPEC = RuleSpec(
    name="loss_spike",
    code="D3, D4",
    title="Loss spikes",
    family="divergence",
    summary="A loss 1.4 times its neighbours (3 times where there are fewer than 20) and 8 times their noise above them. Information where it recovers; "
    "a warning where it stays up for 20 rows or comes four times within 500; four within 64 are the noise of the data, unless at equal distances. "
    "Four at equal distances point to one part of the data, and are said so.",
    main_signal="loss",
    signals=("loss",),
    trainers=SUPERVISED,
    causes=(
        Cause(text="A bad batch: repeated text, broken encoding, very long or empty answers"),
        Cause(text="The learning rate is near its limit"),
        Cause(text="The optimiser's second moment lags behind a change of gradients", likelihood="unlikely"),
    ),
    remedies=(
        Remedy(text="Look at the batch of that step; drop repeated n-grams from the data", **OLMO),
        Remedy(text="Clip gradients by their own recent norm", detail="Adaptive clipping removes most spikes", **ZCLIP),
        Remedy(text="If it does not recover: go back 100 steps and skip 200 to 500 batches", **PALM),
        Remedy(text="Where spikes return: lower the learning rate", **SPIKES),
    ),
    false_alarms="Small batches and mixed data have heavy tails; the steps down between epochs are no spikes. The row at the edge of an "
    "epoch, whose batch is often a rest, and ten rows after a jump of the learning rate are left out; after a resume all is learnt anew.",
    source="OLMo-core skip-step optimiser (six sigma over 128 steps); ZClip",
    needs="loss, 20 points; 8 for a large spike",
    limits=described(Limits),
)

_ENOUGH = 20
_FEW, _MATERIAL_OF_FEW = 8, math.log(3.0)
"""Eight neighbours are enough for a loss three times theirs: runs that log every tenth step have no twenty rows when they break."""
_LEAST_NOISE = 0.01
_TAIL_OF_NORMAL = 1.2816
"""Distance of the highest tenth from the middle of a normal distribution of standard deviation 1. Where batches are of two kinds it is far more."""
_STAYS = 20
_AGAIN_ROWS = 500
_AGAIN = 4
_COMMON_ROWS = 64
"""Of a fault one row in sixteen is too often to come and go. Small batches with a few bad labels are so: 5 % of them show in every third batch of 8."""
_JUMP_ROWS = 10
"""Rows after a jump of the learning rate in which a spike is expected and counts towards nothing."""
_EPOCH_ROWS = 10
_SHARD = "One part of the data is bad: spikes at a fixed period come from one shard, source or worker"


class _Detector(RowDetector):
    """Neighbours without the spikes themselves, on a log scale."""

    def __init__(self, timeline: Timeline, limits: Limits) -> None:
        self._timeline = timeline
        self._resumes = Resumes(timeline)
        self._jump = RateJump(timeline, _JUMP_ROWS)
        self._noise = limits.noise
        self._material = math.log(limits.times)
        self._forget()

    def _forget(self) -> None:
        self._neighbours = SortedWindow(32)
        self._heights = Window(128)
        self._changes = Window(64)
        self._last: float | None = None
        self._rows = 0
        self._up = 0
        self._since: int | None = None
        self._spikes: deque[int] = deque(maxlen=_AGAIN)

    def update(self, sample: Sample) -> Reading | None:
        loss = sample.signals.get("loss")
        if loss is None or not is_finite(loss) or loss <= 0.0:
            return None
        if self._resumes.is_new():
            self._forget()
        expected = self._jump.read() or self._at_edge()
        self._rows += 1
        level = math.log(loss)
        few = len(self._neighbours) < _ENOUGH
        if len(self._neighbours) < _FEW:
            self._take(level)
            return too_few(_ENOUGH, len(self._neighbours), "loss")
        middle = self._neighbours.median()
        above = level - middle
        least = _MATERIAL_OF_FEW if few else self._material
        # Below that the answer is the same whatever the noise, which takes time to tell.
        noise = self._scatter(few=few) if above > 0.5 * least else _LEAST_NOISE
        line = max(least, self._noise * noise)
        if above <= line:
            self._up = 0
            self._heights.add(above)
            self._take(level)
            if few:
                return too_few(_ENOUGH, len(self._neighbours), "loss")
            return OK if above <= 0.5 * line else NEAR
        if expected and not self._up:
            return NEAR
        if not self._up and self._is_common():
            self._spikes.append(self._rows)
            self._heights.add(above)
            self._take(level)
            return NEAR
        if not self._up:
            self._heights.add(above)
        return self._spike(loss, math.exp(middle), above / noise, sample.step)

    def _is_common(self) -> bool:
        """With this row four of few, at no fixed distance: then batches are of two kinds, and the higher kind is no spike but noise."""
        spikes = [*self._spikes, self._rows][-_AGAIN:]
        return len(spikes) == _AGAIN and self._rows - spikes[0] < _COMMON_ROWS and not _period(spikes)

    def _scatter(self, *, few: bool) -> float:
        """How far single losses lie from each other. A loss that still falls steeply is spread by its fall; its neighbours' distances are not.

        Where batches are of two kinds, neither says how far the rarer kind lies; the highest tenth of all, spikes too, does.
        """
        spread = 0.0
        if not few:
            spread = max(self._neighbours.spread(), self._heights.quantile(0.9) / _TAIL_OF_NORMAL)
        return max(spread, self._changes.median(), _LEAST_NOISE)

    def _at_edge(self) -> bool:
        """True at the row that ends an epoch, where epochs have many rows."""
        timeline = self._timeline
        return timeline.since("epoch") == 0 and timeline.epochs * _EPOCH_ROWS < timeline.rows

    def _take(self, level: float) -> None:
        if self._last is not None:
            self._changes.add(abs(level - self._last))
        self._last = level
        self._neighbours.add(level)

    def _spike(self, loss: float, middle: float, z: float, step: int | None) -> Reading:
        if not self._up:
            self._spikes.append(self._rows)
            self._since = step
        self._up += 1
        stays = self._up >= _STAYS
        again = len(self._spikes) == _AGAIN and self._rows - self._spikes[0] <= _AGAIN_ROWS
        sentence = f"Loss is {short(loss)} {at(step)}, {short(loss / middle)} times the {short(middle)} around it."
        if stays:
            sentence += f" It has not come back in {self._up} rows."
            self._neighbours.clear()
            self._up = 0
        elif again:
            sentence += f" It is the fourth spike within {self._rows - self._spikes[0] + 1} rows."
        period = _period(self._spikes)
        if period:
            sentence += f" They come every {period} rows."
        numbers = (
            Number(label="Loss", value=loss, expected=f"at most {short(middle * math.exp(self._material))}"),
            Number(label="Median around it", value=middle),
            Number(label="Distance over noise", value=z, expected=f"below {self._noise:g}"),
        )
        return Reading(
            state="bad",
            severity="warning" if stays or again else "info",
            onset_step=self._since,
            sentence=sentence,
            evidence=Evidence(numbers=numbers, window=(self._since, step)),
            causes=(Cause(text=_SHARD, likelihood="likely", because=f"a spike every {period} rows"), *SPEC.causes)
            if period
            else (),
        )


def _period(spikes: Sequence[int]) -> int:
    """The rows between spikes where the last four come at equal distances of 5 rows or more, 0 elsewhere."""
    if len(spikes) < _AGAIN:
        return 0
    gaps = [later - earlier for earlier, later in pairwise(spikes)]
    return gaps[-1] if min(gaps) >= 5 and max(gaps) - min(gaps) <= max(1, min(gaps) // 20) else 0


def _make(context: RunContext, limits: Limits) -> _Detector:
    return _Detector(Timeline.of_run(context), limits)


RULE = Adjustable(SPEC, Limits(), _make)
