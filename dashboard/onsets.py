"""Tells when a series left what it did before: pure arithmetic on one series, for the order in which things moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from runvitals.store.types import Floats

Worse = Literal["up", "down", "either", "rate"]
Flags = NDArray[np.bool_]

NEEDED = 12
"""Points before the incident that a series must have, or nothing can be said of what it usually did."""

_FAR = 5.0
"""Departures from the earlier course are counted in units of its noise. Five, kept up, are no chance."""

_LASTS = 0.8
_OUT_OF = 10
_AT_LEAST = 4
"""A departure lasts where four fifths of ten points on end are out on the same side; where the series ends, of at least four."""

_LEAST_SHARE = 0.02
"""The noise of a series that hardly moves is taken as at least this share of its level, so that rounding is no departure."""

_LEAST_CHANGE = 0.1
"""A departure by less than a tenth of the level explains nothing, however quiet the series was."""

_RATE_RISE = 0.25
_RATE_JUMP = 0.2
_RATE_SIZE = 0.05
"""A learning rate follows a schedule: what counts is a rise of a quarter above its course, or a jump by a fifth that is at least
a twentieth of its largest value, since the last steps of a decay to zero are large shares of nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A series left its course. at: index of the first point that did; before: its level until then; after: its level since."""

    at: int
    before: float
    after: float


def first_move(
    times_s: Floats, values: Floats, *, since_s: float, worse: Worse = "either", least: float = 0.0
) -> Move | None:
    """Where the series left its earlier course for the worse, or None where it did not.

    times_s, values: (n,), times increasing; NaN and Inf count as a departure. since_s: when the first alert of the incident began; the
    course is that of the earlier half of the points before it. worse: which way is no good news; `rate` is a learning rate's own.
    least: what a change must at least amount to, in the series' own unit. Raises ValueError where fewer than `NEEDED` points lie before.
    """
    before = int(np.searchsorted(times_s, since_s))
    if before < NEEDED:
        raise ValueError(f"needs {NEEDED} points before the incident, has {before}")
    known = max(NEEDED // 2, before // 2)
    finite = np.isfinite(values)
    course = values[:known][finite[:known]]
    if course.size < NEEDED // 2:
        return None
    out = (
        _rate_moves(times_s, values, known)
        if worse == "rate"
        else _departures(times_s, values, known, worse=worse, least=least)
    )
    out[known:] |= ~finite[known:]
    found = np.flatnonzero(out[known:])
    if not found.size:
        return None
    at = known + int(found[0])
    since = values[at:][finite[at:]]
    earlier = values[:at][finite[:at]]
    after = float(np.median(since[:20])) if since.size else float("nan")
    return Move(at=at, before=float(np.median(earlier[-20:])), after=after if finite[at] else float(values[at]))


def _departures(times_s: Floats, values: Floats, known: int, *, worse: Worse, least: float) -> Flags:
    """Per point whether the series has left the straight line through its first `known` points for long.

    It must also leave the level at which that line ends: a loss that falls ever more slowly has not risen.
    """
    line, noise = _course(times_s, values, known)
    level = line[known - 1]
    far = np.maximum(max(_FAR * noise, least), _LEAST_CHANGE * np.abs(line))
    out = np.zeros(len(values), dtype=bool)
    if worse in ("up", "either"):
        out |= _lasting(values > np.maximum(line, level) + far)
    if worse in ("down", "either"):
        out |= _lasting(values < np.minimum(line, level) - far)
    return out


def _rate_moves(times_s: Floats, values: Floats, known: int) -> Flags:
    line, _ = _course(times_s, values, known)
    level = np.median(np.abs(values[:known][np.isfinite(values[:known])]))
    steps = np.diff(values, prepend=values[:1])
    earlier = np.concatenate([values[:1], values[:-1]])
    size = np.abs(steps)
    with np.errstate(invalid="ignore"):
        jumps = (size > _RATE_JUMP * np.abs(earlier)) & (size > _RATE_SIZE * np.nanmax(np.abs(values[:known])))
        return np.asarray(_lasting(values > line + _RATE_RISE * level) | jumps)


def _course(times_s: Floats, values: Floats, known: int) -> tuple[Floats, float]:
    """The line through the first points, by medians so that single outliers do not bend it, and their noise around it.

    It is levelled off where it ends: a trend carried far ahead would call its own end a departure.
    """
    good = np.flatnonzero(np.isfinite(values[:known]))
    x, y = times_s[good], values[good]
    third = max(1, len(good) // 3)
    span = float(np.median(x[-third:]) - np.median(x[:third]))
    slope = float(np.median(y[-third:]) - np.median(y[:third])) / span if span > 0 else 0.0
    level = float(np.median(y - slope * (x - x[0])))
    line = level + slope * (np.minimum(times_s, 2 * x[-1] - x[0]) - x[0])
    noise = 1.4826 * float(np.median(np.abs(y - (level + slope * (x - x[0])))))
    return line, max(noise, _LEAST_SHARE * abs(float(np.median(y))), 1e-12)


def _lasting(out: Flags) -> Flags:
    """Per point whether it is out and a departure that lasts begins there."""
    total = np.concatenate([[0], np.cumsum(out)])
    first = np.arange(len(out))
    last = np.minimum(first + _OUT_OF, len(out))
    seen = last - first
    return np.asarray(out & (seen >= _AT_LEAST) & (total[last] - total[first] >= _LASTS * seen))
