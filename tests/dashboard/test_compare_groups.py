"""Groups of runs: who is in which, and mean and spread over runs that may end early."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from runvitals.dashboard.compare_groups import band, groups_of, said_of
from runvitals.dashboard.compare_read import Curve
from runvitals.dashboard.compare_state import SEEDS, place_text
from runvitals.store.types import RunInfo


def run(name: str, **config: Any) -> RunInfo:
    return RunInfo(
        id=name, project="p", name=name, trainer="dpo", status="finished", phase="", health="healthy", created_s=0.0,
        ended_s=None, beat_s=None, last_step=None, last_step_s=None, max_steps=None, color=0, config=config, info={},
        rules=(), finding="", alerts=0, revision=0,
    )  # fmt: skip


def curve(values: list[float], x: list[float] | None = None) -> Curve:
    mean = np.array(values, dtype=float)
    places = np.arange(float(mean.size)) if x is None else np.array(x, dtype=float)
    kinds = np.where(np.isnan(mean), 1, 0).astype(np.uint8)
    return Curve(
        x=places, mean=mean, low=mean, high=mean, count=np.ones(mean.size, dtype=np.int64), kinds=kinds,
        steps=places.astype(np.int64), exact=True,
    )  # fmt: skip


RUNS = [
    run("a", learning_rate=0.1, seed=1, optim={"name": "sgd"}, output_dir="/a"),
    run("b", learning_rate=0.01, seed=1, optim={"name": "sgd"}, output_dir="/b"),
    run("c", learning_rate=0.1, seed=2, optim={"name": "sgd"}, output_dir="/c"),
    run("d", learning_rate=0.002, seed=1, optim={"name": "adam"}, output_dir="/d"),
]


def test_runs_are_grouped_by_a_setting_the_baselines_group_first_then_by_size() -> None:
    found = groups_of(RUNS, ["learning_rate"])
    assert [(group.name, group.members) for group in found] == [
        ("learning_rate 0.1", (0, 2)),
        ("learning_rate 0.002", (3,)),
        ("learning_rate 0.01", (1,)),
    ]


def test_a_nested_setting_groups_too_and_two_settings_make_finer_groups() -> None:
    assert [group.members for group in groups_of(RUNS, ["optim.name"])] == [(0, 1, 2), (3,)]
    assert len(groups_of(RUNS, ["optim.name", "seed"])) == 3


def test_seeds_of_one_setting_are_one_group_named_by_what_tells_the_groups_apart() -> None:
    found = groups_of(RUNS, [SEEDS])
    assert [group.members for group in found] == [(0, 2), (3,), (1,)]
    # The optimiser goes with the learning rate, so naming it would only make the name longer.
    assert found[0].name == "learning_rate 0.1"


def test_runs_without_the_setting_are_a_group_of_their_own() -> None:
    assert [group.name for group in groups_of([*RUNS, run("e")], ["learning_rate"])][-1] == "learning_rate —"


def test_mean_and_deviation_are_those_of_numpy() -> None:
    values = np.random.default_rng(1).normal(size=(5, 30))
    found = band([curve(list(row)) for row in values], "std")
    assert found is not None
    np.testing.assert_allclose(found.mean, values.mean(axis=0))
    np.testing.assert_allclose(found.high - found.mean, values.std(axis=0, ddof=1))
    assert (found.n == 5).all()


def test_the_interval_covers_the_true_mean_about_as_often_as_it_says() -> None:
    values = np.random.default_rng(2).normal(size=(4, 100))
    hits = []
    for start in range(0, 100, 20):
        found = band([curve(list(row[start : start + 20])) for row in values], "interval")
        assert found is not None
        hits += list((found.low <= 0) & (found.high >= 0))
    assert 0.88 <= np.mean(hits) <= 1.0


def test_where_runs_end_early_the_number_falls_and_is_said() -> None:
    found = band([curve([1.0] * 10), curve([3.0] * 6), curve([5.0] * 10)], "std")
    assert found is not None
    assert found.n.tolist() == [3] * 6 + [2] * 4
    assert found.mean.tolist() == [3.0] * 10
    assert said_of(found, lambda place: place_text(place, "step")) == "n 3, 2 from step 6"


def test_a_value_that_is_not_finite_is_left_out_of_the_mean_and_kept_as_a_mark() -> None:
    found = band([curve([1.0, 1.0, 1.0]), curve([3.0, float("nan"), 3.0])], "std")
    assert found is not None
    assert found.mean.tolist() == [2.0, 1.0, 2.0]
    assert found.n.tolist() == [2, 1, 2] and found.kinds.tolist() == [0, 1, 0]


def test_a_run_is_interpolated_between_its_rows_and_not_beyond_them() -> None:
    found = band([curve([0.0, 0.0, 0.0, 0.0], [0, 1, 2, 3]), curve([2.0, 6.0], [0, 2])], "std")
    assert found is not None
    assert found.mean.tolist() == [1.0, 2.0, 3.0, 0.0]
    assert found.n.tolist() == [2, 2, 2, 1]


def test_runs_logged_at_other_places_meet_in_cells() -> None:
    one = curve([1.0] * 500, list(np.linspace(0, 1000, 500)))
    two = curve([3.0] * 333, list(np.linspace(7, 1000, 333)))
    found = band([one, two], "std")
    assert found is not None and found.x.size <= 120
    np.testing.assert_allclose(found.mean[1:-1], 2.0)


def test_there_is_no_interval_of_two_runs_and_no_band_where_most_are_missing() -> None:
    two = band([curve([1.0] * 9), curve([2.0] * 9)], "interval")
    assert two is not None and (two.low == two.mean).all()
    most = band([curve([1.0] * 9), curve([2.0] * 9), *[curve([3.0] * 4) for _ in range(3)]], "std")
    assert most is not None
    assert (most.high > most.mean)[:4].all() and (most.high == most.mean)[4:].all()


def test_a_share_stays_a_share() -> None:
    found = band([curve([0.5] * 9), curve([1.0] * 9), curve([1.0] * 9)], "std", share=True)
    assert found is not None and found.high.max() == 1.0


@pytest.mark.parametrize("values", [[], [float("nan")] * 5], ids=["no row", "only NaN"])
def test_a_group_without_a_finite_value_has_no_curve(values: list[float]) -> None:
    assert band([curve(values)], "std") is None
