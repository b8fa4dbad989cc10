"""Where two runs part: the first bucket from which their min–max bands never touch again."""

from __future__ import annotations

import numpy as np

from runvitals.store.types import Envelope, Floats

BUCKETS = 40
"""Buckets that the shared range is cut into: wide enough for a band, narrow enough to name a step."""

FEWEST = 3
"""Buckets that must lie apart up to the end: less is the noise of the last few rows."""


def parted_at(baseline: Envelope, other: Envelope) -> int | None:
    """The step at which the other run parts from the baseline for good, or None where it does not (or they share no steps)."""
    edges = _shared_edges(baseline, other)
    if edges is None:
        return None
    ours, theirs = _bands(baseline, edges), _bands(other, edges)
    both = np.isfinite(ours[0]) & np.isfinite(theirs[0])
    apart = (ours[0] > theirs[1]) | (ours[1] < theirs[0])
    known = np.flatnonzero(both)
    touching = known[~apart[known]]
    first = known[known > touching[-1]] if touching.size else known
    # Bands must stay on the side where they parted: crossing between two buckets is a touch as well.
    side = np.sign(ours[0] - theirs[1])
    while first.size and (side[first] != side[first[-1]]).any():
        first = first[np.flatnonzero(side[first] != side[first[-1]])[-1] + 1 :]
    if first.size < FEWEST:
        return None
    return int(np.ceil(edges[first[0]]))


def _shared_edges(baseline: Envelope, other: Envelope) -> Floats | None:
    """Edges of buckets over the steps that both runs logged."""
    if baseline.steps.size < FEWEST or other.steps.size < FEWEST:
        return None
    low = max(int(baseline.steps.min()), int(other.steps.min()))
    high = min(int(baseline.steps.max()), int(other.steps.max()))
    if high <= low:
        return None
    count = min(BUCKETS, baseline.steps.size, other.steps.size, high - low)
    return np.linspace(low, high, count + 1)


def _bands(envelope: Envelope, edges: Floats) -> tuple[Floats, Floats]:
    """Lowest and highest value in each bucket; NaN where the run has nothing there."""
    buckets = edges.size - 1
    low, high = np.full(buckets, np.nan), np.full(buckets, np.nan)
    place = np.clip(np.searchsorted(edges, envelope.steps, side="right") - 1, 0, buckets - 1)
    inside = (envelope.steps >= edges[0]) & (envelope.steps <= edges[-1]) & np.isfinite(envelope.low)
    np.fmin.at(low, place[inside], envelope.low[inside])
    np.fmax.at(high, place[inside], envelope.high[inside])
    return low, high
