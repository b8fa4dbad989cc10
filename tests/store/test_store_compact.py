"""A compacted run reads as before and takes less room."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from runvitals.collectors.records import NONE_VALUE
from runvitals.errors import UnknownRun
from runvitals.store import Store
from runvitals.store.types import SeriesPoints

KEYS = ("loss", "lr", "few", "late")


def fill(store: Store, batch_of: Any, *, rows: int, batches: int = 7) -> None:
    """Series of the same rows, one with a None and NaN in it, one with few points, one that began later."""
    generator = np.random.default_rng(2)
    for number in range(batches):
        at = np.arange(number * rows, (number + 1) * rows, dtype=np.int64)
        values = generator.normal(size=rows)
        values[:2] = (math.nan, NONE_VALUE)
        points = SeriesPoints(steps=at, times_s=at.astype(float), values=values)
        series = {"loss": points, "lr": SeriesPoints(steps=at, times_s=points.times_s, values=at * 0.5)}
        if number == 0:
            series["few"] = SeriesPoints(steps=at[:3], times_s=points.times_s[:3], values=values[:3])
        if number > 2:
            series["late"] = points
        store.append(batch_of(series, first_seq=number * rows + 1))


def shown(store: Store) -> dict[str, tuple[Any, ...]]:
    """All that can be read of the run's series."""
    whole = {key: store.read("run", key) for key in KEYS}
    drawn = store.envelope("run", KEYS, n=40, start=100)
    later = store.since("run", KEYS, dict.fromkeys(KEYS, 2)).points
    return {
        key: (
            whole[key].steps.tobytes() + whole[key].times_s.tobytes() + whole[key].values.tobytes(),
            drawn[key].low.tobytes() + drawn[key].count.tobytes() + drawn[key].kinds.tobytes(),
            later[key].values.tobytes() if key in later else b"",
        )
        for key in KEYS
    }


@pytest.mark.parametrize("rows", [30, 100, 700])
def test_a_compacted_run_reads_as_before_and_goes_on(store: Store, batch_of: Any, points_of: Any, rows: int) -> None:
    fill(store, batch_of, rows=rows)
    before, keys = shown(store), store.keys("run")
    for _ in range(2):
        store.compact("run")
        assert shown(store) == before
        assert repr(store.keys("run")) == repr(keys)
    more = points_of(np.arange(5000.0))
    store.append(batch_of({"loss": more, "late": more}, first_seq=10**6))
    for key, count in (("loss", 7 * rows), ("late", 4 * rows)):
        values = store.since("run", [key], {key: count}).points[key].values
        assert values.tolist() == more.values.tolist()
        assert store.keys("run")[key].count == count + 5000
        assert store.envelope("run", [key], n=10)[key].count.sum() > 0


def test_a_short_run_of_many_keys_is_packed_well(sqlite_store: Store, batch_of: Any) -> None:
    generator = np.random.default_rng(1)
    rows, keys = 200, 500
    at = np.arange(rows, dtype=np.int64)
    times = 1.7e9 + np.cumsum(generator.random(rows))
    series = {
        f"key/{number}": SeriesPoints(
            steps=at, times_s=times, values=generator.normal(size=rows).astype(np.float32).astype(np.float64)
        )
        for number in range(keys)
    }
    sqlite_store.append(batch_of(series))

    def used() -> int:
        with sqlite_store._database.reading() as connection:
            pages, free, size = (
                connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
                for name in ("page_count", "freelist_count", "page_size")
            )
        return int((pages - free) * size)

    before = used()
    sqlite_store.compact("run")
    assert used() < before / 3


def test_compacting_a_run_that_is_not_there_is_an_error(store: Store) -> None:
    with pytest.raises(UnknownRun):
        store.compact("absent")
