"""A run that is over takes less room: what still waited for a full chunk is packed, and no series keeps a tail that is worth packing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, select

from runvitals.errors import UnknownRun
from runvitals.store.blocks import PARTS, Clocks, Place, SeriesHead, heads, parts, tail_points, tail_rows
from runvitals.store.bulk import drop_rows, put_rows
from runvitals.store.codec import EMPTY_TAIL, POINT_BYTES, pack_values
from runvitals.store.grow import BLOCK_COLUMNS, BLOCK_PLACE
from runvitals.store.schema import blocks, runs, tails
from runvitals.store.shared_clocks import ClockIds, drop_unused
from runvitals.store.shared_rows import RowsSeen, SharedRows
from runvitals.store.types import Floats

WORTH_PACKING = 16
"""Points from which on a block with its index entry takes less room than a tail."""


def compact(connection: Connection, run_id: str) -> None:
    """Packs each series' points that stand in no full chunk as one part, steps and times once for all series of the same rows.

    Changes nothing that can be read, and nothing at all the second time. The run may go on afterwards.
    Raises UnknownRun.
    """
    if connection.execute(select(runs.c.id).where(runs.c.id == run_id).with_for_update()).first() is None:
        raise UnknownRun(f"run {run_id}: the store has no such run")
    known = {head.id: head for head in heads(connection, run_id).values()}
    stored, waiting = parts(connection, list(known)), tail_rows(connection, list(known))
    decoder, seen, clock_ids = Clocks(), RowsSeen(), ClockIds(connection, run_id)
    decoder.load(connection, (part for some in stored.values() for part in some))
    gone: list[Place] = []
    left: set[int] = set()
    packed: list[tuple[Any, ...]] = []
    emptied: list[tuple[int]] = []
    for series_id, head in known.items():
        old, tail = stored.get(series_id, []), waiting.get(series_id, EMPTY_TAIL)
        size = sum(part.size for part in old) + len(tail) // POINT_BYTES
        if tail != EMPTY_TAIL and size < WORTH_PACKING:
            continue
        if tail != EMPTY_TAIL or len(old) > 1 or any(part.clock_id is None for part in old):
            rows, values = _joined(seen, decoder, old, tail, head)
            place = (series_id, PARTS, head.chunked, size)
            packed.append((*place, *rows.bounds, clock_ids.of(rows), None, pack_values(values)))
            gone.extend((series_id, PARTS, part.first) for part in old)
            left.update(part.clock_id for part in old if part.clock_id is not None)
        emptied.append((series_id,))
    drop_rows(connection, blocks, BLOCK_PLACE, gone)
    put_rows(connection, blocks, BLOCK_COLUMNS, packed)
    drop_unused(connection, left)
    drop_rows(connection, tails, ("series_id",), [one for one in emptied if one[0] in waiting])


def _joined(
    seen: RowsSeen, decoder: Clocks, old: Sequence[Row[Any]], tail: bytes, head: SeriesHead
) -> tuple[SharedRows, Floats]:
    """All points of a series that stand in no full chunk."""
    pieces = [decoder.points(part, head) for part in old]
    last = None if tail == EMPTY_TAIL else tail_points(tail, head)
    pieces += [] if last is None else [last]
    rows = seen.joined(tuple(seen.of(piece.steps, piece.times_s) for piece in pieces))
    return rows, np.concatenate([piece.values for piece in pieces])
