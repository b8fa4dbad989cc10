"""The command line as a user meets it: real processes, wrong arguments, odd homes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

import runvitals


def run(*arguments: str, home: Path | str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "runvitals", *arguments],
        env={**os.environ, "RUNVITALS_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("command", [("watch", "--once"), ("runs",), ("alerts",), ("up", "--port", "0")])
def test_home_that_is_a_file_is_one_clear_line(tmp_path: Path, command: tuple[str, ...]) -> None:
    home = tmp_path / "file"
    home.write_text("not a folder")
    ended = run(*command, home=home)
    assert ended.returncode == 2
    assert ended.stderr.startswith("runvitals: RUNVITALS_HOME (or --home): expected a folder")
    assert "Traceback" not in ended.stderr


def test_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = run("up", "--port", str(taken.getsockname()[1]), home=tmp_path)
    assert ended.returncode == 2
    assert "Name a free one, or 0" in ended.stderr


def test_runs_says_when_a_journal_waits_to_be_taken_in(tmp_path: Path) -> None:
    assert "No run yet" in run("runs", home=tmp_path).stdout
    recorded = runvitals.init(name="waiting", home=tmp_path)
    recorded.log({"loss": 1.0}, step=1)
    recorded.finish()
    assert "1 run has a journal that was not taken in yet" in run("runs", home=tmp_path).stdout
    assert run("watch", "--once", home=tmp_path).returncode == 0
    listed = run("runs", home=tmp_path).stdout
    assert "waiting" in listed
    assert "finished" in listed


def test_foreign_store_is_named_and_left_alone(tmp_path: Path) -> None:
    store = tmp_path / "runvitals.db"
    store.write_bytes(b"somebody's diary" * 1000)
    before = store.read_bytes()
    ended = run("runs", home=tmp_path)
    assert ended.returncode == 2
    assert "runvitals.db" in ended.stderr
    assert store.read_bytes() == before


def children(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in listed.stdout.split()]


def assert_gone(pids: list[int]) -> None:
    deadline_s = time.monotonic() + 20.0
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline_s:
        time.sleep(0.1)
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_up_ends_with_all_it_started(tmp_path: Path, number: signal.Signals) -> None:
    environ = {**os.environ, "RUNVITALS_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "runvitals", "up", "--port", "0"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = next(line.split()[1] for line in process.stdout if line.startswith("runvitals "))
        with urllib.request.urlopen(address) as page:
            assert page.status == 200
        started = children(process.pid)
        assert len(started) == 2
        process.send_signal(number)
        assert process.wait(timeout=30) == 0
    assert_gone(started)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["up", "dashboard"])
def test_killed_with_9_it_takes_all_it_started_with_it(tmp_path: Path, command: str) -> None:
    environ = {**os.environ, "RUNVITALS_HOME": str(tmp_path)}
    words = [sys.executable, "-m", "runvitals", command, "--port", "0"]
    with subprocess.Popen(words, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert any(line.startswith("runvitals ") for line in process.stdout)
        started = children(process.pid)
        assert len(started) == (2 if command == "up" else 1)
        process.kill()
    assert_gone(started)
