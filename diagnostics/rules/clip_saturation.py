"""`clip_saturation` (D8): most steps are shortened by gradient clipping."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runvitals.diagnostics.limits import Adjustable, described, limit
from runvitals.diagnostics.rules.definition import NEAR, OK, RowDetector, at, bad, short, too_few
from runvitals.diagnostics.rules.sources import PLAYBOOK, ZCLIP
from runvitals.diagnostics.timeline import Timeline
from runvitals.diagnostics.types import Cause, Happening, Number, Reading, Remedy, RuleSpec, RunContext, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many gradients may be clipped."""

    share: float = limit(
        0.5, "share of the last 200 gradients that were clipped, for information", least=0.05, most=0.99
    )


SPEC = RuleSpec(
    name="clip_saturation",
    code="D8",
    title="Most gradients are clipped",
    family="divergence",
    summary="More than half of the last 200 gradient norms lie above max_grad_norm, after the first tenth of the run. Information: many recipes clip on purpose.",
    main_signal="grad_norm",
    signals=("grad_norm",),
    trainers=(),
    hold=2,
    clear=5,
    causes=(
        Cause(text="The learning rate is too high"),
        Cause(text="max_grad_norm is far below what this model has"),
        Cause(text="Losses are sums, not means"),
    ),
    remedies=(
        Remedy(
            text="Lower the learning rate rather than clip harder",
            detail="More than half clipped is extremely aggressive",
            **PLAYBOOK,
        ),
        Remedy(text="Clip at the 90th percentile of the norms", **PLAYBOOK),
        Remedy(text="Clip by the norm's own recent statistics", **ZCLIP),
    ),
    false_alarms="QLoRA recipes with max_grad_norm 0.3 clip nearly every step, and do well. Rows are a sample of the steps.",
    source="Deep Learning Tuning Playbook; rule catalogue D8, as information",
    needs="grad_norm, and max_grad_norm in the configuration",
    limits=described(Limits),
)

_WINDOW = 200
_EVERY = 20


class _Detector(RowDetector):
    """Which of the newest norms were clipped."""

    def __init__(self, timeline: Timeline, config: Mapping[str, Any], limits: Limits) -> None:
        self._limits = limits
        self._timeline = timeline
        self._limit = 0.0
        self._clipped: deque[bool] = deque(maxlen=_WINDOW)
        self._count = 0
        self._learn(config)

    def happen(self, happening: Happening) -> Reading | None:
        """The configuration tells where norms are clipped."""
        if happening.kind == "config":
            self._learn(happening.data)
        return None

    def update(self, sample: Sample) -> Reading | None:
        """Takes a row; judges every twentieth."""
        norm = sample.signals.get("grad_norm")
        if norm is None or norm - norm != 0.0:
            return None
        self._count += 1
        self._clipped.append(norm > self._limit)
        if self._count % _EVERY:
            return None
        if not self._limit:
            return Reading(state="unknown", reason="needs max_grad_norm in the configuration")
        if len(self._clipped) < _WINDOW or (self._timeline.progress or 1.0) < 0.1:
            return too_few(_WINDOW, len(self._clipped), "grad_norm")
        share = sum(self._clipped) / _WINDOW
        if share <= self._limits.share:
            return OK if share < 0.6 * self._limits.share else NEAR
        numbers = (
            Number(
                label="Clipped, of the last 200",
                value=100 * share,
                unit="%",
                expected=f"below {100 * self._limits.share:g}",
            ),
            Number(label="max_grad_norm", value=self._limit),
            Number(label="Gradient norm", value=norm),
        )
        sentence = (
            f"{share:.0%} of the last {_WINDOW} gradients were clipped at {short(self._limit)} {at(sample.step)}."
        )
        return bad("info", sentence, numbers, since=None, step=sample.step)

    def _learn(self, config: Mapping[str, Any]) -> None:
        limit = config.get("max_grad_norm")
        if isinstance(limit, int | float) and limit > 0.0:
            self._limit = float(limit)


def _make(context: RunContext, limits: Limits) -> _Detector:
    return _Detector(Timeline.of_run(context), context.config, limits)


RULE = Adjustable(SPEC, Limits(), _make)
