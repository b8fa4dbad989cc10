"""A watcher that is behind: it stores first, diagnoses afterwards, and lets nobody wait for either."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from runvitals.collectors.options import Options
from runvitals.collectors.records import NO_STEP, Rows
from runvitals.collectors.run import Run
from runvitals.watch import tail
from runvitals.watch.batches import make_batch
from runvitals.watch.diagnosis import SLICE_ITEMS
from runvitals.watch.leases import LEASE_S

LONG = 5 * SLICE_ITEMS


class Timer:
    """A steady clock by which every look takes a second, so that each pass gives the fewest turns."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 1.0
        return self.now_s


@pytest.fixture
def small_reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Journals are read in pieces of 100 kB, so that a short run is a long one."""
    monkeypatch.setitem(tail.Tail.read.__kwdefaults__, "max_bytes", 100_000)
    yield


def test_rows_are_all_stored_long_before_they_are_diagnosed(scene: Any, small_reads: None) -> None:
    run = scene.run()
    run.event("trainer", {"kind": "sft", "max_steps": 10 * LONG})
    scene.train(run, range(1, LONG + 1), step_s=0.1)
    watcher = scene.watcher(timer=Timer())
    passes = []
    while not passes or passes[-1].catching_up:
        done = watcher.step()
        passes.append(done)
        info = scene.store.run(run.id)
        passes[-1].failed["status"] = f"{info.status} {bool(info.rules)} {info.last_step}"
    stored = next(number for number, done in enumerate(passes) if done.behind_bytes == 0)
    assert sum(done.rows for done in passes[: stored + 1]) == LONG
    assert len(passes) - stored >= LONG / SLICE_ITEMS - 1
    assert passes[0].behind_bytes > 0
    # No rule has said anything yet, but the run is seen to live.
    assert passes[stored].failed["status"] == f"running False {LONG}"
    assert passes[-1].failed["status"] == f"running True {LONG}"
    run.finish()


def test_live_run_does_not_wait_for_one_that_is_behind(scene: Any, small_reads: None) -> None:
    live, long = scene.run("live"), scene.run("long")
    scene.train(live, range(1, 11))
    watcher = scene.watcher(timer=Timer())
    watcher.run_once()
    scene.train(long, range(1, LONG + 1), step_s=0.1)
    for step in range(11, 31):
        scene.train(live, range(step, step + 1))
        done = watcher.step()
        assert scene.store.run(live.id).last_step == step
        assert done.catching_up or step > 14
    live.finish()
    watcher.run_once()
    assert not live.path.exists()
    assert scene.store.run(long.id).last_step == LONG
    long.finish()


def test_runs_that_are_behind_take_turns(scene: Any, small_reads: None) -> None:
    runs = [scene.run(str(number)) for number in range(3)]
    for run in runs:
        scene.train(run, range(1, LONG + 1), step_s=0.1)
    watcher = scene.watcher(timer=Timer())
    for _ in range(3):
        watcher.step()
    assert len({info.last_step for info in scene.store.runs()}) == 1
    watcher.run_once()
    assert {info.last_step for info in scene.store.runs()} == {LONG}
    for run in runs:
        run.finish()


def test_alerts_of_a_run_read_late_are_those_of_one_watched_live(scene: Any, scene_in: Any, tmp_path: Any) -> None:
    def record(scene: Any, watcher: Any) -> None:
        options = Options(run_id="the-run", sample=False, heartbeat_s=3600.0, clock=scene.clock)
        run = Run(scene.journals, "p", name="one", options=options)
        run.event("trainer", {"kind": "sft", "max_steps": LONG})
        for start in range(1, LONG, 500):
            bad = start // 500 in (3, 9, 10)
            scene.train(run, range(start, start + 3), loss=math.nan if bad else None)
            scene.train(run, range(start + 3, start + 500), step_s=0.1)
            if watcher is not None:
                watcher.run_once()
        run.finish()

    other = scene_in(tmp_path / "late")
    record(scene, scene.watcher())
    scene.watcher().run_once()
    record(other, None)
    other.watcher().run_once()
    live, late = (
        [(row.id, row.state, row.severity, row.detail["sentence"]) for row in one.store.alerts(run_id="the-run")]
        for one in (scene, other)
    )
    assert sorted(live) == sorted(late)
    assert len(live) >= 2


def test_lease_that_stands_still_is_taken_over_however_far_its_owners_clock_is_ahead(scene: Any) -> None:
    run = scene.run()
    scene.train(run, range(1, 6))
    timer = Timer()
    ahead = scene.watcher(clock=lambda: scene.clock.now_s + 3600.0)
    mine = scene.watcher(timer=timer)
    assert ahead.step().rows == 5
    scene.train(run, range(6, 11))
    assert mine.step().elsewhere == {run.id}
    scene.clock.now_s += 5.0
    ahead.step()  # it lives: its lease moves
    timer.now_s += LEASE_S + 1
    assert mine.step().elsewhere == {run.id}
    timer.now_s += LEASE_S + 1
    assert mine.step().elsewhere == set()  # it has not moved since
    scene.train(run, range(11, 16))
    mine.step()
    assert scene.store.read(run.id, "loss").steps.tolist() == list(range(1, 16))
    run.finish()


@pytest.mark.parametrize("skew_s", [-3600.0, -5.0, 5.0, 3600.0])
def test_two_watchers_whose_clocks_differ_store_and_tell_everything_once(scene: Any, skew_s: float) -> None:
    run = scene.run()
    run.event("trainer", {"kind": "sft", "max_steps": 1000})
    timer = Timer()
    watchers = [
        scene.watcher(timer=timer),
        scene.watcher(timer=timer, clock=lambda: scene.clock.now_s + skew_s),
    ]
    for start in range(1, 101, 4):
        scene.train(run, range(start, start + 4), loss=math.nan if start > 60 else None)
        if start == 41:
            scene.clock.now_s -= 1800.0
        for watcher in watchers:
            watcher.step()
    run.finish()
    for _ in range(20):
        scene.clock.now_s += 1.0
        for watcher in watchers:
            watcher.step()
    for watcher in watchers:
        watcher.run_once(pause=lambda _: None)
    assert scene.store.read(run.id, "loss", axis="time").values.size == 100
    assert scene.store.run(run.id).status == "finished"
    (row,) = [row for row in scene.store.alerts(run_id=run.id) if row.rule == "non_finite"]
    assert (row.id, "firing critical") in scene.store.told(run.id, "console")
    assert len(scene.lines) == len(set(scene.lines))
    assert not run.path.exists()


def block(first_seq: int, keys: tuple[str, ...], rows: int) -> Rows:
    table = np.zeros(rows, dtype=[("time_s", "<f8"), ("step", "<i8"), ("values", "<f8", (len(keys),))])
    table["time_s"] = table["step"] = np.arange(first_seq, first_seq + rows)
    table["values"] = table["time_s"][:, None] * 100 + [sum(map(ord, key)) % 100 for key in keys]
    return Rows(first_seq=first_seq, count=rows, keys=keys, body=table.tobytes())


def test_series_of_the_same_rows_share_their_steps_times_and_table() -> None:
    ab, bc, d = ("a", "b"), ("b", "c"), ("d",)
    records = [block(1, ab, 3), block(4, bc, 2), block(6, d, 1), block(7, ab, 1), block(8, bc, 4)]
    series = make_batch(records, run_id="r", writer_id="w", position={}).series
    expected: dict[str, list[tuple[int, float]]] = {}
    for record in records:  # a plain second computation
        row = np.frombuffer(record.body).reshape(record.count, -1)
        for number in range(record.count):
            for key, value in zip(record.keys, row[number, 2:], strict=True):
                expected.setdefault(key, []).append((record.first_seq + number, float(value)))
    assert {
        key: list(zip(one.steps.tolist(), one.values.tolist(), strict=True)) for key, one in series.items()
    } == expected
    assert series["a"].steps is not series["b"].steps
    many = make_batch([block(1, ("x", "y", "z"), 5)], run_id="r", writer_id="w", position={}).series
    assert many["x"].steps is many["y"].steps is many["z"].steps
    assert many["x"].times_s is many["z"].times_s
    assert many["x"].values.base is many["z"].values.base
    assert all(one.steps.min() > NO_STEP for one in series.values())


def test_leftover_of_a_killed_removal_is_not_read_again(scene: Any) -> None:
    run = scene.run()
    scene.train(run, range(1, 6))
    run.finish()
    (file,) = run.path.glob("*.rvj")
    scene.watcher().run_once()
    assert not run.path.exists()
    run.path.mkdir()
    file.write_bytes(b"what was left of it")
    run.path.with_name(f"{run.id}.removed").write_text(f'["{file.name}"]')
    second = Run(scene.journals, "p", options=Options(run_id=run.id, sample=False, clock=scene.clock))
    scene.train(second, range(6, 11))
    scene.watcher().run_once()
    assert not file.exists()
    assert scene.store.read(run.id, "loss").steps.tolist() == list(range(1, 11))
    second.finish()
