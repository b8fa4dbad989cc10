"""Exact points of series: over a range, or only those that came after a cursor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, and_, or_, select

from runvitals.errors import StoreError
from runvitals.store.blocks import CHUNK, PARTS, Clocks, SeriesHead, heads, tail_points, tail_rows
from runvitals.store.codec import cut, joined
from runvitals.store.generations import unpack_rewinds
from runvitals.store.schema import blocks
from runvitals.store.types import Axis, Delta, Floats, Generation, Ints, SeriesPoints

EMPTY_POINTS = SeriesPoints(steps=np.empty(0, np.int64), times_s=np.empty(0), values=np.empty(0))


def overlaps(axis: Axis, start: float | None, stop: float | None) -> ColumnElement[bool]:
    """The SQL condition that a block may hold points of the range; rows without a step are on the time axis only."""
    lowest, highest = (
        (blocks.c.min_time_s, blocks.c.max_time_s) if axis == "time" else (blocks.c.min_step, blocks.c.max_step)
    )
    conditions = [] if axis == "time" else [highest >= 0]
    if start is not None:
        conditions.append(highest >= float(start))
    if stop is not None:
        conditions.append(lowest <= float(stop))
    return and_(True, *conditions)


def inside(points: SeriesPoints, axis: Axis, start: float | None, stop: float | None) -> SeriesPoints:
    """The points of the range, both ends included, in order of the axis; equal positions keep their order of arrival."""
    return chosen(points, places_inside(points.steps, points.times_s, axis, start=start, stop=stop))


def places_inside(
    steps: Ints, times_s: Floats, axis: Axis, *, start: float | None, stop: float | None
) -> slice | NDArray[np.intp]:
    """Where the points of the range stand, in order of the axis: a slice where they lie in that order already."""
    position: Ints | Floats = times_s if axis == "time" else steps
    low = -np.inf if start is None else start
    low = low if axis == "time" else max(low, 0.0)
    high = np.inf if stop is None else stop
    if not (position[1:] < position[:-1]).any():
        # Comparing first: searchsorted would turn all steps to floats for an edge between two of them.
        first = 0 if position.size and position[0] >= low else int(np.count_nonzero(position < low))
        last = position.size if position.size and position[-1] <= high else int(np.count_nonzero(position <= high))
        return slice(first, max(first, last))
    kept = np.flatnonzero((position >= low) & (position <= high))
    found: NDArray[np.intp] = kept[np.argsort(position[kept], kind="stable")]
    return found


def chosen(points: SeriesPoints, which: NDArray[np.bool_] | NDArray[np.intp] | slice) -> SeriesPoints:
    """Some of the points, by a mask, their indices or a slice."""
    return SeriesPoints(steps=points.steps[which], times_s=points.times_s[which], values=points.values[which])


def read_range(
    connection: Connection,
    head: SeriesHead,
    *,
    axis: Axis,
    start: float | None,
    stop: float | None,
    generation: Generation = "current",
    clocks: Clocks | None = None,
) -> SeriesPoints:
    """The exact points of a series on the step or time axis, both ends included.

    clocks: one for all series that are read in a transaction, so that rows which they share are decoded once.
    """
    if generation == "superseded" and not head.rewinds:
        return EMPTY_POINTS
    asked = (blocks.c.series_id == head.id) & blocks.c.level.in_((PARTS, 0)) & overlaps(axis, start, stop)
    rows = connection.execute(select(blocks).where(asked).order_by(blocks.c.first)).all()
    clocks = clocks or Clocks()
    clocks.load(connection, rows)
    pieces = [(row.first, clocks.points(row, head)) for row in rows]
    tail = tail_points(tail_rows(connection, [head.id]).get(head.id), head)
    if tail is not None:
        pieces.append((head.count - tail.values.size, tail))
    if head.rewinds and generation != "all":
        rewinds = unpack_rewinds(head.rewinds)
        pieces = [(first, chosen(piece, rewinds.kept(first, piece.steps, generation))) for first, piece in pieces]
    return inside(joined([piece for _, piece in pieces]), axis, start, stop)


def since(connection: Connection, run_id: str, keys: Sequence[str], cursor: Mapping[str, int]) -> Delta:
    """The points of each key after the first `cursor[key]`, in order of arrival; a key without a cursor has seen none."""
    known = heads(connection, run_id, keys)
    counts = {key: head.count for key, head in known.items()}
    seen = {key: int(cursor.get(key, 0)) for key in keys}
    if any(number < 0 for number in seen.values()):
        raise StoreError(f"cursor of run {run_id}: expected counts from 0 on")
    if any(number > counts.get(key, 0) for key, number in seen.items()):
        return Delta(cursor=counts, points={}, reset=True)
    behind = {head.id: head for key, head in known.items() if seen[key] < head.count}
    first_new = {head.id: seen[head.key] for head in behind.values()}
    found: dict[int, list[SeriesPoints]] = {series_id: [] for series_id in behind}
    clocks = Clocks()
    rows = connection.execute(select(blocks).where(_after(first_new)).order_by(blocks.c.first)).all() if behind else []
    clocks.load(connection, rows)
    for row in rows:
        points = clocks.points(row, behind[row.series_id])
        found[row.series_id].append(cut(points, max(0, first_new[row.series_id] - row.first)))
    for series_id, blob in tail_rows(connection, list(behind)).items():
        head = behind[series_id]
        tail = tail_points(blob, head) or EMPTY_POINTS
        found[series_id].append(cut(tail, max(0, first_new[series_id] - (head.count - tail.values.size))))
    points_by_key = {behind[series_id].key: joined(pieces) for series_id, pieces in found.items()}
    rewound = (key for key, head in known.items() if head.rewinds and unpack_rewinds(head.rewinds).last >= seen[key])
    return Delta(cursor={key: counts.get(key, 0) for key in keys}, points=points_by_key, rewound=frozenset(rewound))


def _after(first_new: Mapping[int, int]) -> ColumnElement[bool]:
    """The SQL condition that a block of points holds points from each series' first new one on.

    The lower bound on `first` is what keeps the cost apart from the run's length: the index starts there.
    """
    return or_(
        *(
            (blocks.c.series_id == series_id)
            & blocks.c.level.in_((PARTS, 0))
            & (blocks.c.first >= number // CHUNK * CHUNK)
            & (blocks.c.first + blocks.c.size > number)
            for series_id, number in first_new.items()
        )
    )
