"""Looks through a store for damage: every block is decoded, and heads, blocks, summaries and tails must tell the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, select

from runvitals.store.blocks import (
    BLOCK,
    CHUNK,
    PARTS,
    Clocks,
    SeriesHead,
    bounds_of_buckets,
    buckets,
    heads,
    tail_points,
    tail_rows,
)
from runvitals.store.codec import CodecError
from runvitals.store.levels import BUCKET, FACTOR, Buckets, concatenated, level_one, next_level
from runvitals.store.schema import blocks
from runvitals.store.tidy import counted, orphans
from runvitals.store.types import SeriesPoints

_ROWS_AT_ONCE = 64
_BOUNDS = ("min_step", "max_step", "min_time_s", "max_time_s")


@dataclass(slots=True)
class _Seen:
    """What the points of a series say, gathered as they are read. whole: false once some could not be read."""

    count: int = 0
    nonfinite: int = 0
    low: float = np.inf
    high: float = -np.inf
    last: SeriesPoints | None = None
    whole: bool = True
    summaries: list[Buckets] = field(default_factory=list)

    def add(self, points: SeriesPoints) -> None:
        finite = points.values[np.isfinite(points.values)]
        self.count += points.values.size
        self.nonfinite += points.values.size - finite.size
        if finite.size:
            self.low, self.high = min(self.low, float(finite.min())), max(self.high, float(finite.max()))
        if points.values.size:
            self.last = points


def examine_run(connection: Connection, run_id: str) -> Iterator[tuple[int, list[str]]]:
    """For each series of a run its number of points and what is wrong with it, in words that name it."""
    known = heads(connection, run_id)
    tails = tail_rows(connection, [head.id for head in known.values()])
    for key in sorted(known):
        head = known[key]
        wrong = _examine_series(connection, head, tails.get(head.id))
        yield head.count, [f"series {key!r} of run {run_id!r}: {what}" for what in wrong]


def examine_rest(connection: Connection) -> list[str]:
    """Rows that belong to nothing."""
    found = []
    for what, table, condition in orphans():
        rows, _ = counted(connection, table, condition)
        if rows:
            found.append(f"{rows} {what}")
    return found


def _examine_series(connection: Connection, head: SeriesHead, tail: bytes | None) -> list[str]:
    """What is wrong with one series."""
    wrong: list[str] = []
    seen = _Seen()
    expected: dict[int, int] = {}
    higher: dict[int, list[Buckets]] = {}
    query = select(blocks).where(blocks.c.series_id == head.id).order_by(blocks.c.level, blocks.c.first)
    # Parts come after the chunks in time, and before them by level.
    for levels in (blocks.c.level >= 0, blocks.c.level == PARTS):
        result = connection.execute(query.where(levels), execution_options={"yield_per": _ROWS_AT_ONCE})
        for rows in result.partitions():
            clocks = _clocks(connection, rows, wrong)
            for row in rows:
                start = head.chunked if row.level == PARTS else 0
                if row.first != expected.get(row.level, start):
                    wrong.append(
                        f"level {row.level}: expected number {expected.get(row.level, start)}, got {row.first}"
                    )
                expected[row.level] = row.first + row.size
                try:
                    _examine_block(row, head, clocks, seen, higher)
                except CodecError as error:
                    seen.whole = False
                    wrong.append(f"level {row.level}, from number {row.first} on: {error}")
    try:
        last = tail_points(tail, head)
        if last is not None:
            seen.add(last)
    except CodecError as error:
        seen.whole = False
        wrong.append(str(error))
    wrong.extend(_levels(head, expected, seen, higher))
    return wrong + (_head(head, seen) if seen.whole else [])


def _clocks(connection: Connection, rows: Sequence[Row[Any]], wrong: list[str]) -> Clocks:
    """The decoder of these rows; a clock that cannot be read is told, and its blocks miss it."""
    found = Clocks()
    try:
        found.load(connection, rows)
    except CodecError:
        for row in rows:
            try:
                found.load(connection, [row])
            except CodecError as error:
                wrong.append(f"steps and times numbered {row.clock_id}: {error}")
    return found


def _examine_block(
    row: Row[Any], head: SeriesHead, clocks: Clocks, seen: _Seen, higher: dict[int, list[Buckets]]
) -> None:
    """Decodes a block and compares it with its row. Raises CodecError."""
    if row.level > 0:
        found = buckets(row, head)
        higher.setdefault(row.level, []).append(found)
        bounds = bounds_of_buckets(found)
    else:
        points = clocks.points(row, head)
        if row.level == 0 and row.size != CHUNK:
            raise CodecError(f"expected a chunk of {CHUNK} points, got {row.size}")
        seen.add(points)
        if row.level == 0:
            seen.summaries.append(level_one(points))
        bounds = _bounds(points)
    if any(bounds[name] != row._mapping[name] for name in _BOUNDS):
        raise CodecError("the range of steps and times that stands beside the block is not the block's")


def _bounds(points: SeriesPoints) -> Mapping[str, Any]:
    """What the range columns of a block of points should say."""
    edges = (points.steps.min(), points.steps.max(), points.times_s.min(), points.times_s.max())
    return dict(zip(_BOUNDS, edges, strict=True))


def _levels(head: SeriesHead, expected: dict[int, int], seen: _Seen, higher: dict[int, list[Buckets]]) -> Iterator[str]:
    """What is wrong with the summary levels: how many buckets there are, and whether they tell what their points do."""
    if seen.whole and expected.get(0, 0) != head.chunked:
        yield f"expected {head.chunked} points in chunks, got {expected.get(0, 0)}"
    below = concatenated(seen.summaries) if seen.whole else None
    level, number = 1, head.chunked // BUCKET
    while number:
        if expected.get(level, 0) != number:
            yield f"level {level}: expected {number} buckets, got {expected.get(level, 0)}"
            return
        found = concatenated(higher.get(level, []))
        if below is not None and len(found) == len(below) and not _same(found, below):
            yield f"level {level}: its lowest, highest or non-finite values are not those of the points"
        full = number // BLOCK * BLOCK
        below = next_level(found.picked(slice(0, full))) if full and len(found) == number else None
        level, number = level + 1, full // FACTOR
    if any(one >= level for one in expected):
        yield f"level {level} and higher: expected none, got some"


def _same(one: Buckets, other: Buckets) -> bool:
    """Whether two summaries tell the same. Means and sums may differ in their last digits by how they were added."""
    marks = all((one.marks[row] == other.marks[row]).all() for row in range(7))
    return marks and np.array_equal(one.values[:3], other.values[:3], equal_nan=True)


def _head(head: SeriesHead, seen: _Seen) -> list[str]:
    """Where the series' own row tells something else than its points."""
    if seen.count != head.count:
        return [f"expected {head.count} points, got {seen.count}"]
    low, high = (
        (np.inf if head.best_min is None else head.best_min),
        (-np.inf if head.best_max is None else head.best_max),
    )
    wrong = []
    if (head.nonfinite, low, high) != (seen.nonfinite, seen.low, seen.high):
        wrong.append("its lowest, highest or number of non-finite values are not those of its points")
    if seen.last is not None:
        newest = (int(seen.last.steps[-1]), float(seen.last.times_s[-1]), int(seen.last.values[-1:].view(np.int64)[0]))
        if newest != (head.step, head.time_s, head.value_bits):
            wrong.append("its newest point is not the last of its points")
    return wrong
