"""Blocks of a series in the database: which are needed, and their bytes turned to points or buckets."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeVar

import numpy as np
from sqlalchemy import Connection, Row, bindparam, select

from runvitals.store.codec import CodecError, longer_tail, unpack_clock, unpack_tail, unpack_values
from runvitals.store.levels import Buckets, unpack_buckets
from runvitals.store.schema import blocks, clocks, series, tails
from runvitals.store.types import Floats, Ints, Latest, SeriesPoints

CHUNK = 4096
"""Points of a full chunk: measured between 1,024 (a third more bytes) and 16,384 (a zoom decodes too much)."""

BLOCK = 512
"""Buckets of a full summary block: 64 KiB before compression."""

PARTS = -1
"""Level of the parts of the chunk that is not full yet."""

Place = tuple[int, int, int]
"""Series id, level and first index: where a block belongs."""

_PARAMETERS_A_QUERY = 10_000
"""SQLite takes 32,766 parameters a statement; no query of ours has more than three lists."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class SeriesHead:
    """One row of the table `series`: what is known of a series without reading its blocks."""

    id: int
    run_id: str
    key: str
    step: int
    time_s: float
    value_bits: int
    best_min: float | None
    best_max: float | None
    count: int
    nonfinite: int
    min_step: int
    max_step: int
    min_time_s: float
    max_time_s: float
    last_writer: str
    rewinds: bytes | None
    last_step: int

    @property
    def chunked(self) -> int:
        """Points that stand in full chunks."""
        return self.count // CHUNK * CHUNK

    def latest(self) -> Latest:
        """The newest point and the extremes, as callers get them."""
        return Latest(
            step=self.step,
            time_s=self.time_s,
            value=float_of_bits(self.value_bits),
            best_min=np.nan if self.best_min is None else self.best_min,
            best_max=np.nan if self.best_max is None else self.best_max,
            count=self.count,
            nonfinite=self.nonfinite,
        )


def float_of_bits(bits: int) -> float:
    """The float64 with these bits, NaN payload included."""
    return float(np.int64(bits).view(np.float64))


_SERIES_OF_RUN = select(series).where(series.c.run_id == bindparam("run"))
_NAMES = select(series.c.key).where(series.c.run_id == bindparam("run"))
_WITH_TAILS = (
    select(series, tails.c.data)
    .outerjoin_from(series, tails, tails.c.series_id == series.c.id)
    .where((series.c.run_id == bindparam("run")) & series.c.key.in_(bindparam("keys", expanding=True)))
)
_SERIES_NAMED = _SERIES_OF_RUN.where(series.c.key.in_(bindparam("keys", expanding=True)))
_PARTS_OF = (
    select(blocks)
    .where(blocks.c.series_id.in_(bindparam("ids", expanding=True)) & (blocks.c.level == PARTS))
    .order_by(blocks.c.series_id, blocks.c.first)
)
_AT = select(blocks).where(
    blocks.c.series_id.in_(bindparam("ids", expanding=True))
    & (blocks.c.level == bindparam("level"))
    & blocks.c.first.in_(bindparam("firsts", expanding=True))
)
_CLOCKS = select(clocks.c.id, clocks.c.data).where(clocks.c.id.in_(bindparam("ids", expanding=True)))
_TAILS_OF = select(tails).where(tails.c.series_id.in_(bindparam("ids", expanding=True)))


def heads(connection: Connection, run_id: str, keys: Iterable[str] | None = None) -> dict[str, SeriesHead]:
    """The series of a run, or those of the keys that it has."""
    wanted = None if keys is None else list(keys)
    if wanted is None or len(wanted) > _PARAMETERS_A_QUERY:
        rows = connection.execute(_SERIES_OF_RUN, {"run": run_id}).all()
    else:
        rows = connection.execute(_SERIES_NAMED, {"run": run_id, "keys": wanted}).all()
    return {row.key: SeriesHead(*row) for row in rows}


def names(connection: Connection, run_id: str) -> list[str]:
    """The keys of the run's series, sorted."""
    return sorted(connection.execute(_NAMES, {"run": run_id}).scalars())


def heads_with_tails(
    connection: Connection, run_id: str, keys: Iterable[str]
) -> tuple[dict[str, SeriesHead], dict[int, bytes]]:
    """The series of a run that the keys name, and by series id the tail blob of each that has one."""
    found: dict[str, SeriesHead] = {}
    blobs: dict[int, bytes] = {}
    for some in batched(list(keys)):
        for *columns, blob in connection.execute(_WITH_TAILS, {"run": run_id, "keys": some}).all():
            head = SeriesHead(*columns)
            found[head.key] = head
            if blob is not None:
                blobs[head.id] = blob
    return found, blobs


def at(connection: Connection, places: Collection[Place]) -> list[Row[Any]]:
    """The blocks that stand at these places.

    Asked level by level as ids × firsts, which both databases answer from the index; SQLite scans the table for a list of triples.
    """
    found: list[Row[Any]] = []
    wanted = sorted(places, key=lambda place: (place[1], place[0]))
    for level, of_level in groupby(wanted, key=lambda place: place[1]):
        for some in batched([(series_id, first) for series_id, _, first in of_level]):
            asked = {
                "ids": list({series_id for series_id, _ in some}),
                "level": level,
                "firsts": list({first for _, first in some}),
            }
            exact = set(some)
            found.extend(row for row in connection.execute(_AT, asked) if (row.series_id, row.first) in exact)
    return found


def batched(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """The items, as many at a time as a statement takes."""
    for offset in range(0, len(items), _PARAMETERS_A_QUERY):
        yield items[offset : offset + _PARAMETERS_A_QUERY]


def parts(connection: Connection, series_ids: Sequence[int]) -> dict[int, list[Row[Any]]]:
    """The parts of each series' open chunk, in order."""
    found: dict[int, list[Row[Any]]] = {}
    for some in batched(series_ids):
        for row in connection.execute(_PARTS_OF, {"ids": some}).all():
            found.setdefault(row.series_id, []).append(row)
    return found


def tail_rows(connection: Connection, series_ids: Sequence[int]) -> dict[int, bytes]:
    """The tail blob of each series that has one."""
    found: dict[int, bytes] = {}
    for some in batched(series_ids):
        found.update((series_id, data) for series_id, data in connection.execute(_TAILS_OF, {"ids": some}).all())
    return found


def tail_points(blob: bytes | None, head: SeriesHead) -> SeriesPoints | None:
    """The points of a tail, None where the series has no tail row. Raises CodecError that names the series."""
    if blob is None:
        return None
    try:
        return unpack_tail(blob)
    except CodecError as error:
        raise _named(error, head) from error


def tail_with(blob: bytes, points: SeriesPoints, head: SeriesHead) -> bytes:
    """A tail with more points at its end. Raises CodecError that names the series."""
    try:
        return longer_tail(blob, points)
    except CodecError as error:
        raise _named(error, head) from error


class Clocks:
    """Steps and times of chunks, each read and decoded once in a transaction however many series share it."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Ints, Floats]] = {}
        self._inline: dict[bytes, tuple[Ints, Floats]] = {}

    def load(self, connection: Connection, rows: Iterable[Row[Any]]) -> None:
        """Reads the clocks that rows refer to and that are not known yet. Raises CodecError."""
        missing = list({row.clock_id for row in rows if row.clock_id is not None} - self._known.keys())
        for some in batched(missing):
            for number, data in connection.execute(_CLOCKS, {"ids": some}).all():
                self._known[number] = unpack_clock(data)

    def of(self, row: Row[Any]) -> tuple[Ints, Floats]:
        """Steps and times of a block of points. Raises CodecError."""
        if row.clock_id is None:
            if row.clock not in self._inline:
                self._inline[row.clock] = unpack_clock(row.clock)
            return self._inline[row.clock]
        if row.clock_id not in self._known:
            raise CodecError(f"the steps and times numbered {row.clock_id} are missing")
        return self._known[row.clock_id]

    def tail(self, blob: bytes | None, head: SeriesHead) -> SeriesPoints | None:
        """What `tail_points` gives; tails of the same rows share their steps and times."""
        points = tail_points(blob, head)
        if blob is None or points is None:
            return None
        rows = blob[: 1 + 16 * points.values.size]
        steps, times_s = self._inline.setdefault(rows, (points.steps, points.times_s))
        return SeriesPoints(steps=steps, times_s=times_s, values=points.values)

    def points(self, row: Row[Any], head: SeriesHead) -> SeriesPoints:
        """The points of a block of level 0 or PARTS. Raises CodecError that names the series."""
        try:
            steps, times_s = self.of(row)
            points = SeriesPoints(steps=steps, times_s=times_s, values=unpack_values(row.data))
            if not points.steps.size == points.values.size == row.size:
                raise CodecError(f"expected {row.size} points, got {points.values.size}")
        except CodecError as error:
            raise _named(error, head) from error
        return points


def buckets(row: Row[Any], head: SeriesHead, known: dict[bytes, Ints] | None = None) -> Buckets:
    """The buckets of a block of level 1 and up. known: as for `unpack_buckets`. Raises CodecError that names the series."""
    try:
        found = unpack_buckets(row.clock, row.data, known)
        if len(found) != row.size:
            raise CodecError(f"expected {row.size} buckets, got {len(found)}")
    except CodecError as error:
        raise _named(error, head) from error
    return found


def _named(error: CodecError, head: SeriesHead) -> CodecError:
    return CodecError(f"series {head.key!r} of run {head.run_id!r} is damaged ({error})")


def bounds_of_buckets(found: Buckets) -> Mapping[str, Any]:
    """The range columns of a block of buckets."""
    return {
        "min_step": int(found.step_min.min()),
        "max_step": int(found.step_max.max()),
        "min_time_s": float(found.time_min.min()),
        "max_time_s": float(found.time_max.max()),
    }
