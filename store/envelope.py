"""Series reduced to a few buckets for a chart, exact at the edges of the range and with every spike and NaN kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runvitals.store.gather import Found
from runvitals.store.levels import EMPTY, Buckets, concatenated, marks_of_rows, means_over, merged, summarised
from runvitals.store.span import Span
from runvitals.store.types import Envelope, Floats, Ints, SeriesPoints


@dataclass(frozen=True, slots=True)
class _Grid:
    """n buckets of equal width between two positions."""

    low: float
    high: float
    n: int

    def starts(self, x: Floats) -> NDArray[np.intp]:
        """Where, in increasing positions, a new bucket begins; the first is 0."""
        if self.high <= self.low:
            return np.zeros(1, np.intp)
        index = np.minimum((x - self.low) * (self.n / (self.high - self.low)), self.n - 1).astype(np.int64)
        return np.append(0, np.flatnonzero(np.diff(index)) + 1)


class Summaries:
    """Summaries of points; what follows from steps and times alone is computed once for all series that share those arrays."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int, _Grid], tuple[SeriesPoints, NDArray[np.intp], Ints, Floats]] = {}

    def of(self, points: SeriesPoints, x: Floats, grid: _Grid) -> tuple[Buckets, Floats]:
        """One bucket for each place on the grid that has points, and where it is drawn. x: (n,) of the points, by their steps or times."""
        shared = (id(points.steps), id(points.times_s), grid)
        if shared not in self._known:
            starts = grid.starts(x)
            marks = marks_of_rows(points.steps, points.times_s, starts)
            # The points are kept too: an array's id is its own only while it lives.
            self._known[shared] = (points, starts, marks, means_over(x, starts))
        _, starts, marks, means = self._known[shared]
        return summarised(points, starts, marks), means


def reduced(
    found: Found,
    span: Span,
    *,
    n: int,
    position: Callable[[Floats], Floats] | None = None,
    summaries: Summaries | None = None,
) -> Envelope:
    """At most n buckets of equal width along the axis; `position` turns steps to another axis (tokens).

    summaries: one for all series that are reduced with the same span and position.
    """
    units, points = found.buckets, found.points
    if not len(units) and not points.values.size:
        return _envelope(EMPTY, np.empty(0), exact=True)
    x_units = units.time_mean if span.axis == "time" else units.step_mean
    x_points = points.times_s if span.axis == "time" else points.steps.astype(np.float64)
    if position is not None:
        x_units, x_points = position(x_units), position(x_points)
    if (x_units[1:] < x_units[:-1]).any():
        order = np.argsort(x_units, kind="stable")
        x_units, units = x_units[order], units.picked(order)
    if len(units) + points.values.size <= n:
        single = np.arange(points.values.size)
        both = concatenated([units, summarised(points, single)] if single.size else [units])
        x = np.concatenate((x_units, x_points))
        order = np.argsort(x, kind="stable")
        return _envelope(both.picked(order), x[order], exact=not len(units))
    ends = np.concatenate((x_units[:1], x_units[-1:], x_points[:1], x_points[-1:]))
    grid = _Grid(float(ends.min()), float(ends.max()), n)
    pieces = []
    if len(units):
        starts = grid.starts(x_units)
        pieces.append((merged(units, starts), means_over(x_units, starts, units.count)))
    if points.values.size:
        pieces.append((summaries or Summaries()).of(points, x_points, grid))
    return _envelope(*_woven(pieces, grid), exact=False)


def _woven(pieces: list[tuple[Buckets, Floats]], grid: _Grid) -> tuple[Buckets, Floats]:
    """Buckets made of summaries and buckets made of points as one: those that share a place on the grid are merged."""
    if len(pieces) == 1:
        return pieces[0]
    x = np.concatenate([position for _, position in pieces])
    order = np.argsort(x, kind="stable")
    both, x = concatenated([one for one, _ in pieces]).picked(order), x[order]
    starts = grid.starts(x)
    return merged(both, starts), means_over(x, starts, both.count)


def _envelope(found: Buckets, x: Floats, *, exact: bool) -> Envelope:
    """The buckets as callers get them."""
    finite = found.count - found.nonfinite
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(finite > 0, found.total / finite, np.nan)
        mean = np.clip(mean, found.low, found.high)  # a sum may round, or overflow near the end of float64
    return Envelope(
        x=x,
        steps=found.step_last,
        times_s=found.time_last,
        low=found.low,
        high=found.high,
        mean=mean,
        last=found.last,
        count=found.count,
        nonfinite=found.nonfinite,
        kinds=found.kinds.astype(np.uint8),
        exact=exact,
    )


EMPTY_ENVELOPE = _envelope(EMPTY, np.empty(0), exact=True)
