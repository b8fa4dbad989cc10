"""Places and labels on a chart's axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from runvitals.dashboard.formatter import MINUS, number, percent


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Maps [low, high] to [start, stop] in the picture's units, linearly or by logarithms; what lies beyond stands at the edge."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, inside = self.low, self.high, min(max(value, self.low), self.high)
        if self.log:
            low, high, inside = math.log10(low), math.log10(high), math.log10(inside)
        # Halves, because the difference of two huge numbers may be infinite.
        return self.start + (inside / 2 - low / 2) / (high / 2 - low / 2) * (self.stop - self.start)


def ticks(low: float, high: float, wanted: int) -> list[float]:
    """Round numbers from `low` to `high`, about as many as wanted; the two ends where there is no round one between."""
    rough = (high / 2 - low / 2) / wanted * 2
    if not math.isfinite(rough) or rough <= 0 or rough < 1e-13 * max(abs(low), abs(high)) or rough < 1e-300:
        return [low, high]
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    found = [
        float(f"{at * step:.12g}") for at in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    ]
    return found or [low, high]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten from `low` to `high`; 1, 2 and 5 times them where there are few. Both above 0."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (1, 2, 5)):
        found = [factor * 10.0**power for power in powers for factor in factors]
        inside = [tick for tick in found if low <= tick <= high]
        if len(inside) >= 3:
            return inside[:: math.ceil(len(inside) / 6)]
    return ticks(low, high, 3)


def tick_texts(at: Sequence[float], kind: str) -> list[str]:
    """Labels of one axis: they share their number of decimals, no more than their distance needs."""
    return [_tick_text(tick, at, kind) for tick in at]


def _tick_text(tick: float, at: Sequence[float], kind: str) -> str:
    scale = 100 if kind == "percent" else 1
    step = abs(at[1] - at[0]) * scale if len(at) > 1 else 1.0
    if tick == 0:
        return percent(0) if kind == "percent" else "0"
    if not 1e-4 <= step < 1e15 or abs(tick) >= 1e4:
        return percent(tick) if kind == "percent" else number(tick)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if round(step * 10**decimals, 6) % 1:  # a distance of 0.25 needs one more
        decimals += 1
    sign = MINUS if tick < 0 else "+" if kind == "signed" else ""
    return f"{sign}{abs(tick * scale):.{decimals}f}{' %' if kind == 'percent' else ''}"
