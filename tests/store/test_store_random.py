"""Any sequence of batches reads back as a plain list of its points would."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runvitals.collectors.records import NO_STEP, NONE_VALUE
from runvitals.store import Store, open_store
from runvitals.store.types import SeriesPoints

KEYS = ("loss", "lr", "reward", "gpu/0/power_w")
ODD = np.array([np.nan, np.inf, -np.inf, NONE_VALUE, -0.0, 5e-324, 1.7e308])


@st.composite
def batches(draw: st.DrawFn) -> list[dict[str, SeriesPoints]]:
    """Batches of random sizes and key sets; steps go on, go back or are missing; some values are odd."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    found = []
    step = 0
    for size in draw(st.lists(st.sampled_from((1, 2, 63, 255, 256, 1000, 4095, 4096, 9000)), min_size=1, max_size=7)):
        step = max(0, step + draw(st.sampled_from((1, 1, 1, -50, -5000))))
        steps = step + np.arange(size, dtype=np.int64)
        step = int(steps[-1])
        times_s = 1.7e9 + generator.normal(0, 1e4, size)  # clocks go back too
        apart = draw(st.booleans())  # equal rows may come as one array or as several
        series = {}
        for key in draw(st.sets(st.sampled_from(KEYS), min_size=1)):
            values = generator.normal(size=size)
            values[generator.random(size) < draw(st.sampled_from((0.0, 0.01, 1.0)))] = generator.choice(ODD)
            own = np.full(size, NO_STEP) if key.startswith("gpu") else steps
            series[key] = SeriesPoints(
                steps=own.copy() if apart else own, times_s=times_s.copy() if apart else times_s, values=values
            )
        found.append(series)
    return found


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)], scope="module")
def shared_store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, place_of: Any
) -> Iterator[Store]:
    opened = open_store(place_of(request, tmp_path_factory.mktemp("random")))
    yield opened
    opened.close()


def plain(appended: list[dict[str, SeriesPoints]], key: str) -> SeriesPoints:
    """All points of a series, one after the other."""
    mine = [series[key] for series in appended if key in series]
    return SeriesPoints(
        steps=np.concatenate([one.steps for one in mine]),
        times_s=np.concatenate([one.times_s for one in mine]),
        values=np.concatenate([one.values for one in mine]),
    )


def assert_stored(store: Store, run_id: str, appended: list[dict[str, SeriesPoints]], *, n: int) -> None:
    """Everything that the store says of the run's series, compared bit for bit, sums with what rounding allows."""
    heads: Mapping[str, Any] = store.keys(run_id)
    assert set(heads) == {key for series in appended for key in series}
    stored = store.since(run_id, list(heads), {}).points
    for key, head in heads.items():
        points, back = plain(appended, key), stored[key]
        for one, other in (
            (back.steps, points.steps),
            (back.times_s, points.times_s),
            (back.values, points.values),
        ):
            assert one.tobytes() == other.tobytes()
        finite = points.values[np.isfinite(points.values)]
        assert (head.count, head.nonfinite) == (points.values.size, points.values.size - finite.size)
        assert (head.step, head.time_s) == (points.steps[-1], points.times_s[-1])
        assert np.float64(head.value).tobytes() == points.values[-1:].tobytes()
        if finite.size:
            assert (head.best_min, head.best_max) == (finite.min(), finite.max())
        drawn = store.envelope(run_id, [key], n=n, axis="time", generation="all")[key]
        assert (drawn.count.sum(), drawn.nonfinite.sum()) == (points.values.size, points.values.size - finite.size)
        if finite.size:
            assert (np.nanmin(drawn.low), np.nanmax(drawn.high)) == (finite.min(), finite.max())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(appended=batches(), compacted=st.booleans(), n=st.sampled_from((3, 100)))
def test_random_batches_are_stored_to_the_bit(
    shared_store: Store, batch_of: Any, appended: list[dict[str, SeriesPoints]], compacted: bool, n: int
) -> None:
    run_id = f"run{len(shared_store.runs())}"
    seq = 1
    for number, series in enumerate(appended):
        batch = batch_of(series, run_id=run_id, first_seq=seq)
        rows = shared_store.append(batch)
        assert shared_store.append(batch) == 0, "a replay changed something"
        seq += rows
        if compacted and number % 2:
            shared_store.compact(run_id)
    assert_stored(shared_store, run_id, appended, n=n)
