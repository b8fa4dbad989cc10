"""Only what is new: a cursor walks through tail, parts and chunks and never misses or repeats a point."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from runvitals.errors import StoreError
from runvitals.store import Store
from runvitals.store.types import Generation

GENERATIONS: tuple[Generation, ...] = ("current", "superseded", "all")


def test_a_walk_with_a_cursor_gives_every_point_once(store: Store, batch_of: Any, points_of: Any) -> None:
    generator = np.random.default_rng(3)
    cursor: dict[str, int] = {"loss": 0}
    seen: list[float] = []
    at = 0
    while at < 12_000:
        size = int(generator.choice([1, 5, 90, 300, 2_500]))
        values = np.arange(at, at + size, dtype=float)
        store.append(batch_of({"loss": points_of(values)}, first_seq=at + 1))
        at += size
        if generator.random() < 0.6:
            delta = store.since("run", ["loss"], cursor)
            assert not delta.reset
            seen += delta.points["loss"].values.tolist() if "loss" in delta.points else []
            cursor = dict(delta.cursor)
    store.append(batch_of({"loss": points_of([float(at)])}, first_seq=at + 1))
    seen += store.since("run", ["loss"], cursor).points["loss"].values.tolist()
    assert seen == list(range(at + 1))


def test_any_cursor_gives_the_points_after_it(store: Store, batch_of: Any, points_of: Any) -> None:
    store.append(batch_of({"loss": points_of(np.arange(5000.0))}))
    store.append(batch_of({"loss": points_of(np.arange(5000.0, 5300.0))}, first_seq=5001))
    store.append(batch_of({"loss": points_of([5300.0])}, first_seq=5301))
    for number in (0, 1, 4095, 4096, 4097, 4999, 5000, 5299, 5300):
        found = store.since("run", ["loss"], {"loss": number}).points["loss"].values
        assert found.tolist() == list(range(number, 5301))


def test_nothing_new_gives_no_points(store: Store, batch_of: Any, points_of: Any) -> None:
    store.append(batch_of({"loss": points_of([1.0])}))
    delta = store.since("run", ["loss", "absent"], {"loss": 1})
    assert (dict(delta.points), dict(delta.cursor), delta.reset) == ({}, {"loss": 1, "absent": 0}, False)


def test_a_cursor_ahead_of_the_store_is_void(store: Store, batch_of: Any, points_of: Any) -> None:
    store.append(batch_of({"loss": points_of([1.0])}))
    delta = store.since("run", ["loss"], {"loss": 9})
    assert (delta.reset, dict(delta.points), dict(delta.cursor)) == (True, {}, {"loss": 1})
    with pytest.raises(StoreError):
        store.since("run", ["loss"], {"loss": -1})


def test_a_run_that_goes_back_is_told_and_keeps_both_generations(store: Store, batch_of: Any, points_of: Any) -> None:
    store.append(batch_of({"loss": points_of([0.0, 1.0, 2.0, 3.0]), "lr": points_of([0.1])}))
    cursor = store.drawn("run", ["loss", "lr"], n=10).cursor
    store.append(batch_of({"loss": points_of([20.0, 30.0], steps=[2, 3]), "lr": points_of([0.2], [1])}, first_seq=5))
    found = {generation: store.read("run", "loss", start=2, generation=generation) for generation in GENERATIONS}
    assert {generation: points.values.tolist() for generation, points in found.items()} == {
        "current": [20.0, 30.0],
        "superseded": [2.0, 3.0],
        "all": [2.0, 20.0, 3.0, 30.0],
    }
    assert store.drawn("run", ["loss", "lr"], n=10).rewound == {"loss"}
    delta = store.since("run", ["loss", "lr"], cursor)
    assert (delta.rewound, delta.points["loss"].values.tolist()) == ({"loss"}, [20.0, 30.0])
    assert store.since("run", ["loss", "lr"], delta.cursor).rewound == set()
