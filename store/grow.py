"""Series grow: new points go to the tail, tails to parts, parts to full chunks, full chunks to summary levels.

Each point is written to the tail while that is short, once to a part and once to a chunk, so that the cost of an append depends
on what is new and never on the length of the run (docs/store.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, bindparam, delete, insert, update

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
    bounds_of_points,
    buckets,
    heads,
    parts,
    remove,
    tail_points,
    tail_rows,
)
from runvitals.store.codec import cut, joined, pack_clock, pack_tail, pack_values
from runvitals.store.database import Database
from runvitals.store.generations import Front
from runvitals.store.levels import FACTOR, Buckets, concatenated, level_one, next_level, pack_buckets
from runvitals.store.schema import blocks, clocks, series, tails
from runvitals.store.types import SeriesPoints

PART = 256
"""Points at which a tail becomes a part: a tail of 6 KiB is still cheap to rewrite, and sixteen parts are cheap to read."""


@dataclass(slots=True)
class _Plan:
    """What an append will write, gathered so that each table is written by one statement."""

    run_id: str
    tails: list[dict[str, Any]]
    blocks: list[dict[str, Any]]
    clock_blobs: dict[bytes, bytes]
    clock_ids: dict[bytes, int]


def grow(
    database: Database, connection: Connection, run_id: str, writer_id: str, grown: Mapping[str, SeriesPoints]
) -> None:
    """Appends one writer's points to each series, creating those that are new; the caller holds the run's lock."""
    grown = {key: points for key, points in grown.items() if points.values.size}
    if not grown:
        return
    known = _heads_with_new(connection, run_id, grown)
    plan = _Plan(run_id, [], [], {}, {})
    tail_blobs = tail_rows(connection, [head.id for head in known.values()])
    filled: dict[int, tuple[SeriesHead, SeriesPoints]] = {}
    for key, points in grown.items():
        head = known[key]
        tail = tail_points(tail_blobs.get(head.id), head)
        waiting = joined([points] if tail is None else [tail, points])
        if head.count - head.chunked + points.values.size >= CHUNK:
            filled[head.id] = (head, waiting)
        else:
            _put_open(plan, head.id, head.count + points.values.size - waiting.values.size, waiting)
    _fill_chunks(connection, plan, filled)
    database.upsert(connection, tails, plan.tails)
    if plan.blocks:
        connection.execute(insert(blocks), plan.blocks)
    _update_heads(connection, known, writer_id, grown)


def _heads_with_new(connection: Connection, run_id: str, grown: Mapping[str, SeriesPoints]) -> dict[str, SeriesHead]:
    """The heads of all series that grow, after inserting those that are new."""
    known = heads(connection, run_id, grown)
    new = [key for key in grown if key not in known]
    if not new:
        return known
    blank = {"step": NO_STEP, "time_s": 0.0, "value_bits": 0, "count": 0, "nonfinite": 0}
    edges = {"min_step": NO_STEP, "max_step": NO_STEP, "min_time_s": 0.0, "max_time_s": 0.0}
    connection.execute(insert(series), [{"run_id": run_id, "key": key, **blank, **edges} for key in new])
    return heads(connection, run_id, grown)


def _put_open(plan: _Plan, series_id: int, first: int, points: SeriesPoints) -> None:
    """Plans the points of an open chunk's end: a tail where they are few, else a part and an empty tail."""
    if points.values.size >= PART:
        plan.blocks.append(
            {
                "series_id": series_id,
                "level": PARTS,
                "first": first,
                "size": points.values.size,
                **bounds_of_points(points),
                "clock_id": None,
                "clock": _clock_blob(plan, points),
                "data": pack_values(points.values),
            }
        )
        points = cut(points, 0, 0)
    plan.tails.append({"series_id": series_id, "data": pack_tail(points)})


def _clock_blob(plan: _Plan, points: SeriesPoints) -> bytes:
    """The packed steps and times, packed once for all series that were logged in the same rows."""
    plain = points.steps.tobytes() + points.times_s.tobytes()
    if plain not in plan.clock_blobs:
        plan.clock_blobs[plain] = pack_clock(points.steps, points.times_s)
    return plan.clock_blobs[plain]


def _fill_chunks(connection: Connection, plan: _Plan, filled: Mapping[int, tuple[SeriesHead, SeriesPoints]]) -> None:
    """Turns parts, tail and new points of each series into full chunks, their summaries, and what is left over."""
    if not filled:
        return
    open_parts = parts(connection, list(filled))
    decoder = Clocks()
    fresh: dict[int, tuple[SeriesHead, Buckets]] = {}
    for series_id, (head, waiting) in filled.items():
        points = joined([*(decoder.points(row, head) for row in open_parts.get(series_id, ())), waiting])
        full = points.values.size // CHUNK * CHUNK
        for offset in range(0, full, CHUNK):
            _put_chunk(connection, plan, head, offset, cut(points, offset, offset + CHUNK))
        _put_open(plan, series_id, head.chunked + full, cut(points, full))
        fresh[series_id] = (head, level_one(cut(points, 0, full)))
    gone = [{"gone_id": series_id} for series_id in open_parts]
    if gone:
        mine = (blocks.c.series_id == bindparam("gone_id")) & (blocks.c.level == PARTS)
        connection.execute(delete(blocks).where(mine), gone)
    _raise_levels(connection, plan, fresh)


def _put_chunk(connection: Connection, plan: _Plan, head: SeriesHead, offset: int, chunk: SeriesPoints) -> None:
    """Plans a full chunk; its steps and times are stored once for all series that share them."""
    blob = _clock_blob(plan, chunk)
    if blob not in plan.clock_ids:
        added = insert(clocks).values(run_id=plan.run_id, data=blob).returning(clocks.c.id)
        plan.clock_ids[blob] = connection.execute(added).scalar_one()
    plan.blocks.append(
        {
            "series_id": head.id,
            "level": 0,
            "first": head.chunked + offset,
            "size": CHUNK,
            **bounds_of_points(chunk),
            "clock_id": plan.clock_ids[blob],
            "clock": None,
            "data": pack_values(chunk.values),
        }
    )


def _raise_levels(connection: Connection, plan: _Plan, fresh: dict[int, tuple[SeriesHead, Buckets]]) -> None:
    """Appends new buckets level by level: a block that gets full gives the level above its next buckets."""
    level = 1
    before = {series_id: head.chunked // CHUNK * (CHUNK // 64) for series_id, (head, _) in fresh.items()}
    while fresh:
        places: list[Place] = [(one, level, before[one] // BLOCK * BLOCK) for one in fresh if before[one] % BLOCK]
        opened = {row.series_id: row for row in at(connection, places)}
        raised: dict[int, tuple[SeriesHead, Buckets]] = {}
        for series_id, (head, new) in fresh.items():
            row = opened.get(series_id)
            found = concatenated([buckets(row, head), new] if row is not None else [new])
            first = before[series_id] // BLOCK * BLOCK
            for offset in range(0, len(found), BLOCK):
                _put_buckets(plan, (series_id, level, first + offset), found.picked(slice(offset, offset + BLOCK)))
            full = len(found) // BLOCK * BLOCK
            if full:
                raised[series_id] = (head, next_level(found.picked(slice(0, full))))
                before[series_id] = first // FACTOR
        remove(connection, places)
        fresh = raised
        level += 1


def _put_buckets(plan: _Plan, place: Place, found: Buckets) -> None:
    """Plans a block of buckets."""
    marks, values = pack_buckets(found)
    series_id, level, first = place
    plan.blocks.append(
        {
            "series_id": series_id,
            "level": level,
            "first": first,
            "size": len(found),
            **bounds_of_buckets(found),
            "clock_id": None,
            "clock": marks,
            "data": values,
        }
    )


def _update_heads(
    connection: Connection, known: Mapping[str, SeriesHead], writer_id: str, grown: Mapping[str, SeriesPoints]
) -> None:
    """Writes newest points, extremes and counts of the series that grew."""
    rows = [_head_after(known[key], writer_id, points) for key, points in grown.items()]
    names = [name for name in rows[0] if name != "row_id"]
    changed = update(series).where(series.c.id == bindparam("row_id"))
    connection.execute(changed.values({name: bindparam(name) for name in names}), rows)


def _head_after(head: SeriesHead, writer_id: str, points: SeriesPoints) -> dict[str, Any]:
    """The changed columns of a series after it grew by points."""
    values = points.values
    finite = values[np.isfinite(values)]
    stepped = points.steps[points.steps >= 0]
    old_steps = [step for step in (head.min_step, head.max_step) if step >= 0]
    steps = [*old_steps, *((int(stepped.min()), int(stepped.max())) if stepped.size else ())]
    times = [float(points.times_s.min()), float(points.times_s.max())]
    if head.count:
        times += [head.min_time_s, head.max_time_s]
    lows = [*([] if head.best_min is None else [head.best_min]), *([float(finite.min())] if finite.size else [])]
    highs = [*([] if head.best_max is None else [head.best_max]), *([float(finite.max())] if finite.size else [])]
    front = Front(head.last_writer, head.last_step, head.rewinds).moved(writer_id, points.steps, first=head.count)
    return {
        "row_id": head.id,
        "step": int(points.steps[-1]),
        "time_s": float(points.times_s[-1]),
        "value_bits": int(np.ascontiguousarray(values[-1:]).view(np.int64)[0]),
        "best_min": min(lows, default=None),
        "best_max": max(highs, default=None),
        "count": head.count + values.size,
        "nonfinite": head.nonfinite + values.size - finite.size,
        "min_step": min(steps, default=NO_STEP),
        "max_step": max(steps, default=NO_STEP),
        "min_time_s": min(times),
        "max_time_s": max(times),
        "last_writer": front.last_writer,
        "rewinds": front.rewinds,
        "last_step": front.last_step,
    }
