"""Lossless blobs: arrays of steps, times and values to bytes and back.

Numbers are shuffled (all first bytes, then all second bytes, …) so that the compressor sees the slowly changing
sign and exponent bytes side by side; steps and times are differenced first, as the bit patterns they are, so NaN payloads and
signed zeros come back bit for bit. Every blob begins with a version byte; the frame carries a checksum, so a damaged blob is
noticed and never drawn.
"""

from __future__ import annotations

import threading

import numpy as np
import zstandard
from numpy.typing import NDArray

from runvitals.store.types import Floats, Ints, SeriesPoints

PACKED = 1
"""Version byte of a shuffled, compressed blob."""

PLAIN = 2
"""Version byte of a blob of bare arrays: the tail, rewritten at nearly every append, where compressing costs more than it saves."""

COMPRESSION_LEVEL = 1
"""zstandard's fastest positive level: level 3 takes half as long again and saves under 2 % on noisy float64 (benchmarks)."""

PLANES_FROM = 2048
"""Words from which on each byte plane is a block of its own in the frame, and so has a code of its own: on 4,096 noisy float64
2.9 instead of 3.5 bytes a value and a third faster to read; below, the eight blocks cost more time than they save bytes."""

EMPTY_TAIL = bytes((PLAIN,))
"""The tail of a series whose points all stand in blocks."""

POINT_BYTES = 24
"""Bytes of a point in a tail: step, time and value."""


class CodecError(ValueError):
    """A blob is damaged or of a version that this program does not know."""


class _Frames(threading.local):
    """A compressor and a decompressor for each thread: neither may be shared by two."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL, write_checksum=True)
        self.decompressor = zstandard.ZstdDecompressor()


_frames = _Frames()


def pack(words: Ints, *, delta: bool) -> bytes:
    """A blob of (k, n) or (n,) 64-bit words, differenced along the last axis where `delta` is set."""
    if delta and words.shape[-1] > 1:
        differenced = words.copy()
        differenced[..., 1:] -= words[..., :-1]
        words = differenced
    planes = np.ascontiguousarray(np.ascontiguousarray(words).view(np.uint8).reshape(-1, 8).T)
    if words.size < PLANES_FROM:
        return bytes((PACKED,)) + _frames.compressor.compress(planes.tobytes())
    frame = _frames.compressor.compressobj(size=planes.size)
    pieces = [bytes((PACKED,))]
    for plane in planes:
        pieces += (frame.compress(plane), frame.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK))
    return b"".join((*pieces, frame.flush()))


def unpack(blob: bytes, *, rows: int, delta: bool) -> Ints:
    """The (rows, n) 64-bit words of a blob that `pack` made with the same `delta`. Raises CodecError."""
    octets = np.frombuffer(_unframed(blob), np.uint8)
    if octets.size % (8 * rows):
        raise CodecError(f"expected a multiple of {8 * rows} bytes, got {octets.size}")
    words: Ints = np.ascontiguousarray(octets.reshape(8, -1).T).view(np.int64).reshape(rows, -1)
    return np.cumsum(words, axis=1) if delta else words


def _unframed(blob: bytes) -> bytes:
    """The bytes inside a packed blob. Raises CodecError where the version is unknown or the frame is damaged."""
    if blob[:1] != bytes((PACKED,)):
        raise CodecError(f"expected a blob of version {PACKED}, got {blob[:1].hex() or 'an empty blob'}")
    try:
        return _frames.decompressor.decompress(blob[1:])
    except zstandard.ZstdError as error:
        raise CodecError(f"the compressed blob is damaged: {error}") from error


def pack_values(values: Floats) -> bytes:
    """A blob of values: (n,) float64."""
    return pack(values.view(np.int64), delta=False)


def unpack_values(blob: bytes) -> Floats:
    """The values that `pack_values` took. Raises CodecError."""
    values: Floats = unpack(blob, rows=1, delta=False)[0].view(np.float64)
    return values


def pack_clock(steps: Ints, times_s: Floats) -> bytes:
    """A blob of steps and times, which series logged in the same rows share."""
    return pack(np.stack((steps, times_s.view(np.int64))), delta=True)


def unpack_clock(blob: bytes) -> tuple[Ints, Floats]:
    """Steps and times that `pack_clock` took. Raises CodecError."""
    steps, times = unpack(blob, rows=2, delta=True)
    return steps, times.view(np.float64)


def pack_tail(points: SeriesPoints) -> bytes:
    """A blob of bare arrays: fast to write again and again."""
    return EMPTY_TAIL + points.steps.tobytes() + points.times_s.tobytes() + points.values.tobytes()


def tail_size(blob: bytes) -> int:
    """Points of a tail. Raises CodecError."""
    if blob[:1] != EMPTY_TAIL or (len(blob) - 1) % POINT_BYTES:
        raise CodecError(f"expected a tail of version {PLAIN} and whole points, got {len(blob)} bytes")
    return len(blob) // POINT_BYTES


def longer_tail(blob: bytes, points: SeriesPoints) -> bytes:
    """The tail with more points at its end, put together without a look at what it holds. Raises CodecError."""
    size = 8 * tail_size(blob)
    steps, times_s, values = blob[: 1 + size], blob[1 + size : 1 + 2 * size], blob[1 + 2 * size :]
    return b"".join((steps, points.steps.tobytes(), times_s, points.times_s.tobytes(), values, points.values.tobytes()))


def unpack_tail(blob: bytes) -> SeriesPoints:
    """The points that `pack_tail` took. Raises CodecError."""
    tail_size(blob)
    words: NDArray[np.int64] = np.frombuffer(blob, np.int64, offset=1).reshape(3, -1)
    return SeriesPoints(steps=words[0], times_s=words[1].view(np.float64), values=words[2].view(np.float64))


def joined(parts: list[SeriesPoints]) -> SeriesPoints:
    """The points of all parts, one after the other."""
    if len(parts) == 1:
        return parts[0]
    return SeriesPoints(
        steps=np.concatenate([part.steps for part in parts] or [np.empty(0, np.int64)]),
        times_s=np.concatenate([part.times_s for part in parts] or [np.empty(0)]),
        values=np.concatenate([part.values for part in parts] or [np.empty(0)]),
    )


def cut(points: SeriesPoints, start: int, stop: int | None = None) -> SeriesPoints:
    """The points from index `start` up to, not including, `stop`."""
    span = slice(start, stop)
    return SeriesPoints(steps=points.steps[span], times_s=points.times_s[span], values=points.values[span])
