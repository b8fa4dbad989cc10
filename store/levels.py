"""Summaries of stretches of a series: built on the way in, read instead of the points where a chart has fewer pixels than points.

Level 1 has a bucket for each 64 points, and each further level one for each eight of the level below. Nothing is dropped on the way up:
extremes, sums, counts and the kinds of non-finite values of a bucket are those of its points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runvitals.collectors.records import NONE_BITS
from runvitals.store.codec import CodecError, pack, unpack
from runvitals.store.types import Floats, Ints, SeriesPoints

BUCKET = 64
"""Points of a level-1 bucket: 120 bytes of summary a bucket before compression, under a byte a point after it."""

FACTOR = 8
"""Buckets of one level that make one of the next: a chart of n pixels then reads between n/2 and 4n buckets."""

KIND_NAN, KIND_PLUS_INF, KIND_MINUS_INF, KIND_NONE = 1, 2, 4, 8
"""Bits of `kinds`: which non-finite values a bucket holds."""

_MARKS = 12
_VALUES = 4


def bucket_points(level: int) -> int:
    """Points of one bucket of a level; 1 for level 0, the points themselves."""
    return BUCKET * FACTOR ** (level - 1) if level else 1


@dataclass(frozen=True, slots=True)
class Buckets:
    """Summaries of consecutive stretches.

    marks: (12, n) int64, in the order of the properties below; times and means as float64 bits.
    values: (4, n) float64: low, high and last over finite values (NaN where there is none), and their sum.
    `step_*` are over all points, NO_STEP included; `stepped` counts the points that have a step.
    """

    marks: Ints
    values: Floats

    def __len__(self) -> int:
        return int(self.marks.shape[1])

    def _mark(self, row: int) -> Ints:
        found: Ints = self.marks[row]
        return found

    def _value(self, row: int) -> Floats:
        found: Floats = self.values[row]
        return found

    @property
    def count(self) -> Ints:
        return self._mark(0)

    @property
    def stepped(self) -> Ints:
        return self._mark(1)

    @property
    def nonfinite(self) -> Ints:
        return self._mark(2)

    @property
    def kinds(self) -> Ints:
        return self._mark(3)

    @property
    def step_min(self) -> Ints:
        return self._mark(4)

    @property
    def step_max(self) -> Ints:
        return self._mark(5)

    @property
    def step_last(self) -> Ints:
        return self._mark(6)

    @property
    def step_mean(self) -> Floats:
        return self._mark(7).view(np.float64)

    @property
    def time_min(self) -> Floats:
        return self._mark(8).view(np.float64)

    @property
    def time_max(self) -> Floats:
        return self._mark(9).view(np.float64)

    @property
    def time_last(self) -> Floats:
        return self._mark(10).view(np.float64)

    @property
    def time_mean(self) -> Floats:
        return self._mark(11).view(np.float64)

    @property
    def low(self) -> Floats:
        return self._value(0)

    @property
    def high(self) -> Floats:
        return self._value(1)

    @property
    def last(self) -> Floats:
        return self._value(2)

    @property
    def total(self) -> Floats:
        return self._value(3)

    def picked(self, which: NDArray[np.bool_] | NDArray[np.intp] | slice) -> Buckets:
        """The buckets that an index or a mask names."""
        return Buckets(self.marks[:, which], self.values[:, which])


EMPTY = Buckets(np.empty((_MARKS, 0), np.int64), np.empty((_VALUES, 0)))


def concatenated(parts: list[Buckets]) -> Buckets:
    """All buckets, one after the other."""
    if not parts:
        return EMPTY
    return Buckets(
        np.concatenate([part.marks for part in parts], axis=1), np.concatenate([part.values for part in parts], axis=1)
    )


def kinds_of(values: Floats) -> Ints:
    """(n,) int64 bit set for each value; 0 where it is finite."""
    nan = np.isnan(values)
    none = nan & (values.view(np.int64) == NONE_BITS)
    return (
        np.where(none, KIND_NONE, 0)
        + np.where(nan & ~none, KIND_NAN, 0)
        + np.where(values == np.inf, KIND_PLUS_INF, 0)
        + np.where(values == -np.inf, KIND_MINUS_INF, 0)
    ).astype(np.int64)


def summarised(points: SeriesPoints, starts: NDArray[np.intp], rows: Ints | None = None) -> Buckets:
    """One bucket for each stretch of points that begins at an index of `starts`: (m,) increasing, the first 0.

    rows: what `marks_of_rows` gives for the same rows and starts, where it is known from another series.
    """
    ends = np.append(starts[1:], points.values.size) - 1
    marks = marks_of_rows(points.steps, points.times_s, starts) if rows is None else rows.copy()
    marks[2:4], values = _values_of(points.values, starts, ends)
    return Buckets(marks, values)


def marks_of_rows(steps: Ints, times_s: Floats, starts: NDArray[np.intp]) -> Ints:
    """The marks that follow from steps and times alone, the same for all series of the same rows; those of the values are left 0."""
    ends = np.append(starts[1:], steps.size) - 1
    marks = np.zeros((_MARKS, starts.size), np.int64)
    marks[0] = ends - starts + 1
    marks[1] = np.add.reduceat((steps >= 0).astype(np.int64), starts)
    marks[4] = np.minimum.reduceat(steps, starts)
    marks[5] = np.maximum.reduceat(steps, starts)
    marks[6] = steps[ends]
    marks[7] = means_over(steps.astype(np.float64), starts).view(np.int64)
    marks[8] = np.minimum.reduceat(times_s, starts).view(np.int64)
    marks[9] = np.maximum.reduceat(times_s, starts).view(np.int64)
    marks[10] = times_s[ends].view(np.int64)
    marks[11] = means_over(times_s, starts).view(np.int64)
    return marks


def _values_of(values: Floats, starts: NDArray[np.intp], ends: NDArray[np.intp]) -> tuple[Ints, Floats]:
    """Rows 2 and 3 of the marks (nonfinite, kinds) and the values of buckets over stretches of points."""
    marks = np.zeros((2, starts.size), np.int64)
    held = np.empty((_VALUES, starts.size))
    finite = np.isfinite(values)
    with np.errstate(over="ignore", invalid="ignore"):  # sums near the end of float64: the reader clips the mean
        if finite.all():
            held[0], held[1] = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
            held[2], held[3] = values[ends], np.add.reduceat(values, starts)
            return marks, held
        marks[0] = np.add.reduceat((~finite).astype(np.int64), starts)
        marks[1] = np.bitwise_or.reduceat(kinds_of(values), starts)
        known = np.where(finite, values, np.nan)
        held[0], held[1] = np.fmin.reduceat(known, starts), np.fmax.reduceat(known, starts)
        held[2] = _last_known(known, starts)
        held[3] = np.add.reduceat(np.where(finite, values, 0.0), starts)
    return marks, held


def _last_known(values: Floats, starts: NDArray[np.intp]) -> Floats:
    """The last value of each stretch that is not NaN; NaN where there is none."""
    index = np.maximum.reduceat(np.where(np.isnan(values), -1, np.arange(values.size)), starts)
    last: Floats = np.where(index < starts, np.nan, values[index])
    return last


def merged(buckets: Buckets, starts: NDArray[np.intp]) -> Buckets:
    """One bucket for each stretch that begins at an index of `starts`: (m,) increasing, the first 0."""
    ends = np.append(starts[1:], len(buckets)) - 1
    marks = np.empty((_MARKS, starts.size), np.int64)
    marks[0:3] = np.add.reduceat(buckets.marks[0:3], starts, axis=1)
    marks[3] = np.bitwise_or.reduceat(buckets.kinds, starts)
    marks[4] = np.minimum.reduceat(buckets.step_min, starts)
    marks[5] = np.maximum.reduceat(buckets.step_max, starts)
    marks[6] = buckets.step_last[ends]
    marks[7] = means_over(buckets.step_mean, starts, buckets.count).view(np.int64)
    marks[8] = np.minimum.reduceat(buckets.time_min, starts).view(np.int64)
    marks[9] = np.maximum.reduceat(buckets.time_max, starts).view(np.int64)
    marks[10] = buckets.time_last[ends].view(np.int64)
    marks[11] = means_over(buckets.time_mean, starts, buckets.count).view(np.int64)
    values = np.empty((_VALUES, starts.size))
    values[0] = np.fmin.reduceat(buckets.low, starts)
    values[1] = np.fmax.reduceat(buckets.high, starts)
    values[2] = _last_known(buckets.last, starts)
    with np.errstate(over="ignore", invalid="ignore"):
        values[3] = np.add.reduceat(buckets.total, starts)
    return Buckets(marks, values)


def means_over(values: Floats, starts: NDArray[np.intp], weights: Ints | None = None) -> Floats:
    """The mean of each stretch, each value counting once or by its weight.

    Taken from the first value on, because times of 1.7e9 s would cost the sum its last digits.
    """
    shifted = values - values[0]
    if weights is None:
        sums, weight = np.add.reduceat(shifted, starts), np.diff(starts, append=values.size)
    else:
        sums, weight = np.add.reduceat(shifted * weights, starts), np.add.reduceat(weights, starts)
    found: Floats = values[0] + sums / weight
    return found


def level_one(chunk: SeriesPoints, rows: Ints | None = None) -> Buckets:
    """The level-1 buckets of full chunks. rows: as for `summarised`."""
    return summarised(chunk, np.arange(0, chunk.values.size, BUCKET), rows)


def next_level(buckets: Buckets) -> Buckets:
    """The buckets of the level above, from a whole number of FACTOR buckets."""
    return merged(buckets, np.arange(0, len(buckets), FACTOR))


def pack_buckets(buckets: Buckets, known: dict[bytes, bytes] | None = None) -> tuple[bytes, bytes]:
    """Two blobs: marks and values.

    known: the blobs of marks packed before, which is added to: finite series of the same rows have the same marks.
    """
    known = {} if known is None else known
    plain = buckets.marks.tobytes()
    if plain not in known:
        known[plain] = pack(buckets.marks, delta=True)
    return known[plain], pack(buckets.values.view(np.int64), delta=False)


def unpack_buckets(marks: bytes, values: bytes, known: dict[bytes, Ints] | None = None) -> Buckets:
    """The buckets that `pack_buckets` took. known: the marks unpacked before, by blob, which is added to. Raises CodecError."""
    known = {} if known is None else known
    if marks not in known:
        known[marks] = unpack(marks, rows=_MARKS, delta=True)
    buckets = Buckets(known[marks], unpack(values, rows=_VALUES, delta=False).view(np.float64))
    if buckets.marks.shape[1] != buckets.values.shape[1]:
        raise CodecError(
            f"expected as many marks as values, got {buckets.marks.shape[1]} and {buckets.values.shape[1]}"
        )
    return buckets
