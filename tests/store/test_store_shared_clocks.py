"""Parts of the same rows share their steps and times, which go with the last part that refers to them, and not before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sqlalchemy import func, select

from runvitals.store import Store
from runvitals.store.blocks import PARTS
from runvitals.store.schema import blocks, clocks
from runvitals.store.types import SeriesPoints

KEYS = ("one", "two", "three", "four")


def rows_of(generator: np.random.Generator, first: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(first, first + size), 1.7e9 + first + np.cumsum(generator.random(size))


def clocks_of_parts(store: Store) -> tuple[int, int, int]:
    """Rows of clocks, parts that refer to one, and parts with steps and times beside them."""
    of_parts = select(func.count()).select_from(blocks).where(blocks.c.level == PARTS)
    with store._database.reading() as connection:
        return (
            connection.execute(select(func.count()).select_from(clocks)).scalar_one(),
            connection.execute(of_parts.where(blocks.c.clock_id.is_not(None))).scalar_one(),
            connection.execute(of_parts.where(blocks.c.clock.is_not(None))).scalar_one(),
        )


def complaints(store: Store) -> list[str]:
    return [what for _, found in store.examine("run") for what in found] + store.examine_rest()


def test_parts_of_the_same_rows_share_a_clock_and_one_alone_keeps_its_own(store: Store, batch_of: Any) -> None:
    generator = np.random.default_rng(1)
    steps, times_s = rows_of(generator, 0, 1000)
    series = {key: SeriesPoints(steps=steps, times_s=times_s, values=generator.random(1000)) for key in KEYS[:3]}
    series["four"] = SeriesPoints(steps=steps[::2].copy(), times_s=times_s[::2].copy(), values=generator.random(500))
    store.append(batch_of(series))
    assert clocks_of_parts(store) == (1, 3, 1)
    for key, points in series.items():
        found = store.read("run", key)
        assert found.steps.tolist() == points.steps.tolist()
        assert found.times_s.tolist() == points.times_s.tolist()


def test_a_clock_lives_until_its_last_part_is_merged(store: Store, batch_of: Any, points_of: Any) -> None:
    shared = points_of(np.arange(3000.0))
    store.append(batch_of({"one": shared, "two": shared}))
    more = points_of(np.arange(1096.0), steps=range(3000, 4096), times_s=np.arange(1096.0))
    store.append(batch_of({"one": more}, first_seq=3001))
    assert clocks_of_parts(store) == (2, 1, 0)  # the chunk's, and the one of which "two" still has a part
    assert store.read("run", "two").steps.tolist() == shared.steps.tolist()
    store.append(batch_of({"two": more}, first_seq=5001))
    assert clocks_of_parts(store) == (2, 0, 0)
    assert complaints(store) == []


@pytest.mark.parametrize("seed", range(4))
def test_no_clock_is_lost_and_none_is_left_however_series_grow(store: Store, batch_of: Any, seed: int) -> None:
    generator = np.random.default_rng(seed)
    written: dict[str, list[SeriesPoints]] = {key: [] for key in KEYS}
    first_seq = 1
    for number in range(12):
        size = int(generator.choice([3, 300, 1000, 1700, 4096, 5000]))
        steps, times_s = rows_of(generator, first_seq, size)
        growing = [key for key in KEYS if generator.random() < 0.7]
        series = {key: SeriesPoints(steps=steps, times_s=times_s, values=generator.random(size)) for key in growing}
        store.append(batch_of(series, first_seq=first_seq, rows=size, last_seq=first_seq + size))
        first_seq += size + 1
        for key in growing:
            written[key].append(series[key])
        if number % 5 == 4:
            store.compact("run")
        assert complaints(store) == []
    for key, pieces in written.items():
        found = store.read("run", key)
        assert found.steps.tolist() == [step for piece in pieces for step in piece.steps.tolist()]
        assert found.times_s.tolist() == [time_s for piece in pieces for time_s in piece.times_s.tolist()]
        assert found.values.tolist() == [value for piece in pieces for value in piece.values.tolist()]


def test_a_packed_run_that_goes_on_leaves_no_clock(store: Store, batch_of: Any, points_of: Any) -> None:
    shared = points_of(np.arange(100.0))
    store.append(batch_of({"one": shared, "two": shared}))
    store.compact("run")
    assert clocks_of_parts(store) == (1, 2, 0)
    more = points_of(np.arange(4000.0), steps=range(100, 4100))
    store.append(batch_of({"one": more, "two": more}, first_seq=101))
    assert clocks_of_parts(store) == (1, 0, 0)
    assert complaints(store) == []
