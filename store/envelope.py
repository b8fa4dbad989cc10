"""Series reduced to a few buckets for a chart, exact at the edges of the range and with every spike and NaN kept.

The level is chosen so that the range holds between n and FACTOR·n buckets (n to BUCKET·n points at level 0). Buckets that lie wholly
in the range count as they are; one that an edge of the range cuts is replaced by the points beneath it; the end of a series that
has no bucket at that level yet comes from the levels below, down to the tail. So the cost follows n, not the length of the run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, select

from runvitals.store.blocks import BLOCK, CHUNK, Clocks, Place, SeriesHead, at, buckets, parts, tail_points, tail_rows
from runvitals.store.levels import BUCKET, EMPTY, FACTOR, Buckets, bucket_points, concatenated, merged, of_points
from runvitals.store.read import overlaps
from runvitals.store.schema import blocks
from runvitals.store.types import Axis, Envelope, Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The range of an envelope, both ends included; None is open. axis: step or time (tokens were turned to steps before)."""

    axis: Axis
    start: float | None
    stop: float | None

    def inside(self, found: Buckets) -> NDArray[np.bool_]:
        """Which buckets lie wholly in the range; on the step axis one that mixes rows with and without a step never does."""
        lowest, highest = self._extent(found)
        kept = np.ones(len(found), bool) if self.axis == "time" else found.stepped == found.count
        if self.start is not None:
            kept &= lowest >= self.start
        if self.stop is not None:
            kept &= highest <= self.stop
        return kept

    def outside(self, found: Buckets) -> NDArray[np.bool_]:
        """Which buckets hold no point of the range."""
        lowest, highest = self._extent(found)
        lost = np.zeros(len(found), bool) if self.axis == "time" else found.stepped == 0
        if self.start is not None:
            lost |= highest < self.start
        if self.stop is not None:
            lost |= lowest > self.stop
        return lost

    def _extent(self, found: Buckets) -> tuple[NDArray[Any], NDArray[Any]]:
        if self.axis == "time":
            return found.time_min, found.time_max
        return found.step_min, found.step_max


@dataclass(slots=True)
class _Gathered:
    """What was read of one series so far. firsts, units: index of the first point and the buckets of each piece.

    cut: first point and level of buckets that an edge of the range cuts; their points are read instead.
    """

    head: SeriesHead
    level: int
    firsts: list[NDArray[np.int64]] = field(default_factory=list)
    units: list[Buckets] = field(default_factory=list)
    cut: list[tuple[int, int]] = field(default_factory=list)

    def take(self, first: int, level: int, found: Buckets, span: Span) -> None:
        """Sorts the buckets of one block into kept, dropped and cut by an edge."""
        size = bucket_points(level)
        kept = span.inside(found)
        if kept.all():
            self.firsts.append(first + size * np.arange(len(found)))
            self.units.append(found)
            return
        index = np.flatnonzero(kept)
        self.firsts.append(first + size * index)
        self.units.append(found.picked(index))
        self.cut.extend((first + size * int(one), level) for one in np.flatnonzero(~kept & ~span.outside(found)))

    def ordered(self) -> Buckets:
        """All buckets in order of arrival."""
        if len(self.units) == 1:
            return self.units[0]
        if not self.units:
            return EMPTY
        order = np.argsort(np.concatenate(self.firsts), kind="stable")
        found = concatenated(self.units)
        return found if (order[1:] > order[:-1]).all() else found.picked(order)


def gather(connection: Connection, wanted: Sequence[SeriesHead], span: Span, *, n: int) -> dict[str, Buckets]:
    """For each series its buckets over the range, about n or more of them, in order of arrival."""
    all_gathered = {head.id: _Gathered(head, level_for(head, span, n)) for head in wanted}
    top = max((one.level for one in all_gathered.values()), default=0)
    _take_top(connection, all_gathered, span)
    _take_open_blocks(connection, all_gathered, span)
    for level in range(top, 1, -1):
        _take_cut(connection, all_gathered, span, level)
    _take_points(connection, all_gathered, span)
    return {one.head.key: one.ordered() for one in all_gathered.values()}


def level_for(head: SeriesHead, span: Span, n: int) -> int:
    """The coarsest level that still has n buckets over the range, taking points as evenly spread along the axis.

    A wrong guess costs time or detail, never correctness.
    """
    low, high = (head.min_time_s, head.max_time_s) if span.axis == "time" else (head.min_step, head.max_step)
    start = low if span.start is None else max(low, span.start)
    stop = high if span.stop is None else min(high, span.stop)
    share = 1.0 if high <= low else max(0.0, min(1.0, (stop - start) / (high - low)))
    level = 0
    while head.count * share >= n * bucket_points(level + 1) and bucket_count(head, level + 1):
        level += 1
    return level


def bucket_count(head: SeriesHead, level: int) -> int:
    """How many buckets a series has at a level: below level 1 each full block passes on its buckets, nothing else."""
    count = head.chunked // BUCKET
    for _ in range(level - 1):
        count = count // BLOCK * BLOCK // FACTOR
    return count


def _take_top(connection: Connection, all_gathered: Mapping[int, _Gathered], span: Span) -> None:
    """Reads the blocks of each series' own level that may hold points of the range."""
    by_level: dict[int, list[int]] = {}
    for series_id, one in all_gathered.items():
        if one.level:
            by_level.setdefault(one.level, []).append(series_id)
    for level, series_ids in by_level.items():
        asked = blocks.c.series_id.in_(series_ids) & (blocks.c.level == level)
        asked &= overlaps(span.axis, span.start, span.stop)
        for row in connection.execute(select(blocks).where(asked).order_by(blocks.c.series_id, blocks.c.first)):
            _take_block(all_gathered[row.series_id], row, span)


def _take_block(one: _Gathered, row: Row[Any], span: Span) -> None:
    one.take(row.first * bucket_points(row.level), row.level, buckets(row, one.head), span)


def _take_open_blocks(connection: Connection, all_gathered: Mapping[int, _Gathered], span: Span) -> None:
    """Reads the open blocks of the levels below: the stretch that has no bucket at the level above yet."""
    places: list[Place] = []
    for series_id, one in all_gathered.items():
        for level in range(1, one.level):
            count = bucket_count(one.head, level)
            if count % BLOCK:
                places.append((series_id, level, count // BLOCK * BLOCK))
    for row in at(connection, places):
        _take_block(all_gathered[row.series_id], row, span)


def _take_cut(connection: Connection, all_gathered: Mapping[int, _Gathered], span: Span, level: int) -> None:
    """Replaces the buckets of a level that an edge cuts by those of the level below."""
    below = level - 1
    wanted: dict[Place, list[int]] = {}
    for series_id, one in all_gathered.items():
        for first, _ in [piece for piece in one.cut if piece[1] == level]:
            index = first // bucket_points(below)
            wanted.setdefault((series_id, below, index // BLOCK * BLOCK), []).append(index % BLOCK)
        one.cut = [piece for piece in one.cut if piece[1] != level]
    for row in at(connection, list(wanted)):
        one = all_gathered[row.series_id]
        found = buckets(row, one.head)
        for offset in wanted[row.series_id, below, row.first]:
            first = (row.first + offset) * bucket_points(below)
            one.take(first, below, found.picked(slice(offset, offset + FACTOR)), span)


def _take_points(connection: Connection, all_gathered: Mapping[int, _Gathered], span: Span) -> None:
    """Reads points: of series at level 0, of level-1 buckets that an edge cuts, and of every open chunk."""
    rows = _chunks_cut(connection, all_gathered)
    exact = [series_id for series_id, one in all_gathered.items() if one.level == 0]
    if exact:
        asked = blocks.c.series_id.in_(exact) & (blocks.c.level == 0) & overlaps(span.axis, span.start, span.stop)
        rows += connection.execute(select(blocks).where(asked)).all()
    decoder = Clocks()
    decoder.load(connection, rows)
    for row in rows:
        one = all_gathered[row.series_id]
        found = of_points(decoder.points(row, one.head))
        if one.level == 0:
            one.take(row.first, 0, found, span)
            continue
        for first, _ in [piece for piece in one.cut if piece[0] // CHUNK * CHUNK == row.first]:
            offset = first - row.first
            one.take(first, 0, found.picked(slice(offset, offset + BUCKET)), span)
    open_parts = parts(connection, list(all_gathered))
    open_tails = tail_rows(connection, list(all_gathered))
    for series_id, one in all_gathered.items():
        for row in open_parts.get(series_id, ()):
            one.take(row.first, 0, of_points(decoder.points(row, one.head)), span)
        tail = tail_points(open_tails.get(series_id), one.head)
        if tail is not None and tail.values.size:
            one.take(one.head.count - tail.values.size, 0, of_points(tail), span)


def _chunks_cut(connection: Connection, all_gathered: Mapping[int, _Gathered]) -> list[Row[Any]]:
    """The chunks beneath level-1 buckets that an edge of the range cuts."""
    places = {
        (series_id, 0, first // CHUNK * CHUNK)
        for series_id, one in all_gathered.items()
        for first, level in one.cut
        if level == 1
    }
    return at(connection, sorted(places))


def reduced(found: Buckets, span: Span, *, n: int, position: Callable[[Floats], Floats] | None = None) -> Envelope:
    """At most n buckets of equal width along the axis; `position` turns steps to another axis (tokens)."""
    x = found.time_mean if span.axis == "time" else found.step_mean
    if position is not None:
        x = position(x)
    if (x[1:] < x[:-1]).any():
        order = np.argsort(x, kind="stable")
        x, found = x[order], found.picked(order)
    exact = bool(len(found) <= n and (found.count == 1).all())
    if len(found) > n:
        low, high = x[0], x[-1]
        bucket = np.minimum((x - low) * (n / (high - low)), n - 1).astype(np.int64) if high > low else np.zeros(x.size)
        starts = np.append(0, np.flatnonzero(np.diff(bucket)) + 1)
        weight = np.add.reduceat(found.count, starts)
        x = low + np.add.reduceat((x - low) * found.count, starts) / weight
        found = merged(found, starts)
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


EMPTY_ENVELOPE = reduced(EMPTY, Span(axis="step", start=None, stop=None), n=1)
