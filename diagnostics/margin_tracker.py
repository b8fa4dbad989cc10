"""What is known of a margin so far: its course in bounded memory, held-out readings, and what stands beside them."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from runvitals.diagnostics.margin_history import MarginHistory, MarginPoint
from runvitals.diagnostics.margin_settings import MarginSettings

NEEDED_POINTS = 20
"""Fewest logged margins before any judgement: runs of 5 to 30 rows are common and say little."""

_HELD_OUT_KEPT = 64
_FIRST_LOGPS = 5


@dataclass(slots=True)
class MarginTracker:
    """What has been seen of a margin so far, in bounded memory. `add` takes canonical signals of one row; `judge` gives the verdict.

    held_out: newest held-out margins by source, `eval` or `probe`. `grad_norm`, `learning_rate`, `gpu_utilization`: newest values, NaN
    before the first. peak_learning_rate: the highest so far. lost: margins that were not finite. first_logps, logps: log-probabilities of
    chosen answers (nat per answer) at the first five margins and at the newest ten.
    """

    settings: MarginSettings
    history: MarginHistory = field(default_factory=MarginHistory)
    held_out: dict[str, deque[MarginPoint]] = field(default_factory=dict)
    grad_norms: deque[float] = field(default_factory=lambda: deque(maxlen=10))
    learning_rates: deque[float] = field(default_factory=lambda: deque(maxlen=10))
    peak_learning_rate: float = 0.0
    gpu_utilization: float = math.nan
    lost: int = 0
    step: int = 0
    first_logps: list[float] = field(default_factory=list)
    logps: deque[float] = field(default_factory=lambda: deque(maxlen=10))

    def add(self, step: int | None, signals: Mapping[str, float | None]) -> bool:
        """Takes a row; true where it held a margin that counts. A row without a step (a GPU sample) is only context."""
        self._add_context(signals)
        if step is None:
            return False
        self.step = step
        held_out = self._add_held_out(step, signals)
        if not self.settings.optimises:
            return held_out
        if "reward_margin" not in signals:
            return held_out
        margin = _finite(signals["reward_margin"])
        if math.isnan(margin):
            self.lost += 1
            return held_out
        self.history.add(_point(step, margin, signals, prefix="reward"))
        self._add_logps(_finite(signals.get("logps_chosen")))
        return True

    def rewind(self, step: int) -> None:
        """The run went back to `step`: forgets what came after."""
        self.history.rewind(step)
        for source, points in self.held_out.items():
            self.held_out[source] = deque((point for point in points if point.step < step), maxlen=_HELD_OUT_KEPT)

    @property
    def progress(self) -> float | None:
        """Share of the run that is done, or None where its length is not known."""
        return self.step / self.settings.max_steps if self.settings.max_steps else None

    def newest_held_out(self) -> tuple[str, deque[MarginPoint]] | None:
        """The held-out source to believe (`eval` before `probe`) and its points, or None."""
        for source in ("eval", "probe"):
            points = self.held_out.get(source)
            if points:
                return source, points
        return None

    @staticmethod
    def newest(values: Sequence[float]) -> float:
        """The last of some values, NaN where there is none."""
        return values[-1] if values else math.nan

    def _add_context(self, signals: Mapping[str, float | None]) -> None:
        if "grad_norm" in signals:
            self.grad_norms.append(_finite(signals["grad_norm"]))
        if "learning_rate" in signals:
            rate = _finite(signals["learning_rate"])
            self.learning_rates.append(rate)
            if rate > self.peak_learning_rate:
                self.peak_learning_rate = rate
        if "gpu_utilization" in signals:
            self.gpu_utilization = _finite(signals["gpu_utilization"])

    def _add_logps(self, logps: float) -> None:
        if math.isnan(logps):
            return
        if len(self.first_logps) < _FIRST_LOGPS:
            self.first_logps.append(logps)
        self.logps.append(logps)

    def _add_held_out(self, step: int, signals: Mapping[str, float | None]) -> bool:
        taken = False
        for source, prefix in (("eval", "eval_reward"), ("probe", "probe")):
            if f"{prefix}_margin" not in signals:
                continue
            margin = _finite(signals[f"{prefix}_margin"])
            if math.isnan(margin):
                self.lost += 1
                continue
            point = _point(step, margin, signals, prefix=prefix)
            self.held_out.setdefault(source, deque(maxlen=_HELD_OUT_KEPT)).append(point)
            if source == "probe" and not self.settings.optimises:
                self.history.add(point)
            taken = True
        return taken


def _point(step: int, margin: float, signals: Mapping[str, float | None], *, prefix: str) -> MarginPoint:
    return MarginPoint(
        step=step,
        margin=margin,
        accuracy=_finite(signals.get(f"{prefix}_accuracy")),
        loss=_finite(signals.get("loss")),
        chosen=_finite(signals.get(f"{prefix}_chosen")),
        margin_se=_finite(signals.get(f"{prefix}_margin_se")),
    )


def _finite(value: float | None) -> float:
    """The value, or NaN where it is None or not finite."""
    return value if value is not None and value - value == 0.0 else math.nan
