"""The watcher: from a recorded run to rows, status, health and alerts in a store."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from runvitals.collectors.options import Options
from runvitals.collectors.run import Run
from runvitals.errors import StoreUnreachable
from runvitals.store.store import Store
from runvitals.store.types import AlertRow
from runvitals.watch.leases import LEASE_S
from runvitals.watch.loop import Watcher
from runvitals.watch.notify import Console


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


def test_row_that_the_kill_tore_is_not_waited_for(scene: Any) -> None:
    run = scene.run()
    scene.train(run, range(1, 11))
    (path,) = run.path.glob("*.rvj")
    with path.open("ab") as stream:
        stream.write(path.read_bytes()[-60:-20])
    scene.alive = False
    scene.watcher().run_once()
    (info,) = scene.store.runs()
    assert (info.status, info.health, info.last_step) == ("crashed", "critical", 10)
    assert [row.rule for row in scene.store.alerts(run_id=run.id)] == ["run_crashed"]
    assert not path.exists()


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


@pytest.mark.parametrize("method", ["set_run", "told", "mark_told", "run", "put_alerts", "alerts"])
def test_alert_is_told_once_whatever_the_store_fails_at(scene: Any, method: str) -> None:
    run = scene.run()
    run.event("trainer", {"kind": "sft", "max_steps": 100})
    scene.train(run, range(1, 31))
    flaky = FlakyStore(scene.store)
    watcher = Watcher(
        scene.journals,
        flaky,  # type: ignore[arg-type]
        notifiers=[Console(scene.lines.append)],
        clock=scene.clock,
        alive=scene.is_alive,
    )
    watcher.run_once()
    scene.train(run, range(31, 36), loss=math.nan)
    flaky.fails_once.add(method)
    for _ in range(4):
        scene.clock.now_s += 2.0
        try:
            watcher.run_once()
        except StoreUnreachable:
            continue
    assert flaky.fails_once == set()
    assert len([line for line in scene.lines if "NaN" in line]) == 1
    run.finish()


def test_odd_event_leaves_all_runs_watched(scene: Any) -> None:
    odd = scene.run(name="odd")
    for value in ("many", math.inf, 10**30, None, {"deep": [1]}):
        odd.event("trainer", {"kind": value, "max_steps": value})
        odd.event("phase", {"phase": value})
        odd.event("alert", {"title": value, "text": value, "severity": value})
        odd.event("finish", {"status": value, "exit_code": value})
    good = scene.run(name="good")
    scene.train(good, range(1, 6))
    scene.watcher().run_once()
    assert {info.name: info.last_step for info in scene.store.runs()}["good"] == 5
    good.finish()


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


def resume(scene: Any, run: Run) -> Run:
    options = Options(run_id=run.id, sample=False, heartbeat_s=3600.0, clock=scene.clock)
    return Run(scene.journals, "p", name=run.name, options=options)


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


def test_clock_that_goes_back_does_not_stop_the_watcher(scene: Any) -> None:
    run = scene.run()
    scene.train(run, range(1, 31))
    watcher = scene.watcher()
    watcher.step()
    scene.clock.now_s -= 7200.0
    scene.train(run, range(31, 61))
    watcher.step()
    assert scene.store.runs()[0].last_step == 60
    assert scene.store.watchers()[0].pass_s == pytest.approx(scene.clock.now_s)
    run.finish()


def test_corrupt_journal_is_named_and_leaves_other_runs_alone(scene: Any) -> None:
    good = scene.run(name="good")
    scene.train(good, range(1, 6))
    foreign = scene.journals / "strange"
    foreign.mkdir()
    (foreign / "w-0.rvj").write_bytes(b"this is no journal, whatever its name says\n" * 10)
    done = scene.watcher().run_once()
    assert list(done.failed) == ["strange"]
    assert "w-0.rvj" in done.failed["strange"]
    assert [run.name for run in scene.store.runs()] == ["good"]
    assert "w-0.rvj" in scene.store.watchers()[0].message
    good.finish()


class FlakyStore:
    """A store that does not answer while `away` is set, or once at the methods named; everything else is the real one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.away = False
        self.fails_once: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        if self.away or name in self.fails_once:
            self.fails_once.discard(name)
            raise StoreUnreachable("the database does not answer")
        return getattr(self._store, name)


def test_unreachable_store_loses_and_doubles_nothing(scene: Any) -> None:
    run = scene.run()
    flaky = FlakyStore(scene.store)
    watcher = Watcher(scene.journals, flaky, clock=scene.clock, alive=scene.is_alive)  # type: ignore[arg-type]
    for start in range(1, 101, 10):
        flaky.away = start % 30 == 1
        scene.train(run, range(start, start + 10))
        if flaky.away:
            with pytest.raises(StoreUnreachable):
                watcher.step()
        else:
            watcher.step()
    flaky.away = False
    watcher.run_once()
    assert scene.store.read(run.id, "loss").steps.tolist() == list(range(1, 101))
    run.finish()


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
            while max((info.last_step or 0 for info in scene.store.runs()), default=0) < wanted:
                assert time.monotonic() < deadline_s, "the watcher took in nothing"
                assert watcher.poll() is None
                for _ in range(200):
                    step += 1
                    run.log({"loss": float(step)}, step=step)
                time.sleep(0.02)
            watcher.send_signal(signal.SIGKILL)
    run.finish()
    subprocess.run([sys.executable, "-m", "runvitals", "watch", "--once"], env=environ, check=True, timeout=240)
    assert scene.store.read(run.id, "loss").steps.tolist() == list(range(1, step + 1))


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


def test_file_whose_first_record_is_not_there_yet_is_not_removed_with_a_run_that_ended(scene: Any) -> None:
    run = scene.run()
    scene.train(run, range(1, 6))
    run.finish()
    opened = run.path / "other-7-abcd-0001.rvj"  # of a process that goes on with the run, before its first write
    opened.touch()
    scene.watcher().run_once()
    assert list(run.path.iterdir()) == [opened]
    assert scene.store.run(run.id).status == "finished"


@pytest.mark.parametrize("content", [b"", b"\0\0\0\0", b'["a'])
def test_list_of_removed_files_that_a_power_cut_spoiled_stops_nobody(scene: Any, content: bytes) -> None:
    run = scene.run()
    scene.train(run, range(1, 6))
    run.finish()
    spoiled = run.path.with_name(f"{run.id}.removed")
    spoiled.write_bytes(content)
    scene.watcher().run_once()
    assert scene.store.read(run.id, "loss").steps.tolist() == list(range(1, 6))
    assert not spoiled.exists() and not run.path.exists()


def test_journals_that_cannot_be_listed_for_a_while_do_not_end_the_watcher(scene: Any) -> None:
    scene.journals.write_text("in the way")
    run_id = "later"

    class Patience(threading.Event):
        waits = 0

        def wait(self, timeout: float | None = None) -> bool:
            self.waits += 1
            if self.waits == 1:
                scene.journals.unlink()
                run = Run(scene.journals, "p", options=Options(run_id=run_id, sample=False, clock=scene.clock))
                run.log({"loss": 1.0}, step=1)
                run.finish()
            if self.waits == 3:
                self.set()
            return self.is_set()

    scene.watcher().run(Patience())
    assert scene.store.run(run_id).status == "finished"


def test_run_goes_on_after_somebody_deleted_its_files(scene: Any) -> None:
    run = Run(scene.journals, "p", options=Options(sample=False, heartbeat_s=0.01, clock=scene.clock))
    scene.train(run, range(1, 6))
    watcher = scene.watcher()
    watcher.step()
    (file,) = run.path.iterdir()
    file.unlink()
    while not list(run.path.glob("*-0002.rvj")):  # the next heartbeat sees it
        time.sleep(0.01)
    scene.train(run, range(6, 11))
    watcher.run_once()
    assert scene.store.read(run.id, "loss").steps.tolist() == list(range(1, 11))
    run.finish()
    assert watcher.run_once().failed == {}
    assert scene.store.run(run.id).status == "finished"
    assert not run.path.exists()


@pytest.mark.parametrize("name", ["a-0001.rvj", "z-0001.rvj"])
def test_journal_that_cannot_be_read_leaves_the_others_of_its_run_alone(scene: Any, name: str) -> None:
    run = scene.run()
    scene.train(run, range(1, 6))
    foreign = run.path / name
    foreign.write_bytes(b"RVJL\x09\0\0\0 written by a newer runvitals")
    watcher = scene.watcher()
    watcher.step()
    scene.train(run, range(6, 11))
    done = watcher.run_once()
    assert "expected journal version 1, found 9" in done.failed[run.id]
    assert scene.store.read(run.id, "loss").steps.tolist() == list(range(1, 11))
    run.finish()
    done = watcher.run_once()
    assert scene.store.run(run.id).status == "finished"
    assert foreign.exists() and not done.catching_up
