"""How the figures of a margin are written."""

from __future__ import annotations

import math

from runvitals.diagnostics.margin_held_out import share_error


def signed(value: float, error: float = math.nan) -> str:
    """A margin as text: its sign, a real minus, as many digits as its error allows (two of the error; else three in all).

    Digits that the error swallows are zeros: −2 000 beside an error of 21 000.
    """
    if not math.isfinite(value):
        return "—"
    if value != 0.0 and not 1e-4 <= abs(value) < 1e6:
        return f"{value:+.1e}".replace("-", "−").replace("e−0", "e−").replace("e+0", "e")
    size = error if 0 < error < math.inf else abs(value) / 10
    decimals = min(1 - math.floor(math.log10(size)), 5) if size > 0 else 3
    rounded = round(value, decimals) + 0.0  # a zero has no minus
    return f"{rounded:+,.{max(decimals, 0)}f}".replace("-", "−").replace(",", "\u2009")


def percent(share: float) -> str:
    """A share as text: 51.6 %."""
    return f"{100 * share:.1f} %".replace(".0 %", " %")


def share_range(share: float, error: float) -> tuple[float, float]:
    """The 95 % interval of a share of pairs won (Wilson, 1927), which never passes 0 or 1; NaN where the error is none.

    error: as `share_error` has it; the interval is that of as many pairs as would have this error.
    """
    if not (math.isfinite(share) and 0 < error < math.inf):
        return math.nan, math.nan
    share = min(max(share, 0.0), 1.0)
    fewest, most = 1e-3, 1e9
    for _ in range(100):
        middle = math.sqrt(fewest * most)
        fewest, most = (middle, most) if share_error(share, middle) > error else (fewest, middle)
    pairs, z = most, 1.96
    centre = (share + z * z / (2 * pairs)) / (1 + z * z / pairs)
    half = z * math.sqrt(share * (1 - share) / pairs + (z / (2 * pairs)) ** 2) / (1 + z * z / pairs)
    return max(0.0, centre - half), min(1.0, centre + half)


def won(share: float, error: float) -> str:
    """A share of pairs with its 95 % interval as text: 51.6 % ± 2.9 of pairs; 99.2 % of pairs (88 to 100 %) where it is lopsided."""
    low, high = share_range(share, error)
    if math.isnan(low):
        return f"{percent(share)} of pairs"
    half = (high - low) / 2
    decimals = 1 if half < 0.05 else 0
    if abs((high + low) / 2 - share) < half / 10:
        return f"{percent(share)} ± {100 * half:.{decimals}f} of pairs"
    return f"{percent(share)} of pairs ({100 * low:.{decimals}f} to {percent(round(high, 2 + decimals))})"


def measure_of(value: float, error: float) -> str:
    """A margin and half its 95 % interval as text: +0.019 ± 0.120; the margin alone where its error is not known."""
    half = 1.96 * error
    width = f" ± {signed(half, error).removeprefix('+')}" if 0 < half < math.inf else ""
    return signed(value, error) + width


def on_pairs(pairs: float | None) -> str:
    """What a held-out figure rests on, to be put behind it; nothing where it is not known."""
    return f" on {pairs:.0f} pairs" if pairs else ""
