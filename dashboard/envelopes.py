"""Series as they go over the wire to the live charts: columns of steps, seconds since the run began, and values.

JSON has no NaN: a value that is not finite is null, and `kinds` says what it was (bits: 1 NaN, 2 +Inf, 4 −Inf, 8 None).
`low`, `high`, `count` and `kinds` are left out where every bucket is one finite point.
"""

from __future__ import annotations

from typing import Any

from runvitals.store.levels import kinds_of
from runvitals.store.types import Envelope, Floats, SeriesPoints

Columns = dict[str, list[Any]]

DIGITS = 6
"""Significant digits of a value on the wire: a pixel is a thousandth of a chart."""


def of_envelope(envelope: Envelope, *, zero_s: float) -> Columns:
    """The envelope as columns; times count from `zero_s`."""
    columns: Columns = {
        "step": envelope.steps.tolist(),
        "time": _seconds(envelope.times_s, zero_s),
        "mean": _numbers(envelope.mean),
    }
    if not envelope.exact:
        columns["low"] = _numbers(envelope.low)
        columns["high"] = _numbers(envelope.high)
        columns["count"] = envelope.count.tolist()
    if envelope.kinds.any():
        columns["kinds"] = envelope.kinds.tolist()
    return columns


def of_points(points: SeriesPoints, *, zero_s: float) -> Columns:
    """Single points as columns; times count from `zero_s`."""
    columns: Columns = {
        "step": points.steps.tolist(),
        "time": _seconds(points.times_s, zero_s),
        "mean": _numbers(points.values),
    }
    kinds = kinds_of(points.values)
    if kinds.any():
        columns["kinds"] = kinds.tolist()
    return columns


def joined(parts: list[Columns]) -> Columns:
    """Columns one after the other."""
    size = [len(part["step"]) for part in parts]
    whole: Columns = {name: [item for part in parts for item in part[name]] for name in ("step", "time", "mean")}
    if any("kinds" in part for part in parts):
        whole["kinds"] = [
            item for part, rows in zip(parts, size, strict=True) for item in part.get("kinds", [0] * rows)
        ]
    return whole


def _numbers(values: Floats) -> list[float | None]:
    return [float(f"{value:.{DIGITS}g}") if value - value == 0.0 else None for value in values.tolist()]


def _seconds(times_s: Floats, zero_s: float) -> list[float]:
    return [round(time_s - zero_s, 2) for time_s in times_s.tolist()]
