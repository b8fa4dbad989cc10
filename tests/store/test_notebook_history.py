"""A run's series as a table: what was logged, a row a step, compared with a plain computation on both databases."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import runvitals
from runvitals.collectors.records import NO_STEP, NONE_VALUE
from runvitals.errors import SettingsError, UnknownKey, UnknownRun
from runvitals.history import MOST_VALUES
from runvitals.notebook import StoreView
from runvitals.run_view import RunView
from runvitals.store import Store
from runvitals.thinning import FEWEST, outline_of_values, thinned


@pytest.fixture
def view(store: Store, store_url: str) -> Iterator[StoreView]:
    with runvitals.open(store_url) as opened:
        yield opened


@pytest.fixture
def resumed(store: Store, batch_of: Any, points_of: Any) -> None:
    """A run of steps 0 to 9 whose second process went on from step 5 to 12 with other values."""
    store.append(batch_of({"loss": points_of(np.arange(10.0))}))
    again = points_of(np.arange(100.0, 108.0), range(5, 13), 2000.0 + np.arange(8))
    start = {"project": "demo", "name": "run", "config": {}, "info": {}, "time_s": 2000.0, "resumed": True}
    store.append(batch_of({"loss": again}, writer_id="second", start=start))


def test_every_value_stands_at_its_step_as_it_was_logged(
    store: Store, view: StoreView, batch_of: Any, points_of: Any
) -> None:
    train = points_of([2.0, math.nan, math.inf, -math.inf, NONE_VALUE], [1, 2, 3, 4, 5])
    store.append(batch_of({"loss": train, "grad": train, "eval": points_of([1.5], [4])}))
    table = view.run("run").history(["eval", "loss"])
    assert list(table.columns) == ["eval", "loss"]
    assert table.index.tolist() == [1, 2, 3, 4, 5]
    assert table.index.name == "step"
    assert repr(table["loss"].tolist()) == "[2.0, nan, inf, -inf, nan]"
    assert repr(table["eval"].tolist()) == "[nan, nan, nan, 1.5, nan]"


def test_what_reads_as_nan_can_be_told_apart(store: Store, view: StoreView, batch_of: Any, points_of: Any) -> None:
    odd = points_of([1.0, math.nan, math.inf, -math.inf, NONE_VALUE], [1, 2, 3, 4, NO_STEP])
    store.append(batch_of({"loss": odd, "fine": points_of([1.0])}))
    table = view.run("run").nonfinite()
    assert table["key"].tolist() == ["loss"] * 4
    assert table["kind"].tolist() == ["nan", "+inf", "-inf", "none"]
    assert table["step"].tolist()[:3] == [2, 3, 4]
    assert pd.isna(table["step"][3])
    assert view.run("run").nonfinite("fine").empty


def test_of_several_values_at_a_step_the_last_counts(
    store: Store, view: StoreView, batch_of: Any, points_of: Any
) -> None:
    store.append(batch_of({"loss": points_of([1.0, 2.0, 3.0, 4.0], [7, 7, 8, 8])}))
    assert view.run("run").history("loss")["loss"].to_dict() == {7: 2.0, 8: 4.0}
    assert view.run("run").history("loss", axis="time")["loss"].tolist() == [1.0, 2.0, 3.0, 4.0]


def test_rows_without_a_step_are_on_the_time_axis_only(
    store: Store, view: StoreView, batch_of: Any, points_of: Any
) -> None:
    store.append(batch_of({"loss": points_of([1.0], [3]), "gpu/0/power_w": points_of([300.0], [NO_STEP], [1000.25])}))
    assert view.run("run").history().columns.tolist() == ["loss"]
    assert view.run("run").history("gpu/0/power_w").empty
    table = view.run("run").history(axis="time")
    assert table.index.tolist() == [pd.Timestamp(1000, unit="s", tz="UTC"), pd.Timestamp(1000.25, unit="s", tz="UTC")]
    assert table["gpu/0/power_w"].tolist()[1] == 300.0


def test_a_key_whose_newest_row_has_no_step_is_in_the_table_of_all_keys(
    store: Store, view: StoreView, batch_of: Any, points_of: Any
) -> None:
    series = {
        "loss": points_of([0.5, 0.4, 0.3], [1, 2, NO_STEP]),
        "gpu": points_of([1.0, 2.0, 3.0], [NO_STEP, NO_STEP, NO_STEP]),
    }
    store.append(batch_of(series))
    for samples in (None, 100):
        assert view.run("run").history(samples=samples)["loss"].to_dict() == {1: 0.5, 2: 0.4}
        assert list(view.run("run").history(samples=samples)) == ["loss"]


def test_tokens_axis_stands_where_the_run_counted(store: Store, view: StoreView, batch_of: Any, points_of: Any) -> None:
    store.append(
        batch_of(
            {"loss": points_of([3.0, 2.0, 1.0], [1, 2, 3]), "tokens": points_of([512.0, 1024.0, 2048.0], [1, 2, 3])}
        )
    )
    run = view.run("run")
    assert run.history("loss", axis="tokens")["loss"].to_dict() == {512.0: 3.0, 1024.0: 2.0, 2048.0: 1.0}
    assert run.history("loss", axis="tokens", start=1000)["loss"].tolist() == [2.0, 1.0]
    assert run.history("loss", axis="tokens").index.name == "tokens"


def test_tokens_axis_of_a_run_without_a_count_says_so(
    store: Store, view: StoreView, batch_of: Any, points_of: Any
) -> None:
    store.append(batch_of({"loss": points_of([1.0])}))
    with pytest.raises(SettingsError, match="no count of tokens"):
        view.run("run").history("loss", axis="tokens")


def test_a_resumed_run_shows_what_it_went_on_with(resumed: None, view: StoreView) -> None:
    run = view.run("run")
    assert run.history("loss")["loss"].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, *range(100, 108)]
    assert run.history("loss", generation="superseded")["loss"].to_dict() == {step: step for step in range(5, 10)}


def test_both_ends_of_a_range_are_in_it(store: Store, view: StoreView, batch_of: Any, points_of: Any) -> None:
    store.append(batch_of({"loss": points_of(np.arange(100.0))}))
    run = view.run("run")
    assert run.history("loss", start=10, stop=12).index.tolist() == [10, 11, 12]
    assert run.history("loss", start=np.int64(98)).index.tolist() == [98, 99]
    by_text = run.history("loss", axis="time", stop="1970-01-01 00:16:42")
    assert by_text["loss"].tolist() == [0.0, 1.0, 2.0]
    assert run.history("loss", axis="time", stop=1002.0).equals(by_text)
    assert run.history("loss", start=500).empty


RANKED = {
    "loss": ([1.0, 2.0, math.nan], [0, 1, 2]),
    "rank/1/loss": ([3.0, 4.0, 5.0], [0, 1, 2]),
    "rank/10/loss": ([8.0], [1]),
    "rank/1/only/there": ([6.0, 7.0], [0, 3]),
}


@pytest.mark.parametrize(
    ("how", "expected"),
    [("mean", [2.0, 14 / 3]), ("min", [1.0, 2.0]), ("max", [3.0, 8.0]), ("sum", [4.0, 14.0])],
)
def test_ranks_are_merged_over_those_that_logged(
    store: Store, view: StoreView, batch_of: Any, points_of: Any, how: Any, expected: list[float]
) -> None:
    store.append(batch_of({key: points_of(*series) for key, series in RANKED.items()}))
    run = view.run("run")
    table = run.history(["loss", "only/there"], ranks=how)
    assert table["loss"].tolist()[:2] == pytest.approx(expected)
    assert math.isnan(table["loss"][2])
    assert table["only/there"].dropna().to_dict() == {0: 6.0, 3: 7.0}
    assert run.history(ranks=how).columns.tolist() == ["loss"]
    with pytest.raises(UnknownKey):
        run.history("only/there")


def test_ranks_stay_apart_where_nobody_asks(store: Store, view: StoreView, batch_of: Any, points_of: Any) -> None:
    store.append(batch_of({key: points_of(*series) for key, series in RANKED.items()}))
    run = view.run("run")
    assert run.history().columns.tolist() == ["loss"]
    assert run.history()["loss"].tolist()[:2] == [1.0, 2.0]
    assert run.history("rank/*").columns.tolist() == ["rank/1/loss", "rank/1/only/there", "rank/10/loss"]


@pytest.mark.parametrize("samples", [FEWEST, 100, 1000])
def test_few_rows_of_a_long_run_show_every_spike_and_nan(
    store: Store, view: StoreView, batch_of: Any, points_of: Any, samples: int
) -> None:
    values = np.random.default_rng(3).normal(2.0, 0.1, 20_000)
    spiked, odd = values.copy(), values.copy()
    spiked[[4321, 17_000]] = [50.0, -50.0]
    odd[[100, 9_000, 19_999]] = [math.nan, math.inf, -math.inf]
    store.append(batch_of({"spiked": points_of(spiked), "odd": points_of(odd), "rare": points_of([7.0], [12_345])}))
    table = view.run("run").history(samples=samples)
    assert len(table) <= samples
    assert len(table) >= samples - 5
    assert table.index.is_monotonic_increasing
    assert table.index.is_unique
    assert (table["spiked"].max(), table["spiked"].min()) == (50.0, -50.0)
    assert set(table["spiked"].dropna()) <= set(spiked)
    assert (table["odd"].max(), table["odd"].min()) == (math.inf, -math.inf)
    assert table["odd"].isna().any()
    assert not table["spiked"].isna().any()
    assert table["rare"].dropna().unique().tolist() == [7.0]
    width = 2 * 20_000 / (samples // 2 - 3 if samples > 5 else 1)
    assert abs(table["spiked"].idxmax() - 4321) <= width
    assert abs(table["odd"].idxmax() - 9_000) <= width


def test_few_rows_of_a_short_run_are_the_run(store: Store, view: StoreView, batch_of: Any, points_of: Any) -> None:
    store.append(batch_of({"loss": points_of(np.arange(50.0)), "eval": points_of([1.0], [30])}))
    run = view.run("run")
    assert run.history(samples=50).equals(run.history())
    assert len(run.history(samples=49)) <= 49
    assert run.history(samples=49)["loss"].max() == 49.0


def test_few_rows_on_every_axis(store: Store, view: StoreView, batch_of: Any, points_of: Any) -> None:
    values = np.sin(np.arange(9000.0))
    store.append(
        batch_of(
            {"loss": points_of(values), "tokens": points_of(np.arange(9000.0) * 64), "rank/1/loss": points_of(-values)}
        )
    )
    run = view.run("run")
    by_time = run.history("loss", axis="time", samples=300)
    assert by_time["loss"].max() == values.max()
    assert by_time.index[0] >= pd.Timestamp(1000, unit="s", tz="UTC")
    by_tokens = run.history("loss", axis="tokens", samples=300)
    assert by_tokens["loss"].min() == values.min()
    assert 0 <= by_tokens.index[0] <= by_tokens.index[-1] <= 9000 * 64
    assert run.history("loss", samples=300, ranks="sum")["loss"].tolist()[0] == 0.0
    assert run.history("loss", axis="tokens", samples=300, ranks="max")["loss"].max() <= 1.0


def test_few_rows_of_a_resumed_run(resumed: None, view: StoreView) -> None:
    run = view.run("run")
    assert run.history("loss", samples=5)["loss"].max() == 107.0
    assert run.history("loss", samples=5, generation="superseded")["loss"].to_dict() == {
        step: step for step in range(5, 10)
    }


def test_ten_thousand_keys_are_refused_before_they_fill_the_memory(
    sqlite_store: Store, tmp_path: Any, batch_of: Any, points_of: Any
) -> None:
    keys = [f"layer/{number}" for number in range(10_001)]
    sqlite_store.append(batch_of({key: points_of([1.0], [step]) for step, key in enumerate(keys)}))
    run = runvitals.open(tmp_path).run("run")
    with pytest.raises(SettingsError, match=f"10,001 keys would hold 100,020,001 values, more than {MOST_VALUES:,}"):
        run.history()
    few = run.history("layer/1*", samples=100)
    assert few.shape[1] == 1112
    assert len(few) <= 100
    assert few.notna().any().all()
    assert run.history(keys[:3]).shape == (3, 3)


def test_unknown_key_names_what_comes_near(store: Store, view: StoreView, batch_of: Any, points_of: Any) -> None:
    store.append(batch_of({"train/loss": points_of([1.0]), "a[0]*": points_of([2.0]), "a[0]b": points_of([3.0])}))
    run = view.run("run")
    with pytest.raises(UnknownKey, match=r"'train/los'.*such as train/loss"):
        run.history(["train/los"])
    with pytest.raises(UnknownKey, match=r"'gpu/\*'"):
        run.history("gpu/*")
    assert run.history("train/*").columns.tolist() == ["train/loss"]
    assert run.history("a[0]*")["a[0]*"].tolist() == [2.0]
    assert run.history("a[*").columns.tolist() == ["a[0]*", "a[0]b"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"samples": 4}, "samples: expected 5 or more, got 4"),
        ({"axis": "epoch"}, "axis: expected one of step, time, tokens; got 'epoch'"),
        ({"generation": "all"}, "generation: expected one of current, superseded; got 'all'"),
        ({"ranks": "median"}, "ranks: expected one of mean, min, max, sum; got 'median'"),
        ({"start": "yesterday"}, "start or stop: expected a number"),
        ({"stop": math.nan}, "got NaN"),
    ],
)
def test_wrong_argument_says_what_was_expected(
    sqlite_store: Store, tmp_path: Any, batch_of: Any, points_of: Any, arguments: dict[str, Any], message: str
) -> None:
    sqlite_store.append(batch_of({"loss": points_of([1.0])}))
    with pytest.raises(SettingsError, match=message):
        runvitals.open(tmp_path).run("run").history("loss", **arguments)


def test_a_run_deleted_meanwhile_is_an_unknown_run(
    store: Store, view: StoreView, batch_of: Any, points_of: Any
) -> None:
    store.append(batch_of({"loss": points_of([1.0])}))
    run = view.run("run")
    store.delete_run("run")
    for read in (run.keys, run.history, run.events, run.alerts, run.nonfinite):
        with pytest.raises(UnknownRun):
            read()
    assert run.config == {"lr": 1e-4}


def test_a_run_without_series_is_an_empty_table(store: Store, view: StoreView, batch_of: Any) -> None:
    store.append(batch_of())
    run: RunView = view.run("run")
    assert run.history().shape == (0, 0)
    assert run.history(samples=10).shape == (0, 0)
    assert run.nonfinite().empty
    assert run.events().empty


logged = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 20), st.sampled_from([0.0, 1.0, -2.5, math.inf, math.nan])),
    max_size=60,
)


@settings(deadline=None)
@given(rows=logged)
def test_table_is_that_of_a_plain_loop(rows: list[tuple[str, int, float]]) -> None:
    from runvitals.history import _column, _SharedPositions, side_by_side, united
    from runvitals.store.types import SeriesPoints

    plain: dict[str, dict[int, float]] = {}
    for key, step, value in rows:
        plain.setdefault(key, {})[step] = value
    shared = _SharedPositions()
    columns = {}
    for key in plain:
        mine = sorted([row for row in rows if row[0] == key], key=lambda row: row[1])
        steps, values = np.array([row[1] for row in mine]), np.array([row[2] for row in mine])
        columns[key] = _column(SeriesPoints(steps=steps, times_s=steps * 1.0, values=values), shared, "step")
    at = united([column.at for column in columns.values()] or [np.empty(0, np.int64)])
    block = side_by_side(columns, sorted(plain), at)
    assert at.tolist() == sorted({row[1] for row in rows})
    for key, found in zip(sorted(plain), block, strict=True):
        expected = [plain[key].get(step, math.nan) for step in at.tolist()]
        assert repr(found.tolist()) == repr(expected)


kinds = st.lists(
    st.lists(
        st.tuples(st.integers(0, 5000), st.one_of(st.floats(width=64), st.sampled_from([math.nan, math.inf, 1.0]))),
        min_size=1,
        max_size=80,
        unique_by=lambda row: row[0],
    ),
    min_size=1,
    max_size=3,
)


@settings(deadline=None)
@given(series=kinds, samples=st.integers(FEWEST, 40))
def test_thinning_loses_no_extreme_and_no_kind(series: list[list[tuple[int, float]]], samples: int) -> None:
    outlines = {}
    for number, rows in enumerate(series):
        steps, values = zip(*sorted(rows, key=lambda row: row[0]), strict=True)
        outlines[str(number)] = outline_of_values(np.array(steps), np.array(values))
    at, block = thinned(outlines, list(outlines), samples=samples, whole=True)
    assert 0 < at.size <= samples
    assert (np.diff(at) > 0).all()
    for rows, shown in zip(series, block, strict=True):
        values = np.array([value for _, value in rows])
        assert np.isnan(shown).any() >= np.isnan(values).any()
        real = values[~np.isnan(values)]
        assert set(shown[~np.isnan(shown)]) <= set(real)
        if real.size:
            assert (np.nanmin(shown), np.nanmax(shown)) == (real.min(), real.max())
        finite = real[np.isfinite(real)]
        if finite.size:
            shown_finite = shown[np.isfinite(shown)]
            assert (shown_finite.min(), shown_finite.max()) == (finite.min(), finite.max())
