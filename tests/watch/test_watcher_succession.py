"""One after the other: watchers that are restarted, killed or take over, runs that are resumed or joined."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from runvitals.collectors.options import Options
from runvitals.collectors.run import Run
from runvitals.store.types import AlertRow
from runvitals.watch.leases import LEASE_S


def resume(scene: Any, run: Run) -> Run:
    options = Options(run_id=run.id, sample=False, heartbeat_s=3600.0, clock=scene.clock)
    return Run(scene.journals, "p", name=run.name, options=options)


def test_restart_at_any_point_gives_the_same_alerts_as_one_watcher(tmp_path: Path, scene_in: Any) -> None:
    def alerts(folder: Path, restart_every: int) -> list[tuple[Any, ...]]:
        scene = scene_in(folder)
        run = scene.run()
        run.event("trainer", {"kind": "sft", "max_steps": 200})
        watcher = scene.watcher()
        for start in range(1, 121, 10):
            scene.train(run, range(start, start + 10), loss=None if start < 80 else 30.0 + start)
            if start // 10 % restart_every == 0:
                scene.clock.now_s += LEASE_S + 1
                watcher = scene.watcher()
            watcher.run_once()
        run.finish()
        watcher.run_once()
        rows = scene.store.alerts(run_id=run.id)
        return sorted((row.rule, row.state, row.severity, row.onset_step, row.fired_step) for row in rows)

    once = alerts(tmp_path / "once", restart_every=1000)
    assert once
    assert alerts(tmp_path / "often", restart_every=1) == once


def test_alert_of_an_earlier_watcher_that_no_longer_holds_is_resolved(scene: Any) -> None:
    run = scene.run()
    scene.train(run, range(1, 31))
    scene.watcher().run_once()
    stall = AlertRow(
        id=f"{run.id}:progress_stalled:seen-by-an-earlier-watcher",
        run_id=run.id,
        rule="progress_stalled",
        signal="loss",
        severity="critical",
        state="firing",
        incident=f"{run.id}:progress_stalled:seen-by-an-earlier-watcher",
        onset_step=20,
        onset_s=scene.clock.now_s - 5,
        fired_step=20,
        fired_s=scene.clock.now_s - 4,
        resolved_step=None,
        resolved_s=None,
        detail={"title": "Training stands still", "sentence": "", "causes": [], "remedies": []},
    )
    scene.store.put_alerts([stall])
    scene.watcher().run_once()
    assert [(row.rule, row.state) for row in scene.store.alerts(run_id=run.id)] == [("progress_stalled", "resolved")]
    run.finish()


def test_killed_run_that_is_resumed_and_finishes_is_finished(scene: Any) -> None:
    first = scene.run()
    scene.train(first, range(1, 31))
    scene.clock.now_s += 8 * 3600.0  # it was killed, and nobody watched
    second = resume(scene, first)
    scene.train(second, range(21, 41))
    second.finish()
    scene.alive = None
    scene.watcher().run_once()
    (info,) = scene.store.runs()
    assert (info.status, info.last_step) == ("finished", 40)
    assert [row.rule for row in scene.store.alerts(run_id=first.id) if row.severity != "info"] == []
    assert not first.path.exists()
    first.finish()


def test_second_fault_of_a_resumed_run_is_a_new_alert_and_told(scene: Any) -> None:
    first = scene.run()
    first.event("trainer", {"kind": "sft", "max_steps": 1000})
    scene.train(first, range(1, 31))
    scene.train(first, range(31, 34), loss=math.nan)
    first.finish()
    scene.watcher().run_once()
    told = len(scene.lines)
    assert told >= 1
    assert not first.path.exists()
    for row in scene.store.alerts(run_id=first.id):
        scene.store.acknowledge(row.id, "seen", scene.clock.now_s)
    second = resume(scene, first)
    second.event("trainer", {"kind": "sft", "max_steps": 1000})
    scene.train(second, range(31, 101))
    scene.train(second, range(101, 104), loss=math.nan)
    scene.watcher().run_once()
    rows = [row for row in scene.store.alerts(run_id=first.id) if row.rule == "non_finite"]
    assert sorted((row.state, row.acknowledged_s is not None) for row in rows) == [
        ("firing", False),
        ("resolved", True),
    ]
    assert len(scene.lines) > told
    second.finish()


def test_process_that_joins_a_run_and_ends_does_not_end_the_one_beside_it(scene: Any) -> None:
    training = scene.run()
    scene.train(training, range(1, 11))
    evaluation = resume(scene, training)
    evaluation.log({"eval_loss": 1.0})
    evaluation.finish()
    watcher = scene.watcher()
    watcher.run_once()
    assert scene.store.run(training.id).status == "running"
    scene.train(training, range(11, 21))
    watcher.run_once()
    assert scene.store.read(training.id, "loss").steps.tolist() == list(range(1, 21))
    training.finish()
    watcher.run_once()
    assert scene.store.run(training.id).status == "finished"
    assert not training.path.exists()


def test_silent_process_of_another_host_keeps_its_journal_for_a_while_after_its_successor_ended(scene: Any) -> None:
    first = scene.run()
    scene.train(first, range(1, 11))
    second = resume(scene, first)
    second.finish()
    scene.alive = None
    watcher = scene.watcher()
    watcher.run_once()
    assert scene.store.run(first.id).status == "finished"
    assert first.path.exists()
    scene.clock.now_s += 301.0
    watcher.run_once()
    assert not first.path.exists()
    first.finish()


def test_second_watcher_leaves_a_leased_run_until_the_first_is_gone(scene: Any) -> None:
    run = scene.run()
    scene.train(run, range(1, 6))
    first, second = scene.watcher(), scene.watcher()
    assert first.step().rows == 5
    scene.train(run, range(6, 8))
    assert second.step().runs == 0
    scene.clock.now_s += LEASE_S + 1
    assert second.step().rows == 2
    assert first.step().runs == 0
    run.finish()


def test_watcher_that_lost_its_lease_in_a_long_pass_stops_nobody(scene: Any) -> None:
    run = scene.run()
    scene.train(run, range(1, 51))
    slow, other = scene.watcher(), scene.watcher()
    slow.step()
    scene.train(run, range(51, 54))
    scene.clock.now_s += LEASE_S + 1
    other.step()
    scene.train(run, range(54, 101))
    monitor = slow._monitors[run.id]
    monitor.take_in()  # the slow watcher still thinks the run its own
    for _ in range(3):
        done = other.step()
    assert done.failed == {}
    assert scene.store.read(run.id, "loss").steps.tolist() == list(range(1, 101))
    run.finish()


@pytest.mark.slow
def test_killed_watcher_loses_and_doubles_nothing(tmp_path: Path, scene_in: Any) -> None:
    scene = scene_in(tmp_path)
    options = Options(sample=False, heartbeat_s=3600.0)
    run = Run(scene.journals, "p", name="long", options=options)
    environ = {**os.environ, "RUNVITALS_HOME": str(tmp_path)}
    step = 0
    for _ in range(2):
        with subprocess.Popen(
            [sys.executable, "-m", "runvitals", "watch", "--interval", "0.1"], env=environ
        ) as watcher:
            wanted, deadline_s = step + 1000, time.monotonic() + 240.0
            while (taken := max((info.last_step or 0 for info in scene.store.runs()), default=0)) < wanted:
                assert time.monotonic() < deadline_s, "the watcher took in nothing"
                assert watcher.poll() is None
                for _ in range(200 if step < taken + 3000 else 0):  # what waits while it starts is all diagnosed later
                    step += 1
                    run.log({"loss": float(step)}, step=step)
                time.sleep(0.02)
            watcher.send_signal(signal.SIGKILL)
    run.finish()
    subprocess.run([sys.executable, "-m", "runvitals", "watch", "--once"], env=environ, check=True, timeout=240)
    assert scene.store.read(run.id, "loss").steps.tolist() == list(range(1, step + 1))
