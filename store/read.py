"""Exact points of series: over a range, or only those that came after a cursor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, and_, bindparam, or_, select

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


class RowsInRange:
    """Steps and times trimmed to a range, once for all series that were logged in the same rows and so share their arrays."""

    def __init__(self, axis: Axis, *, start: float | None, stop: float | None) -> None:
        self._axis: Axis = axis
        self._start, self._stop = start, stop
        self._known: dict[tuple[int, ...], tuple[SeriesPoints, slice | NDArray[np.intp]]] = {}
        self._alive: list[list[SeriesPoints]] = []  # an array's id is its own only while it lives

    def trimmed(self, pieces: list[SeriesPoints]) -> SeriesPoints:
        """The points of all pieces that lie in the range, both ends included, in order of the axis; equal positions in order of arrival."""
        values = np.concatenate([piece.values for piece in pieces]) if pieces else np.empty(0)
        shared = tuple(id(piece.steps) for piece in pieces) + tuple(id(piece.times_s) for piece in pieces)
        if shared not in self._known:
            whole = joined(pieces)
            which = places_inside(whole.steps, whole.times_s, self._axis, start=self._start, stop=self._stop)
            self._known[shared] = (chosen(whole, which), which)
            self._alive.append(pieces)
        first, which = self._known[shared]
        return SeriesPoints(steps=first.steps, times_s=first.times_s, values=values[which])


def read_series(
    connection: Connection,
    heads: Sequence[SeriesHead],
    *,
    axis: Axis,
    start: float | None,
    stop: float | None,
    generation: Generation = "current",
) -> dict[str, SeriesPoints]:
    """The exact points of each series on the step or time axis, both ends included. Series of the same rows share their arrays."""
    clocks = Clocks()
    rows = RowsInRange(axis, start=start, stop=stop)
    tails = tail_rows(connection, [head.id for head in heads])
    asked = (blocks.c.series_id == bindparam("series")) & blocks.c.level.in_((PARTS, 0)) & overlaps(axis, start, stop)
    in_blocks = select(blocks).where(asked).order_by(blocks.c.first)
    found = {}
    for head in heads:
        if generation == "superseded" and not head.rewinds:
            found[head.key] = EMPTY_POINTS
            continue
        tail = clocks.tail(tails.get(head.id), head)
        if tail is not None and tail.values.size == head.count:  # a short series stands in no block
            pieces = [(0, tail)]
        else:
            stored = connection.execute(in_blocks, {"series": head.id}).all()
            clocks.load(connection, stored)
            pieces = [(row.first, clocks.points(row, head)) for row in stored]
            if tail is not None:
                pieces.append((head.count - tail.values.size, tail))
        if head.rewinds and generation != "all":
            rewinds = unpack_rewinds(head.rewinds)
            pieces = [(first, chosen(piece, rewinds.kept(first, piece.steps, generation))) for first, piece in pieces]
        found[head.key] = rows.trimmed([piece for _, piece in pieces])
    return found


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
