"""Envelopes against a plain computation over the exact points: nothing in the range is lost, nothing outside it is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runvitals.collectors.records import NO_STEP, NONE_BITS, NONE_VALUE
from runvitals.store import Store, open_store
from runvitals.store.types import Axis, Envelope, Generation, SeriesPoints

SEED = 20

GENERATIONS: tuple[Generation, ...] = ("current", "superseded", "all")

GOING_BACK = (
    (0, 30_000),
    (25_000, 60_000),
    (59_990, 60_010),
    (60_009, 60_300),
    (100, 500),
    (300, 50_000),
    (40_000, 45_000),
    (44_999, 60_000),
)
"""Steps of the series `often`: far and near, twice to the same place, across chunks and within a bucket."""


def spiked(generator: np.random.Generator, size: int) -> np.ndarray:
    """Noise with spikes, NaN, infinities and logged Nones, one of each at least where there is room."""
    values = generator.normal(size=size)
    for fault in (1e6, -1e6, np.nan, np.inf, -np.inf, NONE_VALUE):
        values[generator.integers(0, size, 1 + size // 5000)] = fault
    return values


def made_series() -> dict[str, SeriesPoints]:
    """Series long enough for three summary levels, short ones, one that goes back, one with rows that have no step."""
    generator = np.random.default_rng(SEED)
    found = {}
    for name, size in (("long", 300_000), ("middle", 40_000), ("chunk", 4_096), ("short", 300), ("one", 1)):
        times = 1.7e9 + np.cumsum(generator.random(size))
        steps = np.cumsum(generator.integers(1, 4, size))
        found[name] = SeriesPoints(steps=steps, times_s=times, values=spiked(generator, size))
    size = 30_000
    back = np.concatenate([np.arange(20_000), np.arange(15_000, 25_000)])
    times = 1.7e9 + np.arange(float(size))
    found["back"] = SeriesPoints(steps=back, times_s=times, values=spiked(generator, size))
    pieces = [np.arange(start, stop) for start, stop in GOING_BACK]
    often = np.concatenate(pieces)
    often[generator.integers(0, often.size, 20)] = NO_STEP
    times = 1.7e9 + np.arange(float(often.size))
    found["often"] = SeriesPoints(steps=often, times_s=times, values=spiked(generator, often.size))
    times = times[:size]
    mixed = np.where(generator.random(size) < 0.001, NO_STEP, np.arange(size))
    found["mixed"] = SeriesPoints(steps=mixed, times_s=times, values=spiked(generator, size))
    found["stepless"] = SeriesPoints(steps=np.full(size, NO_STEP), times_s=times, values=spiked(generator, size))
    steps = found["middle"].steps
    found["tokens"] = SeriesPoints(steps=steps, times_s=found["middle"].times_s, values=steps * 512.0)
    return found


Long = tuple[Store, Mapping[str, SeriesPoints]]


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def long_store(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    place_of: Callable[..., str],
    batch_of: Any,
) -> Iterator[Long]:
    """A store that took the series in batches of uneven sizes, and the series themselves."""
    folder: Path = tmp_path_factory.mktemp("long")
    store = open_store(place_of(request, folder))
    series = made_series()
    generator = np.random.default_rng(SEED + 1)
    at, seq = 0, 1
    while at < 300_000:
        end = at + int(generator.choice([1, 7, 200, 3_000, 20_000, 50_000]))
        pieces = {key: cut(points, at, end) for key, points in series.items() if points.values.size > at}
        store.append(batch_of(pieces, first_seq=seq))
        seq += min(end, 300_000) - at
        at = end
    yield store, series
    store.close()


def cut(points: SeriesPoints, start: int, stop: int) -> SeriesPoints:
    return SeriesPoints(
        steps=points.steps[start:stop], times_s=points.times_s[start:stop], values=points.values[start:stop]
    )


def superseded(steps: np.ndarray) -> np.ndarray:
    """Which points of one writer lie at or above a step to which the series went back later."""
    stepped = np.flatnonzero(steps >= 0)
    back = stepped[1:][np.diff(steps[stepped]) < 0]
    lowest_after = np.full(steps.size + 1, np.iinfo(np.int64).max)
    lowest_after[back] = steps[back]
    lowest_after = np.minimum.accumulate(lowest_after[::-1])[::-1]
    found: np.ndarray = steps >= lowest_after[1:]
    return found


def asked(
    points: SeriesPoints, axis: Axis, start: float | None, stop: float | None, generation: Generation = "current"
) -> np.ndarray:
    """The values of the generation that lie in the range, in order of arrival."""
    position = points.times_s if axis == "time" else points.steps
    kept = np.full(position.size, True) if axis == "time" else points.steps >= 0
    kept = kept & (position >= (-np.inf if start is None else start)) & (position <= (np.inf if stop is None else stop))
    if generation != "all":
        kept &= superseded(points.steps) == (generation == "superseded")
    found: np.ndarray = points.values[kept]
    return found


def assert_agrees(found: Envelope, values: np.ndarray, n: int) -> None:
    """The envelope says of the range what the values say."""
    assert found.x.size <= n
    assert found.count.sum() == values.size
    assert found.nonfinite.sum() == np.count_nonzero(~np.isfinite(values))
    assert found.exact == (values.size <= n)
    assert (np.diff(found.x) >= 0).all()
    finite = values[np.isfinite(values)]
    if finite.size:
        assert np.nanmin(found.low) == finite.min()
        assert np.nanmax(found.high) == finite.max()
        weight = found.count - found.nonfinite
        total = np.nansum(np.where(weight > 0, found.mean, 0.0) * weight)
        assert total == pytest.approx(finite.sum(), rel=1e-9, abs=1e-3)
    else:
        assert np.isnan(found.low).all()
    kinds = np.bitwise_or.reduce(found.kinds, initial=0)
    none = values.view(np.int64) == np.array(NONE_VALUE).view(np.int64)
    expected = [np.isnan(values) & ~none, values == np.inf, values == -np.inf, none]
    assert [bool(kinds & bit) for bit in (1, 2, 4, 8)] == [bool(which.any()) for which in expected]


KEYS = ("long", "middle", "chunk", "short", "one", "back", "often", "mixed", "stepless")


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_any_range_agrees_with_the_exact_points(long_store: Long, data: st.DataObject) -> None:
    store, series = long_store
    key = data.draw(st.sampled_from(KEYS))
    axis: Axis = data.draw(st.sampled_from(("step", "time")))
    n = data.draw(st.sampled_from((1, 2, 10, 100, 1000, 5000)))
    position = series[key].times_s if axis == "time" else series[key].steps
    low, high = float(position.min()), float(position.max())
    edges = st.one_of(
        st.none(), st.floats(low - 10, high + 10), st.sampled_from(position[:: max(1, position.size // 999)])
    )
    start, stop = data.draw(edges), data.draw(edges)
    generation = data.draw(st.sampled_from(GENERATIONS))
    found = store.envelope("run", [key], n=n, axis=axis, start=start, stop=stop, generation=generation)[key]
    assert_agrees(found, asked(series[key], axis, start, stop, generation), n)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_range_of_tokens_agrees_with_the_exact_points(long_store: Long, data: st.DataObject) -> None:
    store, series = long_store
    most = float(series["tokens"].values.max())
    start = data.draw(st.one_of(st.none(), st.floats(0.0, most)))
    stop = data.draw(st.one_of(st.none(), st.floats(0.0, most)))
    n = data.draw(st.sampled_from((1, 100, 1000)))
    found = store.envelope("run", ["middle"], n=n, axis="tokens", start=start, stop=stop)["middle"]
    in_steps = [None if edge is None else edge / 512.0 for edge in (start, stop)]
    assert_agrees(found, asked(series["middle"], "step", *in_steps), n)
    if found.exact:
        np.testing.assert_allclose(found.x, found.steps * 512.0)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_range_reads_back_exactly(long_store: Long, data: st.DataObject) -> None:
    store, series = long_store
    key = data.draw(st.sampled_from(KEYS))
    axis: Axis = data.draw(st.sampled_from(("step", "time")))
    points = series[key]
    position = points.times_s if axis == "time" else points.steps
    edges = st.one_of(st.none(), st.floats(float(position.min()) - 5, float(position.max()) + 5))
    start, stop = data.draw(edges), data.draw(edges)
    generation = data.draw(st.sampled_from(GENERATIONS))
    found = store.read("run", key, start=start, stop=stop, axis=axis, generation=generation)
    numbered = SeriesPoints(steps=points.steps, times_s=points.times_s, values=np.arange(float(position.size)))
    number = asked(numbered, axis, start, stop, generation).astype(np.int64)
    number = number[np.argsort(position[number], kind="stable")]
    assert found.values.view(np.int64).tolist() == points.values[number].view(np.int64).tolist()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_every_fault_is_seen_at_its_place_at_every_zoom_that_holds_it(long_store: Long, data: st.DataObject) -> None:
    store, series = long_store
    points = series["long"]
    fault, bit = data.draw(st.sampled_from(((1e6, 0), (-1e6, 0), (np.nan, 1), (np.inf, 2), (-np.inf, 4))))
    same = np.isnan(points.values) & (points.values.view(np.int64) != NONE_BITS)
    where = np.flatnonzero(same if np.isnan(fault) else points.values == fault)
    index = int(data.draw(st.sampled_from(where.tolist())))
    step, size = int(points.steps[index]), int(points.steps[-1])
    before, after = data.draw(st.floats(0.0, 1.0)) ** 3 * size, data.draw(st.floats(0.0, 1.0)) ** 3 * size
    n = data.draw(st.sampled_from((10, 100, 1000)))
    found = store.envelope("run", ["long"], n=n, start=step - before, stop=step + after)["long"]
    shows = (found.kinds & bit) > 0 if bit else (found.high if fault > 0 else found.low) == fault
    start, stop = max(step - before, 0), min(step + after, size)
    assert np.abs(found.x[shows] - step).min() <= 2 * (stop - start) / n + 1


def test_every_spike_is_in_the_envelope_at_its_place(long_store: Long) -> None:
    store, series = long_store
    found = store.envelope("run", ["long"], n=1000)["long"]
    points = series["long"]
    width = (points.steps[-1] - points.steps[0]) / 1000
    for index in np.flatnonzero(points.values == 1e6):
        shown = found.x[found.high == 1e6]
        assert np.abs(shown - points.steps[index]).min() <= 2 * width


def test_few_points_are_given_exactly(long_store: Long) -> None:
    store, series = long_store
    found = store.envelope("run", ["short"], n=300)["short"]
    assert found.exact
    assert found.x.tolist() == series["short"].steps.tolist()
    finite = np.isfinite(series["short"].values)
    assert found.low[finite].tolist() == found.mean[finite].tolist() == series["short"].values[finite].tolist()


def test_rows_without_a_step_are_on_the_time_axis_only(long_store: Long) -> None:
    store, _ = long_store
    assert store.envelope("run", ["stepless"], n=100)["stepless"].count.sum() == 0
    assert store.envelope("run", ["stepless"], n=100, axis="time")["stepless"].count.sum() == 30_000


def test_a_key_that_the_run_has_not_gives_an_empty_envelope(store: Store, batch_of: Any, points_of: Any) -> None:
    store.append(batch_of({"loss": points_of([1.0])}))
    found = store.envelope("run", ["loss", "absent"], n=10)
    assert (found["loss"].count.sum(), found["absent"].count.sum()) == (1, 0)
    assert store.envelope("run", ["loss"], n=10, axis="tokens")["loss"].count.sum() == 0


def test_tokens_may_stand_under_another_librarys_key(store: Store, batch_of: Any, points_of: Any) -> None:
    store.append(batch_of({"loss": points_of([1.0, 2.0, 3.0]), "num_tokens": points_of([0.0, 100.0, 200.0])}))
    found = store.envelope("run", ["loss"], n=10, axis="tokens", start=50.0)["loss"]
    assert (found.x.tolist(), found.mean.tolist()) == ([100.0, 200.0], [2.0, 3.0])


def test_values_near_the_end_of_float64_keep_a_mean_between_their_extremes(
    store: Store, batch_of: Any, points_of: Any
) -> None:
    store.append(batch_of({"loss": points_of([1.7e308] * 5000)}))
    found = store.envelope("run", ["loss"], n=10)["loss"]
    assert found.mean.tolist() == [1.7e308] * 10


def test_tokens_follow_the_newest_generation_and_beyond_it_the_superseded_one(
    store: Store, batch_of: Any, points_of: Any
) -> None:
    first = {"loss": points_of([1.0, 2.0, 3.0, 4.0]), "tokens": points_of([0.0, 100.0, 200.0, 300.0])}
    again = {"loss": points_of([20.0, 30.0], [1, 2]), "tokens": points_of([50.0, 90.0], [1, 2])}
    store.append(batch_of(first))
    store.append(batch_of(again, first_seq=5))
    found = store.envelope("run", ["loss"], n=10, axis="tokens")["loss"]
    assert (found.x.tolist(), found.mean.tolist()) == ([0.0, 50.0, 90.0], [1.0, 20.0, 30.0])
    old = store.envelope("run", ["loss"], n=10, axis="tokens", generation="superseded")["loss"]
    assert (old.x.tolist(), old.mean.tolist()) == ([50.0, 90.0, 300.0], [2.0, 3.0, 4.0])
