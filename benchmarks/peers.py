"""Other trackers beside ours: what one `log` of 20 scalars costs, what is left after kill -9, how many bytes a scalar takes.

Each tracker runs in a process of its own (peer_client.py); trackers take turns, round by round.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

CLIENT = Path(__file__).parent / "peer_client.py"
PEERS = {name.lower(): name for name in ("trackio", "wandb", "tensorboardX", "mlflow", "swanlab", "aim")}
OURS = {"runvitals": "runvitals", "plain": "plain append", "empty": "empty function"}

ROUNDS = 3
FAST_CALLS = 10_000
SLOW_CALLS = 300
SLOW_PERIOD_S = 0.01
SIZE_CALLS = 1_000
CAP_S = 6.0
"""A tracker that has not made its calls by then has made enough."""
PATIENCE_S = 120.0

OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "WANDB_MODE": "offline",
    "WANDB_SILENT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    "GIT_PYTHON_REFRESH": "quiet",
}


@dataclass
class Found:
    """What the rounds gave. lost: (rows lost, rows logged)."""

    fast_us: list[list[float]] = field(default_factory=list)
    slow_us: list[list[float]] = field(default_factory=list)
    fast_lost: list[tuple[float, int]] = field(default_factory=list)
    slow_lost: list[tuple[float, int]] = field(default_factory=list)
    bytes_per_scalar: float = float("nan")


def interpreters(pythons: Sequence[str]) -> dict[str, str]:
    """The interpreter of each contender: ours, then each tracker that one of `pythons` has."""
    found = dict.fromkeys(OURS, sys.executable)
    for name, module in PEERS.items():
        for python in pythons:
            if subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False).returncode == 0:
                found[name] = python
                break
        else:
            print(f"{module}: not installed, left out")
    return found


def compare(pythons: Sequence[str]) -> None:
    """Measures all contenders in turns and prints the table."""
    chosen = interpreters(pythons)
    found = {name: Found() for name in chosen}
    for number in range(ROUNDS):
        for name, python in chosen.items():
            print(f"round {number + 1} of {ROUNDS}: {name}", file=sys.stderr)
            one = found[name]
            _killed(name, python, FAST_CALLS, 0.0, one.fast_us, one.fast_lost)
            _killed(name, python, SLOW_CALLS, SLOW_PERIOD_S, one.slow_us, one.slow_lost)
    for name, python in chosen.items():
        if name != "empty":
            found[name].bytes_per_scalar = bytes_per_scalar(name, python)
    _print(found)


def _killed(
    name: str, python: str, calls: int, period_s: float, times: list[list[float]], lost: list[tuple[float, int]]
) -> None:
    """One run that ends by kill -9 of all its processes as soon as its last call has returned."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        client, answer = _start(name, python, folder, "log", calls, period_s, CAP_S)
        took = answer["took_us"]
        _kill(client)
        times.append(took)
        if name != "empty":
            counter, kept = _start(name, python, folder, "count")
            counter.wait()
            lost.append((len(took) - kept, len(took)))


def bytes_per_scalar(name: str, python: str) -> float:
    """What a finished run of many rows takes on disk more than one of a single row."""
    sizes, rows = [], []
    for calls in (1, SIZE_CALLS):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            client, answer = _start(name, python, folder, "log", calls, 0.0, CAP_S)
            assert client.stdin is not None
            try:
                client.communicate(b"end\n", timeout=PATIENCE_S)
            except subprocess.TimeoutExpired:
                _kill(client)
                return float("nan")
            sizes.append(sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()))
            rows.append(len(answer["took_us"]))
    return (sizes[1] - sizes[0]) / max(rows[1] - rows[0], 1) / 20


def _start(name: str, python: str, folder: str, what: str, *arguments: float) -> tuple[subprocess.Popen[bytes], Any]:
    """A process of the tracker, and its answer."""
    read, written = os.pipe()
    environ = {
        **os.environ,
        **OFFLINE,
        "ANSWER_FD": str(written),
        "TRACKIO_DIR": f"{folder}/trackio",
        "WANDB_DIR": folder,
    }
    client = subprocess.Popen(
        [python, str(CLIENT), what, name, folder, *map(str, arguments)],
        cwd=folder,
        env=environ,
        pass_fds=(written,),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(written)
    with os.fdopen(read, "rb") as stream:
        line = stream.readline()
    if not line:
        raise RuntimeError(f"{name}: ended without an answer; try {python} {CLIENT} {what} {name} in an empty folder")
    return client, json.loads(line)


def _kill(client: subprocess.Popen[bytes]) -> None:
    """SIGKILL to the process and everything that it started."""
    process = psutil.Process(client.pid)
    for one in [process, *process.children(recursive=True)]:
        one.kill()
    client.wait()


def _print(found: Mapping[str, Found]) -> None:
    plain = _median(found["plain"].fast_us, 0.5)
    print(
        f"\n20 scalars a row, each tracker in its own process, medians of {ROUNDS} rounds; lost: rows after kill -9 of all its processes"
    )
    print(
        f"{'':16}{'p50 µs':>9}{'p99 µs':>9}{'x plain':>9}{'100 Hz p50':>12}{'p99':>9}{'lost':>18}{'lost 100 Hz':>14}{'B/scalar':>10}"
    )
    for name, one in found.items():
        fast, slow = _median(one.fast_us, 0.5), _median(one.slow_us, 0.5)
        print(
            f"{ {**OURS, **PEERS}[name]:16}{fast:9.2f}{_median(one.fast_us, 0.99):9.1f}{fast / plain:9.1f}{slow:12.0f}"
            f"{_median(one.slow_us, 0.99):9.0f}{_lost(one.fast_lost):>18}{_lost(one.slow_lost):>14}{one.bytes_per_scalar:10.1f}"
        )


def _median(rounds: list[list[float]], q: float) -> float:
    return statistics.median(sorted(times)[min(int(len(times) * q), len(times) - 1)] for times in rounds)


def _lost(rounds: list[tuple[float, int]]) -> str:
    """The worst round."""
    if not rounds:
        return "-"
    lost, logged = max(rounds, key=lambda one: one[0] / one[1])
    return f"{lost:.0f} of {logged}"
