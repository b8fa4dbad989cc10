"""What an envelope over a range is made of: the fewest blocks that hold it, read level by level.

The level is chosen so that the range holds between n/2 and FACTOR·n/2 buckets (to BUCKET·n/2 points at level 0). Buckets that lie wholly
in the range count as they are; one that an edge of the range cuts is replaced by the points beneath it; the end of a series that
has no bucket at that level yet comes from the levels below, down to the tail. So the cost follows n, not the length of the run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, select

from runvitals.store.blocks import BLOCK, CHUNK, Clocks, Place, SeriesHead, at, buckets, parts, tail_rows
from runvitals.store.codec import cut
from runvitals.store.generations import Rewinds, unpack_rewinds
from runvitals.store.levels import BUCKET, EMPTY, FACTOR, Buckets, bucket_points, concatenated
from runvitals.store.read import RowsInRange, chosen, overlaps
from runvitals.store.schema import blocks
from runvitals.store.span import Span
from runvitals.store.types import Generation, SeriesPoints


@dataclass(frozen=True, slots=True)
class Found:
    """What an envelope is made of: buckets that lie wholly in the range, in order of arrival, and single points in order of the axis."""

    buckets: Buckets
    points: SeriesPoints


@dataclass(slots=True)
class _Gathered:
    """What was read of one series so far. firsts, units: index of the first point and the buckets of each piece.

    rewinds: where the series went back, None where that leaves out nothing of the generation that is asked for.
    cut: first point and level of buckets that an edge of the range or of a generation cuts; what lies beneath them is read instead.
    points: index of the first one, and the points, of each piece; not yet trimmed to the range.
    """

    head: SeriesHead
    level: int
    generation: Generation = "all"
    rewinds: Rewinds | None = None
    firsts: list[NDArray[np.int64]] = field(default_factory=list)
    units: list[Buckets] = field(default_factory=list)
    cut: list[tuple[int, int]] = field(default_factory=list)
    points: list[tuple[int, SeriesPoints]] = field(default_factory=list)

    def take(self, first: int, level: int, found: Buckets, span: Span) -> None:
        """Sorts the buckets of one block into kept, dropped and cut by an edge."""
        size = bucket_points(level)
        firsts = first + size * np.arange(len(found))
        kept = span.inside(found)
        if self.rewinds is None and kept.all():
            self.firsts.append(firsts)
            self.units.append(found)
            return
        lost = span.outside(found)
        if self.rewinds is not None:
            of_it, not_of_it = _generations(found, firsts, size, rewinds=self.rewinds, generation=self.generation)
            kept &= of_it
            lost |= not_of_it
        self.firsts.append(firsts[kept])
        self.units.append(found.picked(np.flatnonzero(kept)))
        self.cut.extend((int(one), level) for one in firsts[~kept & ~lost])

    def found(self, span: Span, rows: RowsInRange) -> Found:
        """All that was read, trimmed to the range and in order."""
        pieces = [self._chosen(*piece) for piece in sorted(self.points, key=lambda piece: piece[0])]
        points = rows.trimmed(pieces)
        if not self.units:
            return Found(EMPTY, points)
        order = np.argsort(np.concatenate(self.firsts), kind="stable")
        units = concatenated(self.units)
        return Found(units if (order[1:] > order[:-1]).all() else units.picked(order), points)

    def _chosen(self, first: int, points: SeriesPoints) -> SeriesPoints:
        """The points that belong to the generation that is asked for."""
        return (
            points if self.rewinds is None else chosen(points, self.rewinds.kept(first, points.steps, self.generation))
        )


def _generations(
    found: Buckets, firsts: NDArray[np.int64], size: int, *, rewinds: Rewinds, generation: Generation
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which buckets belong wholly to the generation, and which not at all. firsts: index of each one's first point; size: points in each."""
    current = found.step_max < rewinds.limits(firsts)  # limits rise with the index: the first point has the lowest
    superseded = found.step_min >= rewinds.limits(firsts + size - 1)
    return (current, superseded) if generation == "current" else (superseded, current)


def gather(
    connection: Connection, wanted: Sequence[SeriesHead], span: Span, *, n: int, generation: Generation = "current"
) -> dict[str, Found]:
    """For each series what its envelope over the range is made of: about n/2 buckets or more. Series without superseded points have no
    superseded generation and are left out where that is asked for.
    """
    if generation == "superseded":
        wanted = [head for head in wanted if head.rewinds]
    all_gathered = {head.id: _begun(head, span, n, generation) for head in wanted}
    top = max((one.level for one in all_gathered.values()), default=0)
    _take_top(connection, all_gathered, span)
    _take_open_blocks(connection, all_gathered, span)
    for level in range(top, 1, -1):
        _take_cut(connection, all_gathered, span, level)
    _take_points(connection, all_gathered, span)
    rows = RowsInRange(span.axis, start=span.start, stop=span.stop)
    return {one.head.key: one.found(span, rows) for one in all_gathered.values()}


def _begun(head: SeriesHead, span: Span, n: int, generation: Generation) -> _Gathered:
    """Where reading a series begins."""
    if generation == "all" or not head.rewinds:
        return _Gathered(head, level_for(head, span, n, head.count))
    rewinds = unpack_rewinds(head.rewinds)
    current = _about_current(head, rewinds)
    count = current if generation == "current" else head.count - current
    return _Gathered(head, level_for(head, span, n, count), generation, rewinds)


def _about_current(head: SeriesHead, rewinds: Rewinds) -> int:
    """About how many points of a series are current: all since the newest rewind, and before each at most one a step up to its step."""
    stretches = np.diff(rewinds.firsts, prepend=0)
    reached = np.diff(rewinds.steps, prepend=max(head.min_step, 0))
    return head.count - rewinds.last + int(np.minimum(stretches, reached).sum())


def level_for(head: SeriesHead, span: Span, n: int, count: int) -> int:
    """The coarsest level that still has n/2 buckets over the range, a bucket for two pixels, taking `count` points as evenly spread along the axis.

    A wrong guess costs time or detail, never correctness.
    """
    low, high = (head.min_time_s, head.max_time_s) if span.axis == "time" else (head.min_step, head.max_step)
    start = low if span.start is None else max(low, span.start)
    stop = high if span.stop is None else min(high, span.stop)
    share = 1.0 if high <= low else max(0.0, min(1.0, (stop - start) / (high - low)))
    level = 0
    while 2 * count * share >= n * bucket_points(level + 1) and bucket_count(head, level + 1):
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
    for row in at(connection, wanted):
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
        points = decoder.points(row, one.head)
        if one.level == 0:
            one.points.append((row.first, points))
            continue
        for first, _ in [piece for piece in one.cut if piece[0] // CHUNK * CHUNK == row.first]:
            offset = first - row.first
            one.points.append((first, cut(points, offset, offset + BUCKET)))
    open_parts = parts(connection, list(all_gathered))
    decoder.load(
        connection, chain.from_iterable(open_parts.values())
    )  # the parts of a compacted run share their clocks
    open_tails = tail_rows(connection, list(all_gathered))
    for series_id, one in all_gathered.items():
        for row in open_parts.get(series_id, ()):
            if span.misses(row):
                continue
            one.points.append((row.first, decoder.points(row, one.head)))
        tail = decoder.tail(open_tails.get(series_id), one.head)
        if tail is not None:
            one.points.append((one.head.count - tail.values.size, tail))


def _chunks_cut(connection: Connection, all_gathered: Mapping[int, _Gathered]) -> list[Row[Any]]:
    """The chunks beneath level-1 buckets that an edge of the range cuts."""
    places = {
        (series_id, 0, first // CHUNK * CHUNK)
        for series_id, one in all_gathered.items()
        for first, level in one.cut
        if level == 1
    }
    return at(connection, places)
