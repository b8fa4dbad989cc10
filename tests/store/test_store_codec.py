"""Blobs give back every bit, and damage never goes unnoticed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from runvitals.collectors.records import NONE_BITS, NONE_VALUE, is_none
from runvitals.store import codec, levels
from runvitals.store.types import SeriesPoints

WORDS = hnp.arrays(np.int64, st.integers(0, 300), elements=st.integers(-(2**63), 2**63 - 1))


@given(words=WORDS)
def test_any_bits_of_values_come_back(words: np.ndarray) -> None:
    values = words.view(np.float64)
    back = codec.unpack_values(codec.pack_values(values))
    assert back.view(np.int64).tolist() == words.tolist()


@given(words=WORDS)
def test_any_bits_of_steps_and_times_come_back(words: np.ndarray) -> None:
    steps, times = codec.unpack_clock(codec.pack_clock(words, words[::-1].copy().view(np.float64)))
    assert steps.tolist() == words.tolist()
    assert times.view(np.int64).tolist() == words[::-1].tolist()


@given(words=WORDS)
def test_any_tail_comes_back(words: np.ndarray) -> None:
    tail = SeriesPoints(steps=words, times_s=words.view(np.float64), values=words.view(np.float64))
    back = codec.unpack_tail(codec.pack_tail(tail))
    assert back.steps.tolist() == words.tolist()
    assert back.values.view(np.int64).tolist() == words.tolist()


def test_a_logged_none_comes_back_apart_from_nan() -> None:
    back = codec.unpack_values(codec.pack_values(np.array([NONE_VALUE, np.nan, -0.0])))
    assert [is_none(value) for value in back.tolist()] == [True, False, False]
    assert np.signbit(back[2])
    assert int(back[:1].view(np.int64)[0]) == NONE_BITS


LONG = st.tuples(st.integers(codec.PLANES_FROM - 1, 5000), st.integers(0, 2**32), st.sampled_from((0, 20, 52)))
"""Sizes about that from which byte planes are blocks of their own, a seed, and bits of the mantissa that are 0."""


def long_values(size: int, seed: int, zeroed: int) -> np.ndarray:
    words = np.random.default_rng(seed).normal(size=size).view(np.int64) >> zeroed << zeroed
    return words.view(np.float64)


@settings(max_examples=40, deadline=None)
@given(made=LONG)
def test_long_arrays_come_back(made: tuple[int, int, int]) -> None:
    values = long_values(*made)
    assert codec.unpack_values(codec.pack_values(values)).tobytes() == values.tobytes()
    steps, times = codec.unpack_clock(codec.pack_clock(values.view(np.int64), values))
    assert (steps.tobytes(), times.tobytes()) == (values.tobytes(), values.tobytes())


@given(words=WORDS, more=WORDS)
def test_a_longer_tail_is_the_tail_of_all_points(words: np.ndarray, more: np.ndarray) -> None:
    first, second = (
        SeriesPoints(steps=one, times_s=one.view(np.float64), values=one.view(np.float64)) for one in (words, more)
    )
    assert codec.longer_tail(codec.pack_tail(first), second) == codec.pack_tail(codec.joined([first, second]))


@settings(max_examples=120, deadline=None)
@given(data=st.data(), size=st.sampled_from((200, 4096)))
def test_a_flipped_bit_is_noticed(data: st.DataObject, size: int) -> None:
    values = np.random.default_rng(5).normal(size=size)
    blob = bytearray(codec.pack_values(values))
    position = data.draw(st.integers(0, len(blob) - 1))
    blob[position] ^= 1 << data.draw(st.integers(0, 7))
    try:
        back = codec.unpack_values(bytes(blob))
    except codec.CodecError:
        return
    assert back.tolist() == values.tolist()  # some header bits of a frame mean nothing


@pytest.mark.parametrize("blob", [b"", b"\x01", b"\x09abc", b"\x01" + b"\x00" * 40])
def test_foreign_bytes_are_refused(blob: bytes) -> None:
    with pytest.raises(codec.CodecError):
        codec.unpack_values(blob)
    with pytest.raises(codec.CodecError):
        codec.unpack_tail(blob + b"x")


def test_summaries_agree_with_a_plain_computation() -> None:
    generator = np.random.default_rng(11)
    values = generator.normal(size=4096)
    values[generator.integers(0, 4096, 200)] = np.nan
    values[generator.integers(0, 4096, 50)] = np.inf
    values[64:128] = NONE_VALUE
    times = 1.7e9 + np.cumsum(generator.random(4096))
    points = SeriesPoints(steps=np.arange(4096), times_s=times, values=values)
    found = levels.unpack_buckets(*levels.pack_buckets(levels.next_level(levels.level_one(points))))
    assert len(found) == 8
    for index in range(8):
        part = values[index * 512 : index * 512 + 512]
        finite = part[np.isfinite(part)]
        assert found.low[index] == finite.min()
        assert found.high[index] == finite.max()
        assert found.last[index] == finite[-1]
        assert found.total[index] == pytest.approx(finite.sum())
        assert found.nonfinite[index] == part.size - finite.size
        assert found.time_mean[index] == pytest.approx(times[index * 512 : index * 512 + 512].mean(), abs=1e-5)
    assert found.kinds[0] & levels.KIND_NONE
    assert not found.kinds[1] & levels.KIND_NONE


def test_a_bucket_without_finite_values_has_no_extremes() -> None:
    points = SeriesPoints(steps=np.arange(64), times_s=np.arange(64.0), values=np.full(64, -np.inf))
    found = levels.level_one(points)
    assert np.isnan([found.low[0], found.high[0], found.last[0]]).all()
    assert (found.nonfinite[0], found.kinds[0]) == (64, levels.KIND_MINUS_INF)
