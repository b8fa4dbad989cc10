"""Where two runs part: the place from which they differ, to the end, by more than their own noise.

The shared range is cut into cells, wide enough to hold a few rows of either run. A run's noise is how far the mean of a cell lies from the
middle of its two neighbours (second differences, as von Neumann 1941 has the first), by the median, so that a trend, a spike or a blow-up
does not count as noise. The runs have parted where the difference of their means is beyond `TIMES` the noise of both and stays there, on
one side, up to the end. How rare false partings are on seeds of one setting is stated in docs/compare.md.
"""

from __future__ import annotations

import numpy as np

from runvitals.dashboard.compare_read import Curve
from runvitals.store.types import Floats

CELLS = 40
"""Cells that the shared range is cut into at most: a place is named to a fortieth of it."""

ROWS_A_CELL = 4
"""Rows of either run that a cell should hold; seldom series have one."""

FEWEST = 5
"""Cells without which nothing is said: noise cannot be told from less."""

STAYS = 0.1
"""Share of the cells that must lie apart up to the end, and never fewer than three: less may be the last few rows' noise."""

TIMES = 3.0
"""Noises that a difference must exceed. Of 93 pairs of seeds none parts on a charted signal."""

VISIBLE = 0.05
"""A difference below this share of the middle half of both curves' values is none that anybody could see."""

_MAD_TO_SIGMA = 1.4826
_SECOND_DIFFERENCE = np.sqrt(1.5)
"""What the noise of one cell is multiplied by in the distance from the middle of its neighbours."""


def parted_at(ours: Curve, theirs: Curve, *, error: float = 0.0) -> float | None:
    """The place on the shared axis from which the runs differ to the end; None where they do not, or share too little to tell.

    error: the standard error of a value where it is known (a probe's), which then is the least that counts as noise.
    Where one run is not a number from some place to the end, that is where it parts from one that is.
    """
    edges = _edges(ours, theirs)
    if edges is None:
        return None
    (mine, my_rows), (yours, your_rows) = _means(ours, edges), _means(theirs, edges)
    shared = np.flatnonzero((my_rows > 0) & (your_rows > 0))
    if shared.size < FEWEST:
        return None
    mine, yours = mine[shared], yours[shared]
    out = _broken(mine, yours) | _apart(mine, yours, error)
    inside = np.flatnonzero(~out)
    first = int(inside[-1]) + 1 if inside.size else 0
    if out.size - first < max(3, int(np.ceil(STAYS * out.size))):
        return None
    return float(edges[shared[first]])


def _broken(mine: Floats, yours: Floats) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Where one of the two is not a number and the other is."""
    return np.asarray(np.isfinite(mine) != np.isfinite(yours))


def _apart(mine: Floats, yours: Floats, error: float) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Where the difference is beyond the noise of both, on the side on which it ends."""
    finite = np.isfinite(mine) & np.isfinite(yours)
    apart = np.zeros(mine.size, dtype=bool)
    if finite.sum() < FEWEST:
        return apart
    a, b = mine[finite], yours[finite]
    noise = np.hypot(max(_noise(a), error), max(_noise(b), error))
    quarters = np.quantile(np.concatenate([a, b]), [0.25, 0.75])
    least = max(TIMES * noise, VISIBLE * float(quarters[1] - quarters[0]))
    difference = a - b
    apart[finite] = (np.abs(difference) > least) & (np.sign(difference) == np.sign(difference[-1]))
    return apart


def _noise(means: Floats) -> float:
    """Standard deviation of a cell's mean around the course of its neighbours."""
    beside = means[1:-1] - (means[2:] + means[:-2]) / 2
    return float(_MAD_TO_SIGMA * np.median(np.abs(beside)) / _SECOND_DIFFERENCE)


def _edges(ours: Curve, theirs: Curve) -> Floats | None:
    """Edges of cells over the range that both runs logged."""
    if ours.x.size < FEWEST or theirs.x.size < FEWEST:
        return None
    low, high = max(ours.x[0], theirs.x[0]), min(ours.x[-1], theirs.x[-1])
    if not high > low:
        return None
    rows = min(int(((curve.x >= low) & (curve.x <= high)).sum()) for curve in (ours, theirs))
    cells = rows // ROWS_A_CELL if rows >= 8 * ROWS_A_CELL else rows
    if cells < FEWEST:
        return None
    return np.linspace(low, high, min(CELLS, cells) + 1)


def _means(curve: Curve, edges: Floats) -> tuple[Floats, Floats]:
    """Mean of the finite values of each cell, NaN where none is, and the rows of each cell."""
    cells = edges.size - 1
    inside = (curve.x >= edges[0]) & (curve.x <= edges[-1])
    place = np.clip(np.searchsorted(edges, curve.x[inside], side="right") - 1, 0, cells - 1)
    rows = np.maximum(curve.count[inside], 1).astype(float)
    finite = np.isfinite(curve.mean[inside])
    weight = np.where(finite, rows, 0.0)
    sums = np.bincount(place, weights=np.where(finite, curve.mean[inside], 0.0) * weight, minlength=cells)
    weights = np.bincount(place, weights=weight, minlength=cells)
    means: Floats = np.where(weights > 0, sums / np.where(weights > 0, weights, 1.0), np.nan)
    return means, np.bincount(place, weights=rows, minlength=cells).astype(np.float64)
