"""Series as they go over the wire to the live charts: columns of steps, seconds since the run began, and values.

JSON has no NaN: a value that is not finite is null, and `kinds` says what it was (bits: 1 NaN, 2 +Inf, 4 −Inf, 8 None).
`low`, `high`, `count` and `kinds` are left out where every bucket is one finite point. Many values of an envelope are one base64
text of little-endian float32, NaN for null: half as long as numbers in JSON, and made and read in a fraction of the time.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import numpy as np

from runvitals.store.levels import kinds_of
from runvitals.store.types import Envelope, Floats, SeriesPoints

Columns = dict[str, Any]
"""By name a list, or values as base64; or `grid`, the place of what several series share in a list beside them."""

Grid = dict[str, list[Any]]

DIGITS = 6
"""Significant digits of a value on the wire: a pixel is a thousandth of a chart."""

PACKED_FROM = 64
"""Values of an envelope from which on they go as base64."""

_GRID = ("step", "time", "count")
_FLOAT32 = (1.2e-38, 3.4e38)
"""Magnitudes that float32 holds with more digits than the wire has."""


def of_envelope(envelope: Envelope, *, zero_s: float) -> Columns:
    """The envelope as columns; times count from `zero_s`."""
    columns: Columns = {
        "step": envelope.steps.tolist(),
        "time": _seconds(envelope.times_s, zero_s),
        "mean": _packed(envelope.mean),
    }
    if not envelope.exact:
        columns["low"] = _packed(envelope.low)
        columns["high"] = _packed(envelope.high)
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


def shared(parts: Mapping[str, Columns]) -> tuple[dict[str, Columns], list[Grid]]:
    """The columns with what at least two of them have in common (steps, times, counts) taken out into a list of grids."""
    alike: dict[tuple[tuple[Any, ...], ...], list[str]] = {}
    for series_id, columns in parts.items():
        alike.setdefault(tuple(tuple(columns.get(name, ())) for name in _GRID), []).append(series_id)
    found = dict(parts)
    grids: list[Grid] = []
    for series_ids in alike.values():
        if len(series_ids) < 2:
            continue
        for series_id in series_ids:
            rest = {name: column for name, column in parts[series_id].items() if name not in _GRID}
            found[series_id] = rest | {"grid": len(grids)}
        grids.append({name: parts[series_ids[0]][name] for name in _GRID if name in parts[series_ids[0]]})
    return found, grids


def _packed(values: Floats) -> str | list[float | None]:
    finite = np.isfinite(values)
    sizes = np.abs(values[finite & (values != 0.0)])
    if values.size < PACKED_FROM or (sizes.size and not (_FLOAT32[0] < sizes.min() and sizes.max() < _FLOAT32[1])):
        return _numbers(values)
    return b64encode(np.where(finite, values, np.nan).astype("<f4").tobytes()).decode()


def _numbers(values: Floats) -> list[float | None]:
    return [float(f"{value:.{DIGITS}g}") if value - value == 0.0 else None for value in values.tolist()]


def _seconds(times_s: Floats, zero_s: float) -> list[float]:
    return [round(time_s - zero_s, 2) for time_s in times_s.tolist()]
