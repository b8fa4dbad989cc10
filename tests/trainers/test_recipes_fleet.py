"""The fleet's care for its processes: how they end, and that none outlives it. Small work in place of training."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from runvitals.trainers.recipes.fleet import Entry, Handle, unexpected

# Handles of forks that do small work: `names` says which, and the script's last lines what becomes of them.
SCRIPT = """
import os, sys, time
from pathlib import Path
from runvitals.trainers.recipes import fleet
from runvitals.trainers.recipes.fleet import Entry, Handle

def ends():
    print("done")
    return 0

def fails():
    raise ValueError("broken on purpose")

def sleeps():
    print("asleep", flush=True)
    time.sleep(60)
    return 0

folder = Path(sys.argv[1])
lifeline, held = os.pipe()

def handle(work, hangs=False):
    log = folder / (work.__name__ + ".log")
    entry = Entry(name=work.__name__, recipe="sft", hangs=hangs)
    return Handle(entry, fleet._fork(work, log, lifeline, held), log)

"""


def run_script(folder: Path, body: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT + body, str(folder)], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


def is_alive(pid: int) -> bool:
    """False for a zombie too: where nobody collects orphans, it stays one."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_each_run_ends_with_its_own_exit_code_and_writes_to_its_own_log(tmp_path: Path) -> None:
    body = "handles = [handle(ends), handle(fails)]\nfleet.wait(handles)\nprint([one.exit_code for one in handles])"
    assert run_script(tmp_path, body).splitlines()[-1] == "[0, 1]"
    assert (tmp_path / "ends.log").read_text() == "done\n"
    assert "ValueError: broken on purpose" in (tmp_path / "fails.log").read_text()


def test_a_silent_run_that_hangs_is_killed_once_the_others_are_done(tmp_path: Path) -> None:
    body = "handles = [handle(ends), handle(sleeps, True)]\nfleet.wait(handles, silence_s=0.3)\nprint([one.exit_code for one in handles])"
    assert run_script(tmp_path, body).splitlines()[-1] == "[0, -9]"


def test_stopping_the_fleet_ends_every_run(tmp_path: Path) -> None:
    body = "handles = [handle(sleeps)]\nfleet.stop(handles)\nprint([one.exit_code for one in handles])"
    assert run_script(tmp_path, body).splitlines()[-1] == "[-15]"


def test_a_run_dies_with_a_fleet_that_is_killed(tmp_path: Path) -> None:
    body = "print(handle(sleeps).pid, flush=True)\nos.kill(os.getpid(), 9)"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT + body, str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == -signal.SIGKILL
    pid = int(done.stdout)
    deadline_s = time.monotonic() + 10
    while is_alive(pid) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert not is_alive(pid)


@pytest.mark.parametrize(
    ("code", "hangs", "wrong"), [(0, False, False), (1, False, True), (-9, True, False), (-9, False, True)]
)
def test_only_a_run_that_hangs_may_end_by_a_signal(tmp_path: Path, code: int, hangs: bool, wrong: bool) -> None:
    handle = Handle(Entry(name="one", recipe="sft", hangs=hangs), 1, tmp_path / "one.log")
    handle.exit_code = code
    assert bool(unexpected([handle])) == wrong
