"""What stops no watcher: a store that is away, odd events, damaged, deleted or unreadable files, a clock that goes back."""

from __future__ import annotations

import math
import threading
import time
from typing import Any

import pytest

from runvitals.collectors.options import Options
from runvitals.collectors.run import Run
from runvitals.errors import StoreUnreachable
from runvitals.store.store import Store
from runvitals.watch.loop import Watcher
from runvitals.watch.notify import Console


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
