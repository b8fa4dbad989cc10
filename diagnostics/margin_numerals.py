"""How the figures of a margin are written."""

from __future__ import annotations

import math


def signed(value: float, error: float = math.nan) -> str:
    """A margin as text: its sign, a real minus, as many digits as its error allows (two of the error; else three in all)."""
    if not math.isfinite(value):
        return "—"
    if value != 0.0 and not 1e-4 <= abs(value) < 1e6:
        return f"{value:+.1e}".replace("-", "−").replace("e−0", "e−").replace("e+0", "e")
    size = error if 0 < error < math.inf else abs(value) / 10
    decimals = min(max(1 - math.floor(math.log10(size)), 0), 5) if size > 0 else 3
    return f"{value:+.{decimals}f}".replace("-", "−")


def percent(share: float) -> str:
    """A share as text: 51.6 %."""
    return f"{100 * share:.1f} %".replace(".0 %", " %")


def measure_of(value: float, error: float) -> str:
    """A margin and half its 95 % interval as text: +0.019 ± 0.120; the margin alone where its error is not known."""
    half = 1.96 * error
    width = f" ± {signed(half, error).removeprefix('+')}" if 0 < half < math.inf else ""
    return signed(value, error) + width


def on_pairs(pairs: float | None) -> str:
    """What a held-out figure rests on, to be put behind it; nothing where it is not known."""
    return f" on {pairs:.0f} pairs" if pairs else ""
