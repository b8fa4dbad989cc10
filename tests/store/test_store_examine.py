"""Each kind of damage in a store is found and named; what is whole is not complained of."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runvitals.store import Store, open_store
from runvitals.store.types import WatcherInfo


@pytest.fixture
def path(tmp_path: Path, batch_of: Any, points_of: Any) -> Path:
    """A closed store with chunks, parts, tails, two levels of summaries, and odd values."""
    found = tmp_path / "runvitals.db"
    store = open_store(f"sqlite:///{found}")
    fill(store, batch_of, points_of)
    store.close()
    return found


def fill(store: Store, batch_of: Any, points_of: Any) -> None:
    values = np.random.default_rng(4).normal(size=45_000)
    values[[5, 600, 44_990]] = [np.nan, np.inf, -np.inf]
    seq = 1
    for start, stop in ((0, 40_000), (40_000, 40_300), (40_300, 44_900), (44_900, 45_000)):
        part = points_of(values[start:stop], range(start, stop))
        store.append(batch_of({"loss": part, "other": part}, first_seq=seq))
        seq += stop - start
    store.append(batch_of({"time": points_of([1.0, 2.0], [-1, -1])}, first_seq=seq))


def complaints(store: Store) -> list[str]:
    return [what for _, found in store.examine("run") for what in found] + store.examine_rest()


@pytest.fixture
def examined(path: Path) -> Iterator[Callable[[], list[str]]]:
    def examine() -> list[str]:
        store = open_store(f"sqlite:///{path}")
        try:
            return complaints(store)
        finally:
            store.close()

    yield examine


def test_a_whole_store_has_nothing_wrong(store: Store, batch_of: Any, points_of: Any) -> None:
    fill(store, batch_of, points_of)
    assert complaints(store) == []
    assert sum(points for points, _ in store.examine("run")) == 90_002
    store.compact("run")
    assert complaints(store) == []


DAMAGE = [
    ("UPDATE blocks SET data = substr(data, 1, 40) WHERE level = 0 AND first = 4096", "level 0, from number 4096"),
    ("UPDATE blocks SET data = zeroblob(40) WHERE level = -1", "level -1"),
    ("UPDATE blocks SET data = zeroblob(40) WHERE level = 1 AND first = 512", "level 1, from number 512"),
    ("UPDATE tails SET data = substr(data, 1, length(data) - 5)", "whole points"),
    ("DELETE FROM blocks WHERE level = 0 AND first = 4096", "expected number 4096, got 8192"),
    ("DELETE FROM blocks WHERE level = -1", "expected 45000 points, got"),
    ("DELETE FROM blocks WHERE level = 1 AND first = 0", "level 1: expected number 0, got 512"),
    ("DELETE FROM blocks WHERE level = 2", "level 2: expected 64 buckets, got 0"),
    ("DELETE FROM tails", "expected 45000 points, got"),
    ("UPDATE blocks SET max_step = max_step - 1 WHERE level = 0 AND first = 0", "range of steps and times"),
    ("UPDATE series SET count = count + 1", "expected 45001 points"),
    ("UPDATE series SET best_min = best_min - 1", "lowest, highest"),
    ("UPDATE series SET nonfinite = 0", "number of non-finite"),
    ("UPDATE series SET value_bits = 0", "newest point"),
    ("DELETE FROM clocks WHERE id = 1", "steps and times numbered 1 are missing"),
    ("UPDATE clocks SET data = zeroblob(9) WHERE id = 1", "steps and times numbered 1"),
    ("DELETE FROM runs", "series of no run"),
    ("DELETE FROM series WHERE key = 'other'", "blocks of no series"),
    ("INSERT INTO clocks (run_id, data) VALUES ('run', zeroblob(3))", "1 clocks of no block"),
    (
        "UPDATE blocks SET data = (SELECT data FROM blocks b WHERE b.level = 0 AND b.first = 4096 LIMIT 1)"
        " WHERE level = 0 AND first = 0",
        "are not those of the points",
    ),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGE)
def test_damage_is_found_and_named(path: Path, examined: Callable[[], list[str]], damage: str, message: str) -> None:
    assert examined() == []
    connection = sqlite3.connect(path)
    assert connection.execute(damage).rowcount > 0
    connection.commit()
    connection.close()
    found = examined()
    assert any(message in what for what in found), found


def test_a_damaged_page_is_found_by_the_database_s_own_check(path: Path) -> None:
    connection = sqlite3.connect(path)
    (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'series_by_key'").fetchone()
    (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    content = bytearray(path.read_bytes())
    content[(root - 1) * page_bytes + 3 : (root - 1) * page_bytes + 5] = b"\x00\x00"  # the index has no rows any more
    path.write_bytes(content)
    store = open_store(f"sqlite:///{path}")
    assert any("SQLite's own check" in what for what in store.examine_rest())
    store.close()


def watcher(name: str, pass_s: float) -> WatcherInfo:
    return WatcherInfo(id=name, host="h", pid=1, started_s=0.0, pass_s=pass_s, behind_bytes=0, rules=1)


def test_tidying_removes_what_nobody_needs_and_only_that(store: Store, batch_of: Any, points_of: Any) -> None:
    fill(store, batch_of, points_of)
    store.watcher_beat(watcher("dead", 1e6 - 7200))
    store.watcher_beat(watcher("alive", 1e6 - 2))
    store.lease("run", "someone", 1e6 - 1, 1e6 - 10)
    store.lease("other", "someone", 1e6 + 9, 1e6)
    before = store.read("run", "loss").values.tobytes()
    would = store.tidy(now_s=1e6, dry_run=True)
    assert {rest.what for rest in would} == {"dead watchers", "leases that ran out"}
    assert len(store.watchers()) == 2
    assert store.tidy(now_s=1e6) == would
    assert [info.id for info in store.watchers()] == ["alive"]
    assert not store.lease("other", "me", 1e6 + 20, 1e6)
    assert store.tidy(now_s=1e6) == []
    assert store.read("run", "loss").values.tobytes() == before
    assert complaints(store) == []


def test_tidying_removes_orphans(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM runs")
    connection.commit()
    connection.close()
    store = open_store(f"sqlite:///{path}")
    assert store.examine_rest()
    assert sum(rest.bytes for rest in store.tidy(now_s=0.0)) > 500_000
    assert store.examine_rest() == []
    assert store.free_bytes() > 500_000
    store.close()


def test_rewriting_the_file_gives_its_free_space_back(path: Path) -> None:
    store = open_store(f"sqlite:///{path}")
    store.delete_run("run")
    free = store.free_bytes()
    assert free > 500_000
    size = store.describe()["bytes"]
    store.vacuum()
    assert store.free_bytes() == 0
    assert store.describe()["bytes"] <= size - free
    store.close()
    assert path.stat().st_size <= size - free
