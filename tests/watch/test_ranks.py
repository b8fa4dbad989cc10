"""Several processes write one run: what each said stays apart, and the first rank speaks for the training."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runvitals.collectors.options import Options
from runvitals.collectors.run import Run
from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.replay import replay
from runvitals.diagnostics.types import RunContext
from runvitals.store.types import AlertRow
from runvitals.stored_rows import stored_stream

RANK = """
import os, socket, sys
from pathlib import Path
host = "node-a" if int(os.environ["RANK"]) < 2 else "node-b"
socket.gethostname = lambda: host  # two machines, as far as this run can see
from runvitals.collectors.options import Options
from runvitals.collectors.run import Run
rank = int(os.environ["RANK"])
run = Run(Path(sys.argv[1]), "p", name="ranks", options=Options(run_id="the-run", sample=False, heartbeat_s=3600.0))
for step in range(1, 21):
    run.log({"loss": rank + step / 100}, step=step)
if os.environ["LOCAL_RANK"] == "0":
    run.log({"gpu/0/utilization": 90.0 + rank, "gpu/0/memory_used_gib": 10.0, "host/cpu_percent": 10.0 + rank})
run.finish()
"""


def record(scene: Any, monkeypatch: pytest.MonkeyPatch, rank: int) -> Run:
    """This process as another rank of the run."""
    monkeypatch.setenv("RANK", str(rank))
    options = Options(run_id="the-run", sample=False, heartbeat_s=3600.0, clock=scene.clock)
    return Run(scene.journals, "p", name="ranks", options=options)


def alerts(scene: Any) -> list[AlertRow]:
    return [row for row in scene.store.alerts(run_id="the-run") if row.severity != "info"]


def test_four_processes_on_two_hosts_keep_their_series_apart(scene: Any) -> None:
    processes = []
    for rank in range(4):
        environ = {**os.environ, "RANK": str(rank), "LOCAL_RANK": str(rank % 2), "WORLD_SIZE": "4"}
        processes.append(subprocess.Popen([sys.executable, "-c", RANK, str(scene.journals)], env=environ))
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0, 0]
    scene.clock.now_s = next(scene.journals.glob("*/*.rvj")).stat().st_mtime
    scene.watcher().run_once()
    keys = scene.store.keys("the-run")
    assert set(keys) == {
        *("loss", "gpu/0/utilization", "gpu/0/memory_used_gib", "host/cpu_percent"),
        *("rank/1/loss", "rank/2/loss", "rank/3/loss"),
        *("node/node-b/gpu/0/utilization", "node/node-b/gpu/0/memory_used_gib", "node/node-b/host/cpu_percent"),
    }
    for rank in range(4):
        read = scene.store.read("the-run", f"rank/{rank}/loss" if rank else "loss")
        assert read.values.tolist() == [rank + step / 100 for step in range(1, 21)]
    assert keys["gpu/0/utilization"].value == 90.0
    assert keys["node/node-b/gpu/0/utilization"].value == 92.0
    assert scene.store.run("the-run").status == "finished"
    assert not any(scene.journals.iterdir())


def test_restarted_watcher_knows_whose_rows_it_reads(scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ranks = [record(scene, monkeypatch, rank) for rank in range(2)]
    for step in range(1, 21):
        scene.clock.now_s += 1.0
        for rank in ranks:
            rank.log({"loss": float(step)}, step=step)
        if step % 5 == 0:
            watcher = scene.watcher()
            watcher.run_once()
    assert scene.store.read("the-run", "rank/1/loss").steps.tolist() == list(range(1, 21))
    assert scene.store.read("the-run", "loss").steps.tolist() == list(range(1, 21))
    for rank in ranks:
        rank.finish()


def test_rules_read_the_first_ranks_numbers_only(scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first, other = (record(scene, monkeypatch, rank) for rank in range(2))
    first.event("trainer", {"kind": "sft", "max_steps": 100})
    first.phase("train")
    for step in range(1, 41):
        scene.clock.now_s += 1.0
        first.log({"loss": 1.0 + 0.01 * math.sin(step)}, step=step)
        other.log({"loss": math.nan}, step=1000 - step)
    scene.watcher().run_once()
    assert alerts(scene) == []
    assert scene.store.run("the-run").phase == "train"
    assert scene.store.run("the-run").last_step == 40
    first.finish()
    other.finish()


def test_run_ends_with_its_last_rank_and_as_the_worst_of_them(scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first, other = (record(scene, monkeypatch, rank) for rank in range(2))
    scene.train(first, range(1, 11))
    watcher = scene.watcher()
    watcher.run_once()
    first.finish()
    watcher.run_once()
    assert scene.store.run("the-run").status == "running"
    assert scene.journals.joinpath("the-run").exists()
    other.note_exception(RuntimeError("CUDA error: an illegal memory access"))
    other.end()
    watcher.run_once()
    assert scene.store.run("the-run").status == "crashed"
    assert [row.rule for row in alerts(scene)] == ["run_crashed"]
    assert not any(scene.journals.iterdir())


def test_ranks_read_anew_are_judged_as_they_were_live(scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first, other = (record(scene, monkeypatch, rank) for rank in range(2))
    first.event("trainer", {"kind": "sft", "max_steps": 200})
    watcher = scene.watcher()
    for step in range(1, 121):
        scene.clock.now_s += 30.0 if step == 70 else 1.0
        for rank in (first, other):
            rank.log({"loss": 30.0 + step if step > 80 else 2.0 / (1 + 0.05 * step)}, step=step)
        other.log({"gpu/0/utilization": 20.0})
        if step % 3 == 0:
            watcher.step()
    watcher.run_once()
    live = sorted((row.id, row.state, row.severity) for row in scene.store.alerts(run_id="the-run"))
    assert live
    watcher.close()
    scene.watcher().run_once()
    assert sorted((row.id, row.state, row.severity) for row in scene.store.alerts(run_id="the-run")) == live
    first.finish()
    other.finish()


def test_launch_that_comes_back_with_fewer_ranks_ends_the_run(scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    killed = [record(scene, monkeypatch, rank) for rank in range(4)]
    for rank in killed:
        rank.log({"loss": 1.0}, step=1)
    scene.clock.now_s += 60.0
    monkeypatch.setenv("WORLD_SIZE", "2")
    again = [record(scene, monkeypatch, rank) for rank in range(2)]
    scene.train(again[0], range(2, 12))
    again[0].finish()
    again[1].finish()
    scene.alive = False
    scene.watcher().run_once()
    assert scene.store.run("the-run").status == "finished"
    assert alerts(scene) == []
    assert not any(scene.journals.iterdir())
    for rank in killed:
        rank.finish()


def training_with_a_straggler(scene: Any, monkeypatch: pytest.MonkeyPatch, *, passes: int) -> list[Run]:
    """Two ranks over 200 steps of 3 s, of which the second spends longer on its batches; a watcher looks now and then, and starts anew."""
    ranks = [record(scene, monkeypatch, rank) for rank in range(2)]
    ranks[0].event("trainer", {"kind": "sft", "max_steps": 200})
    ranks[0].phase("train")
    for step in range(1, 201):
        scene.clock.now_s += 3.0
        for rank, run in enumerate(ranks):
            run.log({"perf/step_time_s": 3.0, "perf/data_wait_s": 0.1 + 0.9 * rank + 0.01 * math.sin(step)}, step=step)
            scene.clock.now_s += 0.001
        if passes and step % (200 // passes) == 0:
            watcher = scene.watcher()
            watcher.run_once()
            watcher.close()
    return ranks


def test_straggler_is_found_live_after_restarts_late_and_in_a_back_test(
    tmp_path: Path, scene_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = []
    for name, passes in (("late", 0), ("live", 13)):
        scene = scene_in(tmp_path / name)
        ranks = training_with_a_straggler(scene, monkeypatch, passes=passes)
        watcher = scene.watcher()
        watcher.run_once()
        said.append([(row.id, row.severity, row.fired_step, row.detail["sentence"]) for row in alerts(scene)])
        for run in ranks:
            run.finish()
        watcher.run_once()
        watcher.close()
        (info,) = scene.store.runs()
        context = RunContext(run_id=info.id, trainer="sft", started_s=info.created_s)
        again = replay(stored_stream(scene.store, info.id), context, default_rules()).alerts()
        said.append([(one.id, one.severity, one.fired_step, one.sentence) for one in again if one.severity != "info"])
    assert said[0][0][0].split(":")[1] == "rank_straggler"
    assert said[0][0][3].startswith("Rank 1 of 2")
    assert said[1:] == [said[0]] * 3
