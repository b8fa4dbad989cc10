"""A run's status follows from its signs of life."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from typing import Any

import psutil
import pytest

from runvitals.collectors.process_facts import process_facts
from runvitals.watch.processes import is_alive
from runvitals.watch.status import GONE_S, SILENT_S, Signs, derive_status

NOW_S = 1_800_000_000.0
WELL = Signs(ended=None, alive=True, heard_s=NOW_S - 1, stepped=True, vitality="steady")


def test_living_process_with_steps_runs() -> None:
    assert derive_status(WELL, NOW_S) == "running"


def test_before_the_first_step_it_is_starting() -> None:
    assert derive_status(dataclasses.replace(WELL, stepped=False), NOW_S) == "starting"


@pytest.mark.parametrize("ended", ["finished", "stopped", "crashed"])
def test_finish_record_has_the_last_word(ended: str) -> None:
    assert derive_status(dataclasses.replace(WELL, ended=ended, alive=False), NOW_S) == ended


def test_process_that_is_gone_without_a_word_has_crashed() -> None:
    assert derive_status(dataclasses.replace(WELL, alive=False), NOW_S) == "crashed"


def test_silence_from_another_host_is_a_stall_before_it_is_a_crash() -> None:
    distant = dataclasses.replace(WELL, alive=None)
    assert derive_status(distant, distant.heard_s + SILENT_S) == "running"
    assert derive_status(distant, distant.heard_s + SILENT_S + 1) == "stalled"
    assert derive_status(distant, distant.heard_s + GONE_S + 1) == "crashed"


def test_stuck_process_hangs_and_slow_one_stalls() -> None:
    assert derive_status(dataclasses.replace(WELL, vitality="stuck"), NOW_S) == "hung"
    assert derive_status(dataclasses.replace(WELL, vitality="slow"), NOW_S) == "stalled"


def test_own_process_is_alive() -> None:
    assert is_alive(process_facts(os.environ)) is True


def test_ended_process_is_not_alive() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        started_s = psutil.Process(child.pid).create_time()
        info = {**process_facts(os.environ), "pid": child.pid, "process_start_s": started_s}
        assert is_alive(info) is True
        child.kill()
        assert child.wait() != 0
    assert is_alive(info) is False


def test_pid_that_was_given_again_is_another_process() -> None:
    assert is_alive({**process_facts(os.environ), "process_start_s": 1_000_000_000.0}) is False


def test_process_of_another_host_is_unknown() -> None:
    assert is_alive({**process_facts(os.environ), "host": "elsewhere"}) is None
    assert is_alive({}) is None


def test_a_clock_that_was_ahead_and_goes_back_does_not_hide_silence(scene: Any) -> None:
    scene.alive = None  # a process of another host
    run = scene.run()
    scene.clock.now_s += 86_400.0
    run.log({"loss": 1.0}, step=1)
    scene.clock.now_s -= 86_400.0
    run.log({"loss": 1.0}, step=2)
    scene.clock.now_s += 2.0
    run.log({"loss": 1.0}, step=3)
    watcher = scene.watcher()
    watcher.run_once()
    assert scene.store.runs()[0].status == "running"
    scene.clock.now_s += GONE_S + 1
    watcher.run_once()
    assert scene.store.runs()[0].status == "crashed"
    run.finish()
