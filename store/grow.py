"""Series grow: new points go to the tail, tails to parts, parts to full chunks, full chunks to summary levels.

Each point is written to the tail while that is short, once to a part and once to a chunk, so that the cost of an append depends
on what is new and never on the length of the run (docs/store.md). What follows from steps and times alone is worked out once for all
series of the same rows (`shared_rows`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
from sqlalchemy import Connection, insert

from runvitals.collectors.records import NO_STEP
from runvitals.store.blocks import (
    BLOCK,
    CHUNK,
    PARTS,
    Clocks,
    Place,
    SeriesHead,
    at,
    bounds_of_buckets,
    buckets,
    heads,
    heads_with_tails,
    parts,
    tail_points,
    tail_with,
)
from runvitals.store.bulk import drop_rows, put_rows, set_rows
from runvitals.store.codec import EMPTY_TAIL, POINT_BYTES, pack_tail, pack_values
from runvitals.store.generations import Front
from runvitals.store.levels import BUCKET, FACTOR, Buckets, concatenated, level_one, next_level, pack_buckets
from runvitals.store.schema import blocks, series, tails
from runvitals.store.shared_clocks import ClockIds, drop_unused
from runvitals.store.shared_rows import RowsSeen, SharedRows
from runvitals.store.types import Floats, Ints, SeriesPoints

PART = 256
"""Points at which a tail becomes a part: a tail of 6 KiB is still cheap to rewrite, and sixteen parts are cheap to read."""

BLOCK_COLUMNS = tuple(column.name for column in blocks.columns)
BLOCK_PLACE = ("series_id", "level", "first")
TAIL_COLUMNS = tuple(column.name for column in tails.columns)
_HEAD_COLUMNS = (
    *("step", "time_s", "value_bits", "best_min", "best_max", "count", "nonfinite"),
    *("min_step", "max_step", "min_time_s", "max_time_s", "last_writer", "rewinds", "last_step", "id"),
)


@dataclass(frozen=True, slots=True)
class _Open:
    """Points of a series that stand in no block yet: its tail and what is new. first: index of the first of them."""

    head: SeriesHead
    first: int
    rows: SharedRows
    values: Floats


@dataclass(slots=True)
class _Plan:
    """What an append will write, gathered so that each table is written by one statement.

    blocks, gone: as BLOCK_COLUMNS and BLOCK_PLACE. left: the clocks that the parts among `gone` referred to.
    """

    clock_ids: ClockIds
    seen: RowsSeen = field(default_factory=RowsSeen)
    tails: dict[int, bytes] = field(default_factory=dict)
    blocks: list[tuple[Any, ...]] = field(default_factory=list)
    parts: list[_Open] = field(default_factory=list)
    gone: list[tuple[Any, ...]] = field(default_factory=list)
    left: set[int] = field(default_factory=set)
    marks_blobs: dict[bytes, bytes] = field(default_factory=dict)


def grow(connection: Connection, run_id: str, writer_id: str, grown: Mapping[str, SeriesPoints]) -> None:
    """Appends one writer's points to each series, creating those that are new; the caller holds the run's lock."""
    grown = {key: points for key, points in grown.items() if points.values.size}
    if not grown:
        return
    known, tail_blobs = _heads_with_new(connection, run_id, grown)
    plan = _Plan(ClockIds(connection, run_id))
    filled: list[_Open] = []
    for key, points in grown.items():
        head, tail, size = known[key], tail_blobs.get(known[key].id, EMPTY_TAIL), points.values.size
        if head.count % CHUNK + size >= CHUNK:
            filled.append(_waiting(plan.seen, head, tail, points))
        elif len(tail) // POINT_BYTES + size >= PART:
            plan.parts.append(_waiting(plan.seen, head, tail, points))
        else:
            plan.tails[head.id] = tail_with(tail, points, head)
            continue
        if tail != EMPTY_TAIL:
            plan.tails[head.id] = EMPTY_TAIL
    _fill_chunks(connection, plan, filled)
    _put_parts(plan)
    put_rows(connection, tails, TAIL_COLUMNS, list(plan.tails.items()))
    drop_rows(connection, blocks, BLOCK_PLACE, plan.gone)
    drop_unused(connection, plan.left)
    put_rows(connection, blocks, BLOCK_COLUMNS, plan.blocks)
    _move_heads(connection, known, grown, plan.seen, writer_id)


def _heads_with_new(
    connection: Connection, run_id: str, grown: Mapping[str, SeriesPoints]
) -> tuple[dict[str, SeriesHead], dict[int, bytes]]:
    """The heads of all series that grow, after inserting those that are new, and the tails that are there."""
    known, tail_blobs = heads_with_tails(connection, run_id, grown)
    new = [key for key in grown if key not in known]
    if not new:
        return known, tail_blobs
    blank = {"step": NO_STEP, "time_s": 0.0, "value_bits": 0, "count": 0, "nonfinite": 0}
    edges = {"min_step": NO_STEP, "max_step": NO_STEP, "min_time_s": 0.0, "max_time_s": 0.0}
    connection.execute(insert(series), [{"run_id": run_id, "key": key, **blank, **edges} for key in new])
    return known | heads(connection, run_id, new), tail_blobs


def _waiting(seen: RowsSeen, head: SeriesHead, tail: bytes, points: SeriesPoints) -> _Open:
    """The tail of a series and its new points."""
    rows = seen.of(points.steps, points.times_s)
    old = None if tail == EMPTY_TAIL else tail_points(tail, head)
    if old is None:
        return _Open(head, head.count, rows, points.values)
    rows = seen.joined((seen.of(old.steps, old.times_s), rows))
    return _Open(head, head.count - old.values.size, rows, np.concatenate((old.values, points.values)))


def _put_parts(plan: _Plan) -> None:
    """Plans the parts of open chunks. Those of the same rows share a clock; a part alone in its rows has steps and times beside it."""
    sharing = Counter(part.rows for part in plan.parts)
    for part in plan.parts:
        rows = part.rows
        clock = (None, rows.blob) if sharing[rows] == 1 else (plan.clock_ids.of(rows), None)
        plan.blocks.append((part.head.id, PARTS, part.first, len(rows), *rows.bounds, *clock, pack_values(part.values)))


def _fill_chunks(connection: Connection, plan: _Plan, filled: Sequence[_Open]) -> None:
    """Turns parts, tail and new points of each series into full chunks, their summaries, and what is left over."""
    open_parts = parts(connection, [waiting.head.id for waiting in filled])
    decoder = Clocks()
    decoder.load(connection, chain.from_iterable(open_parts.values()))
    fresh: dict[int, tuple[SeriesHead, Buckets]] = {}
    for waiting in filled:
        head = waiting.head
        stored = open_parts.get(head.id, [])
        plan.gone.extend((head.id, PARTS, part.first) for part in stored)
        plan.left.update(part.clock_id for part in stored if part.clock_id is not None)
        pieces = [decoder.points(part, head) for part in stored]
        rows = plan.seen.joined((*(plan.seen.of(piece.steps, piece.times_s) for piece in pieces), waiting.rows))
        values = np.concatenate([*(piece.values for piece in pieces), waiting.values])
        full = values.size // CHUNK * CHUNK
        for start in range(0, full, CHUNK):
            _put_chunk(plan, head, start, rows.cut(start, start + CHUNK), values[start : start + CHUNK])
        _put_rest(plan, _Open(head, head.chunked + full, rows.cut(full, values.size), values[full:]))
        whole = rows.cut(0, full)
        points = SeriesPoints(steps=whole.steps, times_s=whole.times_s, values=values[:full])
        fresh[head.id] = (head, level_one(points, whole.marks))
    _raise_levels(connection, plan, fresh)


def _put_chunk(plan: _Plan, head: SeriesHead, offset: int, rows: SharedRows, values: Floats) -> None:
    """Plans a full chunk; its steps and times are stored once for all series that share them."""
    place = (head.id, 0, head.chunked + offset, CHUNK)
    plan.blocks.append((*place, *rows.bounds, plan.clock_ids.of(rows), None, pack_values(values)))


def _put_rest(plan: _Plan, rest: _Open) -> None:
    """Plans what is left over after the last full chunk: a tail where it is short, else a part."""
    if len(rest.rows) >= PART:
        plan.parts.append(rest)
    elif len(rest.rows):
        points = SeriesPoints(steps=rest.rows.steps, times_s=rest.rows.times_s, values=rest.values)
        plan.tails[rest.head.id] = pack_tail(points)


def _raise_levels(connection: Connection, plan: _Plan, fresh: dict[int, tuple[SeriesHead, Buckets]]) -> None:
    """Appends new buckets level by level: a block that gets full gives the level above its next buckets."""
    level = 1
    before = {series_id: head.chunked // BUCKET for series_id, (head, _) in fresh.items()}
    while fresh:
        places: list[Place] = [(one, level, before[one] // BLOCK * BLOCK) for one in fresh if before[one] % BLOCK]
        opened = {row.series_id: row for row in at(connection, places)}
        known: dict[bytes, Ints] = {}
        raised: dict[int, tuple[SeriesHead, Buckets]] = {}
        for series_id, (head, new) in fresh.items():
            row = opened.get(series_id)
            found = concatenated([buckets(row, head, known), new] if row is not None else [new])
            first = before[series_id] // BLOCK * BLOCK
            for offset in range(0, len(found), BLOCK):
                _put_buckets(plan, (series_id, level, first + offset), found.picked(slice(offset, offset + BLOCK)))
            full = len(found) // BLOCK * BLOCK
            if full:
                raised[series_id] = (head, next_level(found.picked(slice(0, full))))
                before[series_id] = first // FACTOR
        plan.gone.extend(places)
        fresh = raised
        level += 1


def _put_buckets(plan: _Plan, place: Place, found: Buckets) -> None:
    """Plans a block of buckets."""
    marks, values = pack_buckets(found, plan.marks_blobs)
    plan.blocks.append((*place, len(found), *bounds_of_buckets(found).values(), None, marks, values))


def _move_heads(
    connection: Connection,
    known: Mapping[str, SeriesHead],
    grown: Mapping[str, SeriesPoints],
    seen: RowsSeen,
    writer_id: str,
) -> None:
    """Writes newest points, extremes and counts of the series that grew, those of the same rows together."""
    keys_by_rows: dict[SharedRows, list[str]] = {}
    for key, points in grown.items():
        keys_by_rows.setdefault(seen.of(points.steps, points.times_s), []).append(key)
    moved: list[tuple[Any, ...]] = []
    for rows, keys in keys_by_rows.items():
        values = np.stack([grown[key].values for key in keys])
        moved += _heads_after([known[key] for key in keys], rows, values, writer_id)
    set_rows(connection, series, _HEAD_COLUMNS, moved)


def _heads_after(
    before: Sequence[SeriesHead], rows: SharedRows, values: Floats, writer_id: str
) -> list[tuple[Any, ...]]:
    """The changed columns, as _HEAD_COLUMNS, of series that grew by the same rows. values: (series, rows)."""
    finite = np.isfinite(values)
    lows = np.where(finite, values, np.inf).min(axis=1).tolist()
    highs = np.where(finite, values, -np.inf).max(axis=1).tolist()
    finites = np.count_nonzero(finite, axis=1).tolist()
    newest = np.ascontiguousarray(values[:, -1]).view(np.int64).tolist()
    newest_step, newest_s, size = int(rows.steps[-1]), float(rows.times_s[-1]), len(rows)
    low_s, high_s = rows.bounds[2:]
    fronts: dict[tuple[str, int, bytes | None, int], Front] = {}
    moved = []
    for head, low, high, known, bits in zip(before, lows, highs, finites, newest, strict=True):
        front = (head.last_writer, head.last_step, head.rewinds)
        if (*front, head.count) not in fronts:
            fronts[*front, head.count] = Front(*front).moved(writer_id, rows.steps, first=head.count)
        after = fronts[*front, head.count]
        moved.append(
            (
                *(newest_step, newest_s, bits),
                _within(min, head.best_min, low if known else None),
                _within(max, head.best_max, high if known else None),
                head.count + size,
                head.nonfinite + size - known,
                *_steps_after(head, rows),
                *((min(head.min_time_s, low_s), max(head.max_time_s, high_s)) if head.count else (low_s, high_s)),
                *(after.last_writer, after.rewinds, after.last_step),
                head.id,
            )
        )
    return moved


def _within(pick: Callable[[float, float], float], one: float | None, other: float | None) -> float | None:
    """The lower or the higher of two numbers that may be missing."""
    if one is None or other is None:
        return other if one is None else one
    return pick(one, other)


def _steps_after(head: SeriesHead, rows: SharedRows) -> tuple[int, int]:
    """The lowest and highest step of a series that grew by these rows; NO_STEP where none has one."""
    if rows.step_range is None:
        return head.min_step, head.max_step
    low, high = rows.step_range
    return (low if head.min_step == NO_STEP else min(head.min_step, low)), max(head.max_step, high)
