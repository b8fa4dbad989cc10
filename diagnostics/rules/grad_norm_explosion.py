"""`grad_norm_explosion` (D6): the gradient norm jumps far above its recent level."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from runvitals.diagnostics.baseline import SortedWindow, Window
from runvitals.diagnostics.limits import Adjustable, described, in_order, limit
from runvitals.diagnostics.rules.definition import NEAR, OK, REINFORCED, RowDetector, at, is_finite, short, too_few
from runvitals.diagnostics.rules.masks import RateJump, Resumes
from runvitals.diagnostics.rules.sources import OPT, PLAYBOOK, ZCLIP
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
    Severity,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far above its recent median a norm is a leap."""

    times: float = limit(4.0, "times the recent median, outside PPO, GRPO and RLOO", least=1.5, most=1000.0)
    times_policy: float = limit(8.0, "times the recent median, in PPO, GRPO and RLOO", least=1.5, most=1000.0)
    # A norm may climb fourfold while the loss falls as it should (seen in healthy DPO): so much is needed without the loss.
    sustained: float = limit(
        8.0, "times the level that three of five rows reach, for a warning without the loss", least=1.5, most=1000.0
    )
    critical: float = limit(30.0, "times the level that they reach, for a critical alert", least=2.0, most=10000.0)

    def __post_init__(self) -> None:
        in_order(self, "sustained", "critical")


SPEC = RuleSpec(
    name="grad_norm_explosion",
    code="D6",
    title="Gradients explode",
    family="divergence",
    summary="The gradient norm is 4 times its recent median (8 in PPO, GRPO and RLOO) and far outside its noise. One such row is information; three of "
    "five are a warning where the loss rises too or the norm is 8 times its level; critical where the loss rises by 20 % or the norm "
    "reaches 30 times its level. In PPO, GRPO and RLOO five of five are a warning.",
    main_signal="grad_norm",
    signals=("grad_norm", "loss"),
    causes=(
        Cause(text="The learning rate is too high, or warm-up too short"),
        Cause(text="Gradients are not clipped"),
        Cause(text="A run of bad batches"),
        Cause(text="Embeddings or low precision", likelihood="unlikely"),
    ),
    remedies=(
        Remedy(
            text="Lower the learning rate; lengthen the warm-up",
            detail="A leap often leads a loss spike by a few steps",
            **OPT,
        ),
        Remedy(text="Set max_grad_norm to 1.0 or less", detail="OPT-175B went from 2.5 to 1.0", **OPT),
        Remedy(text="Clip by the norm's own recent statistics", **ZCLIP),
        Remedy(text="Set Adam's beta2 to 0.95", detail="Its second moment then follows a change sooner", **OPT),
        Remedy(text="Clip at the 90th percentile of the norms seen so far", **PLAYBOOK),
    ),
    false_alarms="The first steps have large norms; few tokens with a large advantage give single spikes in GRPO and PPO. For ten rows after "
    "a jump of the learning rate below its peak only a critical leap counts; after a resume the level is learnt anew.",
    source="ZClip; OPT-175B logbook; gradient spikes often lead loss spikes (PaLM, OLMo 2)",
    needs="grad_norm, 12 points",
    limits=described(Limits),
)

_ENOUGH = 12
_LEAST_NOISE = 0.1
_LOSS_RISE = math.log(1.2)
_LOSS_STIRS = math.log(1.05)
_LARGEST = 700.0
"""The exponential of more is beyond what floats hold."""
_JUMP_ROWS = 10
"""Rows after a jump of the learning rate, up to no new height, in which only a critical leap counts."""
_NEW_REGIME = 200
"""Rows above the line after which they are the new level."""


class _Detector(RowDetector):
    """The norm's recent level without its leaps, on a log scale; and the loss, to see whether it follows."""

    def __init__(self, timeline: Timeline, limits: Limits, *, z: float, loss_counts: bool) -> None:
        self._resumes = Resumes(timeline)
        self._jump = RateJump(timeline, _JUMP_ROWS)
        self._jumped = False
        self._z = z
        self._material = math.log(limits.times if loss_counts else limits.times_policy)
        self._large = math.log(limits.sustained)
        self._huge = math.log(limits.critical)
        self._loss_counts = loss_counts
        self._forget()

    def _forget(self) -> None:
        self._level = SortedWindow(32)
        self._changes = Window(64)
        self._last: float | None = None
        self._newest: deque[tuple[int | None, float, bool]] = deque(maxlen=5)
        self._losses = Window(32)
        self._new_losses: deque[float] = deque(maxlen=5)
        self._above = 0

    def update(self, sample: Sample) -> Reading | None:
        if self._resumes.is_new():
            self._forget()
        if self._loss_counts:
            self._take_loss(sample.signals.get("loss"))
        norm = sample.signals.get("grad_norm")
        # A norm of 0 is a batch without advantage or without labels: it says nothing of the level.
        if norm is None or not 0.0 < norm < math.inf:
            return None
        self._jumped = self._jump.read()
        level = math.log(norm)
        if len(self._level) < _ENOUGH:
            self._take(level)
            return too_few(_ENOUGH, len(self._level), "grad_norm")
        above = level - self._level.median()
        # Below that the answer is the same whatever the noise, which takes time to tell.
        noise = max(self._changes.median(), _LEAST_NOISE) if above > 0.6 * self._material else _LEAST_NOISE
        limit = max(self._material, self._z * noise)
        leap = above > limit
        self._newest.append((sample.step, norm, leap))
        if not leap:
            self._above = 0
            self._take(level)
            return OK if above <= 0.6 * limit else NEAR
        self._above += 1
        if self._above > _NEW_REGIME:
            self._level.clear()
            self._above = 0
        return self._leap(norm, above, above / noise, sample.step)

    def _take(self, level: float) -> None:
        if self._last is not None:
            self._changes.add(abs(level - self._last))
        self._last = level
        self._level.add(level)

    def _take_loss(self, loss: float | None) -> None:
        """The newest five losses wait before they count as the level that they are compared with."""
        if loss is None or not is_finite(loss) or loss <= 0.0:
            return
        if len(self._new_losses) == 5:
            self._losses.add(math.log(self._new_losses[0]))
        self._new_losses.append(loss)

    def _loss_rise(self) -> float:
        """How far the newest losses lie above those before, as a log ratio; 0 where that cannot be said."""
        if len(self._losses) < 5:
            return 0.0
        return math.log(sorted(self._new_losses)[len(self._new_losses) // 2]) - self._losses.median()

    def _leap(self, norm: float, above: float, z: float, step: int | None) -> Reading:
        usual = norm / _times(above)
        leaps = [(place, value) for place, value, leapt in self._newest if leapt]
        severity = self._severity(sorted(value / usual for _, value in leaps))
        if self._jumped and severity == "warning":
            severity = "info"
        numbers = [
            Number(label="Gradient norm", value=norm, expected=f"at most {short(usual * math.exp(self._material))}"),
            Number(label="Recent median", value=usual),
            Number(label="Distance over noise", value=z, expected=f"below {self._z:g}"),
            Number(label="Leaps in the last 5 rows", value=float(len(leaps)), expected="0"),
        ]
        if len(self._losses) >= 5:
            numbers.append(
                Number(label="Loss against before", value=_times(self._loss_rise()), unit="×", expected="below 1.2")
            )
        sentence = f"Gradient norm is {short(norm)} {at(step)}, {short(norm / usual)} times its recent {short(usual)}."
        if severity != "info":
            sentence += f" {len(leaps)} of the last {len(self._newest)} rows are like that."
        return Reading(
            state="bad",
            severity=severity,
            onset_step=leaps[0][0],
            sentence=sentence,
            evidence=Evidence(numbers=tuple(numbers), window=(leaps[0][0], step)),
        )

    def _severity(self, leaps: list[float]) -> Severity:
        """leaps: how many times the usual norm, in order of size."""
        if len(leaps) < 3:
            return "info"
        sustained = math.log(leaps[len(leaps) // 2])
        if not self._loss_counts:
            # A few batches with advantage among many without look like leaps: only an unbroken row of them counts.
            return "warning" if len(leaps) == 5 and sustained > self._large else "info"
        rise = self._loss_rise()
        noise = self._losses.spread() if len(self._losses) else 0.0
        if rise > max(_LOSS_RISE, noise) or sustained > self._huge:
            return "critical"
        return "warning" if rise > max(_LOSS_STIRS, noise) or sustained > self._large else "info"


def _times(log_ratio: float) -> float:
    """A log ratio as a ratio; what floats cannot hold is as large as they can."""
    return math.exp(min(log_ratio, _LARGEST))


def _make(context: RunContext, limits: Limits) -> _Detector:
    reinforced = context.trainer in REINFORCED
    return _Detector(Timeline.of_run(context), limits, z=8.0 if reinforced else 6.0, loss_counts=not reinforced)


RULE = Adjustable(SPEC, Limits(), _make)
