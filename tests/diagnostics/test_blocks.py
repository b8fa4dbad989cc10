"""The course of a value in bounded memory against the plain mean."""

from __future__ import annotations

from statistics import fmean

from hypothesis import given
from hypothesis import strategies as st

from runvitals.diagnostics.blocks import Blocks


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=500))
def test_means_are_those_of_equal_stretches_and_few(values: list[float]) -> None:
    blocks = Blocks()
    for value in values:
        blocks.add(value)
    assert blocks.count == len(values) and len(blocks.means) <= 64
    size = 1
    while size * 64 < len(values):
        size *= 2
    plain = [fmean(values[i : i + size]) for i in range(0, len(values), size)]
    assert all(abs(a - b) <= 1e-6 * (1 + abs(b)) for a, b in zip(blocks.means, plain, strict=True))
