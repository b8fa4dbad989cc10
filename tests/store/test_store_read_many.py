"""Several series read at once are what each read alone gives, of one moment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from runvitals.errors import UnknownRun
from runvitals.store import Store


def test_many_series_are_each_as_read_alone(store: Store, batch_of: Any, points_of: Any) -> None:
    steps = list(range(5000))
    shared = {f"train/{name}": points_of(np.sin(np.arange(5000) * name), steps) for name in range(1, 4)}
    sparse = {"eval/loss": points_of([3.0, 2.0], [100, 4000]), "gpu": points_of([1.0], [-1])}
    store.append(batch_of({**shared, **sparse}))
    keys = [*shared, *sparse, "none"]
    for asked in ({}, {"start": 90.0, "stop": 4096.0}, {"axis": "time", "start": 1001.0}):
        many = store.read_many("run", keys, **asked)  # type: ignore[arg-type]
        assert set(many) == {*shared, *sparse}
        for key, points in many.items():
            alone = store.read("run", key, **asked)  # type: ignore[arg-type]
            assert points.steps.tolist() == alone.steps.tolist()
            assert points.times_s.tolist() == alone.times_s.tolist()
            assert points.values.tolist() == alone.values.tolist()


def test_tokens_stand_at_their_steps(store: Store, batch_of: Any, points_of: Any) -> None:
    store.append(batch_of({"tokens": points_of([100.0, 200.0, 400.0], [1, 2, 3])}))
    found = store.tokens_at("run", np.array([1, 2, 3]))
    assert found is not None
    assert found.tolist() == [100.0, 200.0, 400.0]


def test_run_without_a_token_count_has_no_tokens_axis(store: Store, batch_of: Any, points_of: Any) -> None:
    store.append(batch_of({"loss": points_of([1.0])}))
    assert store.tokens_at("run", np.array([0])) is None
    assert store.read_many("run", ["loss"], axis="tokens")["loss"].values.size == 0
    with pytest.raises(UnknownRun):
        store.read_many("no run", ["loss"])


@pytest.mark.parametrize("outside", [{"start": 401.0}, {"stop": 99.0}])
def test_points_beyond_the_count_are_not_in_a_range_beyond_it(
    store: Store, batch_of: Any, points_of: Any, outside: dict[str, float]
) -> None:
    """Steps before the first count and after the last stand at those counts, as they are drawn."""
    tokens = points_of([100.0, 200.0, 300.0, 400.0], [2, 3, 4, 5])
    store.append(batch_of({"loss": points_of(range(10)), "tokens": tokens}))
    assert store.read("run", "loss", axis="tokens", **outside).steps.tolist() == []  # type: ignore[arg-type]
    assert store.envelope("run", ["loss"], n=5, axis="tokens", **outside)["loss"].x.size == 0  # type: ignore[arg-type]
    assert store.read("run", "loss", axis="tokens", start=400.0).steps.tolist() == [5, 6, 7, 8, 9]
    assert store.read("run", "loss", axis="tokens", stop=100.0).steps.tolist() == [0, 1, 2]
