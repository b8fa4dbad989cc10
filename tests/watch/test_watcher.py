"""The watcher: from a recorded run to rows, status, health and alerts in a store."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest

from runvitals.watch.leases import LEASE_S


def test_rows_status_and_latest_values_reach_the_store(scene: Any) -> None:
    run = scene.run(name="sft", lr=1e-4)
    run.event("trainer", {"kind": "sft", "max_steps": 100})
    scene.train(run, range(1, 41))
    done = scene.watcher().run_once()
    assert done.rows == 40
    (info,) = scene.store.runs(latest=("loss",))
    assert (info.name, info.trainer, info.status, info.last_step, info.max_steps) == ("sft", "sft", "running", 40, 100)
    assert info.latest["loss"].step == 40
    assert scene.store.read(run.id, "loss").steps.tolist() == list(range(1, 41))
    run.finish()


def test_nan_loss_raises_a_critical_alert_told_once(scene: Any) -> None:
    run = scene.run()
    run.event("trainer", {"kind": "sft", "max_steps": 100})
    scene.train(run, range(1, 31))
    watcher = scene.watcher()
    watcher.run_once()
    assert scene.lines == []
    scene.train(run, range(31, 36), loss=math.nan)
    watcher.run_once()
    (info,) = scene.store.runs()
    assert info.health == "critical"
    assert info.alerts >= 1
    assert info.finding
    firing = [row for row in scene.store.alerts(run_id=run.id) if row.rule == "non_finite"]
    assert [(row.state, row.severity) for row in firing] == [("firing", "critical")]
    assert firing[0].detail["remedies"]
    told = list(scene.lines)
    assert len(told) >= 1
    scene.watcher().run_once()  # a restart
    assert scene.lines == told
    assert len([row for row in scene.store.alerts(run_id=run.id) if row.rule == "non_finite"]) == 1
    run.finish()


def test_finished_run_is_stored_whole_and_its_journal_is_gone(scene: Any) -> None:
    run = scene.run()
    scene.train(run, range(1, 11))
    run.finish()
    scene.watcher().run_once()
    (info,) = scene.store.runs()
    assert (info.status, info.last_step) == ("finished", 10)
    assert info.ended_s == pytest.approx(scene.clock.now_s)
    assert not run.path.exists()
    assert scene.store.read(run.id, "loss").values.size == 10


def test_silent_run_of_another_host_keeps_its_journal(scene: Any) -> None:
    run = scene.run()
    scene.train(run, range(1, 11))
    scene.alive = None
    watcher = scene.watcher()
    watcher.run_once()
    scene.clock.now_s += 3600.0
    watcher.run_once()
    assert scene.store.runs()[0].status == "crashed"
    assert run.path.exists()
    scene.train(run, range(11, 21))
    watcher.run_once()
    assert scene.store.runs()[0].last_step == 20
    assert scene.store.runs()[0].status == "running"
    run.finish()


def test_process_that_stops_stepping_is_stalled_then_hung(scene: Any) -> None:
    run = scene.run()
    run.event("trainer", {"kind": "sft", "max_steps": 1000})
    run.phase("train")
    scene.train(run, range(1, 61))
    watcher = scene.watcher()
    watcher.run_once()
    statuses = []
    for _ in range(40):
        scene.clock.now_s += 5.0
        watcher.step()
        statuses.append(scene.store.runs()[0].status)
    assert statuses[0] == "running"
    assert "stalled" in statuses
    assert statuses[-1] == "hung"
    assert scene.store.runs()[0].health == "critical"
    run.finish()


def test_users_own_alert_is_shown_and_told(scene: Any) -> None:
    run = scene.run(name="mine")
    run.log({"loss": 1.0}, step=3)
    run.alert("Samples look odd", "three empty answers in a row", "critical")
    scene.watcher().run_once()
    (row,) = scene.store.alerts(run_id=run.id)
    assert (row.rule, row.severity, row.state, row.fired_step) == ("user_alert", "critical", "firing", 3)
    assert scene.store.runs()[0].health == "critical"
    assert scene.lines == ["◆ Samples look odd · mine: step 3: three empty answers in a row"]
    run.finish()


def test_process_that_finished_while_we_read_is_not_taken_for_a_crash(scene: Any) -> None:
    run = scene.run()
    scene.train(run, range(1, 31))
    watcher = scene.watcher()
    watcher.step()

    def last_words(info: Mapping[str, Any]) -> bool:
        """The process is seen alive; it finishes right after, before its journal is read."""
        run.finish()
        scene.alive = False
        return True

    scene.is_alive = last_words  # type: ignore[method-assign]
    watcher = scene.watcher()
    scene.clock.now_s += LEASE_S + 1
    watcher.step()
    watcher.step()
    assert scene.store.runs()[0].status == "finished"
    assert scene.store.alerts(run_id=run.id) == []


def test_repeated_alert_of_the_user_is_one_alert_with_a_count(scene: Any) -> None:
    run = scene.run()
    for step in range(1, 301):
        run.log({"loss": 1.0}, step=step)
        run.alert("Odd sample", f"at {step}", "critical" if step > 100 else "warning")
    scene.watcher().run_once()
    scene.watcher().run_once()
    (row,) = (row for row in scene.store.alerts(run_id=run.id) if row.rule == "user_alert")
    assert (row.severity, row.detail["times"], row.fired_step) == ("critical", 300, 1)
    assert len(scene.lines) <= 2
    run.finish()
