"""Series reduced to few rows that still show every spike and every NaN, as a table that plots like the whole.

The range is cut into equal stretches. In each, a series gives its lowest and its highest value, and one row more where it holds a
NaN (or None), +Inf or -Inf. All values are real ones; only their place is shifted, by at most two stretches: one within the envelope's
bucket, one within the stretch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runvitals.store.types import Envelope, Floats

FEWEST = 5
"""Rows that one stretch can need: lowest, highest, NaN, +Inf, -Inf."""

_NAN, _HIGH, _LOW = 1 | 8, 2, 4
"""Bits of `Envelope.kinds`: NaN and None both read as NaN in a table."""


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """A series as stretches of points. x: (m,) increasing; low, high, last: (m,) over finite values, NaN where none; kinds: (m,) bits."""

    x: Floats
    low: Floats
    high: Floats
    last: Floats
    kinds: NDArray[np.uint8]


def outline_of_envelope(envelope: Envelope) -> Outline:
    """What an envelope says of its series."""
    return Outline(envelope.x, envelope.low, envelope.high, envelope.last, envelope.kinds)


def outline_of_values(at: Floats, values: Floats) -> Outline:
    """Exact values, each a stretch of its own. at: (n,) increasing; a NaN in `values` is one that was logged."""
    finite = np.where(np.isfinite(values), values, np.nan)
    kinds = np.select([np.isnan(values), values == np.inf, values == -np.inf], [_NAN, _HIGH, _LOW], 0)
    return Outline(at.astype(np.float64), finite, finite, finite, kinds.astype(np.uint8))


def thinned(outlines: Mapping[str, Outline], keys: Sequence[str], *, samples: int, whole: bool) -> tuple[Any, Floats]:
    """At most `samples` (FEWEST or more) increasing positions, and the values there: (len(keys), n), NaN where a stretch is empty.

    whole: positions are whole numbers (steps).
    """
    held = {key: outlines[key] for key in keys if key in outlines and outlines[key].x.size}
    if not held:
        return np.empty(0, np.int64 if whole else np.float64), np.empty((len(keys), 0))
    low = min(float(one.x[0]) for one in held.values())
    high = max(float(one.x[-1]) for one in held.values())
    number = samples // 2
    while True:
        grid = _Grid(low, high, number)
        slots = {key: _slots(one, grid) for key, one in held.items()}
        needed = np.any([one.needed for one in slots.values()], axis=0)
        rows = int(np.count_nonzero(needed))
        if rows <= samples:
            break
        number = max(samples // FEWEST, min(number - 1, number * samples // rows))
    block = np.full((len(keys), rows), np.nan)
    for row, key in zip(block, keys, strict=True):
        if key in slots:
            row[:] = slots[key].values[needed]
    at = grid.places(needed)
    if not whole:
        return at, block
    order = np.arange(at.size)
    # Rounding may bring two rows together: each takes the next free step then.
    return np.maximum.accumulate(np.rint(at).astype(np.int64) - order) + order, block


@dataclass(frozen=True, slots=True)
class _Grid:
    """n stretches of equal width from `low` to `high`."""

    low: float
    high: float
    n: int

    def index(self, x: Floats) -> NDArray[np.int64]:
        """The stretch in which each position lies."""
        if self.high <= self.low:
            return np.zeros(x.size, np.int64)
        share = (x - self.low) / (self.high - self.low)
        return np.minimum(share * self.n, self.n - 1).astype(np.int64)

    def places(self, needed: NDArray[np.bool_]) -> Floats:
        """A position for each needed row, (n, FEWEST) of them, evenly over its stretch."""
        count = needed.sum(axis=1, keepdims=True)
        before = np.cumsum(needed, axis=1) - 1
        share = (before + 0.5) / np.maximum(count, 1)
        width = (self.high - self.low) / self.n
        found: Floats = (self.low + (np.arange(self.n)[:, None] + share) * width)[needed]
        return found


@dataclass(frozen=True, slots=True, eq=False)
class _Slots:
    """What a series shows in each stretch: the extreme farther from its last value, the nearer one, NaN, +Inf, -Inf.

    values: (n, FEWEST), filled with the last value where there is nothing to show; needed: (n, FEWEST).
    """

    values: Floats
    needed: NDArray[np.bool_]


def _slots(one: Outline, grid: _Grid) -> _Slots:
    index = grid.index(one.x)
    starts = np.append(0, np.flatnonzero(np.diff(index)) + 1)
    held = index[starts]
    low, high = np.fmin.reduceat(one.low, starts), np.fmax.reduceat(one.high, starts)
    kinds = np.bitwise_or.reduceat(one.kinds, starts)
    last = one.last[np.append(starts[1:], one.x.size) - 1]
    last = np.where(np.isnan(last), high, last)
    with np.errstate(over="ignore"):
        far = np.where(np.abs(last - low) > np.abs(high - last), low, high)
    near = np.where(far == low, high, low)
    odd = np.stack([kinds & _NAN, kinds & _HIGH, kinds & _LOW], axis=1) > 0
    only_odd = np.select([odd[:, 0], odd[:, 1]], [np.nan, np.inf], -np.inf)
    far, near = np.where(np.isnan(far), only_odd, far), np.where(np.isnan(near), only_odd, near)
    values = np.full((grid.n, FEWEST), np.nan)
    needed = np.zeros((grid.n, FEWEST), bool)
    values[held] = near[:, None]
    values[held, 0] = far
    for slot, value in enumerate((np.nan, np.inf, -np.inf), start=2):
        values[held[odd[:, slot - 2]], slot] = value
    needed[held, 0] = True
    needed[held, 1] = low < high
    needed[held, 2:] = odd
    needed[held, 2:] &= ~np.isnan(low)[:, None] | (np.cumsum(odd, axis=1) > 1)  # the first row shows the first kind
    return _Slots(values, needed)
