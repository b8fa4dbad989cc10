"""The rolling window against a plain computation."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runvitals.diagnostics.baseline import SortedWindow, Window

numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)


@pytest.mark.parametrize("kind", [Window, SortedWindow])
@given(values=st.lists(numbers, min_size=1, max_size=60), size=st.integers(1, 12), asked=st.sets(st.integers(0, 59)))
def test_window_agrees_with_sorting_the_newest_values(
    kind: type[Window], values: list[float], size: int, asked: set[int]
) -> None:
    window = kind(size)
    for place, value in enumerate(values):
        window.add(value)
        if place in asked:
            assert window.quantile(1.0) == max(values[max(0, place + 1 - size) : place + 1])
    newest = values[-size:]
    assert window.values() == tuple(newest)
    assert window.median() == pytest.approx(statistics.median(newest), rel=1e-9, abs=1e-30)
    assert window.quantile(0.0) == min(newest)
    assert window.quantile(1.0) == max(newest)


def test_non_finite_values_are_left_out() -> None:
    window = SortedWindow(4)
    for value in (1.0, math.nan, math.inf, 2.0, -math.inf, 3.0):
        window.add(value)
    assert window.values() == (1.0, 2.0, 3.0)
    assert window.median() == 2.0


@pytest.mark.parametrize("kind", [Window, SortedWindow])
def test_window_that_was_cleared_begins_anew(kind: type[Window]) -> None:
    window = kind(3)
    for value in (5.0, 6.0):
        window.add(value)
    assert window.median() == 5.5
    window.clear()
    assert math.isnan(window.median())
    for value in (1.0, 2.0, 3.0, 4.0):
        window.fill(value)
    assert window.values() == (1.0, 2.0, 3.0)
    assert window.median() == 2.0


def test_empty_window_has_no_median() -> None:
    window = SortedWindow(3)
    assert math.isnan(window.median())
    assert math.isnan(window.spread())


def test_spread_of_a_normal_sample_is_near_its_deviation() -> None:
    import random

    draw = random.Random(4)
    window = SortedWindow(2000)
    for _ in range(2000):
        window.add(draw.gauss(10, 3))
    assert window.spread() == pytest.approx(3, rel=0.1)


def test_window_of_no_size_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        SortedWindow(0)
