"""What one `Run.log` of 20 scalars costs its caller, beside a plain append of the same row (orjson and one os.write) and an empty function.

    python benchmarks/log_cost.py [--calls CALLS] [--peers-python PATH ...]

With --peers-python, the interpreter of an environment that has other trackers (benchmarks/peers.txt), a third table compares them (peers.py).
The three take turns in blocks of 500 calls, so that a busy machine hurts them alike; the median over rounds is printed. A second table
calls each at 100 Hz, as a training does: there an empty function is slow too, because its code has left the caches.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import orjson
import peers

from runvitals.collectors.options import Options
from runvitals.collectors.run import Run

KEYS = 20
BLOCK_CALLS = 500
ROUNDS = 5
SLOW_CALLS = 300
SLOW_PERIOD_S = 0.01

PROCESSES = 9
START_UP = """
import time
begun, cpu_begun = time.perf_counter(), time.process_time()
import runvitals
runvitals.init
imported, cpu = time.perf_counter(), time.process_time()
import sys
before, cpu_before = time.perf_counter(), time.process_time()
runvitals.init("benchmark", home=sys.argv[1])
after, cpu_init = time.perf_counter(), time.process_time() - cpu_before
time.sleep(0.5)
import psutil
memory = psutil.Process().memory_info().rss / 2**20
print((imported - begun) * 1000, (cpu - cpu_begun) * 1000, (after - before) * 1000, cpu_init * 1000, memory)
"""

Log = Callable[[Mapping[str, float], int], None]


def plain_append(path: Path) -> Log:
    """A function that appends the row as one line of JSON, with nothing around it."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def append(values: Mapping[str, float], step: int) -> None:
        os.write(file, orjson.dumps({"step": step, "time_s": time.time(), **values}) + b"\n")

    return append


def empty(values: Mapping[str, float], step: int) -> None:
    """Does nothing."""


def timed_us(log: Log, calls: int, *, first_step: int, period_s: float = 0.0) -> list[float]:
    """Microseconds of each call; the row has new values each time, as a training has."""
    clock, took = time.perf_counter_ns, []
    for step in range(first_step, first_step + calls):
        row = {f"train/metric_{i}": 1.0 / (step + i + 1) for i in range(KEYS)}
        if period_s:
            time.sleep(period_s)
        before = clock()
        log(row, step)
        took.append((clock() - before) / 1000)
    return took


def measure(contenders: Mapping[str, Log], calls: int, block: int, *, period_s: float = 0.0) -> dict[str, list[float]]:
    """All times of each contender, who take turns block by block."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for first in range(0, calls, block):
        for name, log in contenders.items():
            times[name] += timed_us(log, min(block, calls - first), first_step=first, period_s=period_s)
    return times


def quantile(times: list[float], q: float) -> float:
    """The q-quantile of the times."""
    return sorted(times)[min(int(len(times) * q), len(times) - 1)]


def table(title: str, rounds: list[dict[str, list[float]]]) -> None:
    """Prints the medians over rounds, and each p50 as a multiple of the plain append's."""
    print(f"\n{title}")
    print(f"{'':16}{'p50 µs':>9}{'p99 µs':>9}{'max µs':>10}{'x plain':>9}")
    plain = statistics.median(quantile(times["plain append"], 0.5) for times in rounds)
    for name in rounds[0]:
        p50, p99, most = (statistics.median(quantile(times[name], q) for times in rounds) for q in (0.5, 0.99, 1.0))
        print(f"{name:16}{p50:9.2f}{p99:9.2f}{most:10.1f}{p50 / plain:9.2f}")


def start_up() -> None:
    """Prints the medians of import, `init` and memory over fresh processes."""
    with tempfile.TemporaryDirectory() as home:
        answers = [
            subprocess.run([sys.executable, "-c", START_UP, home], capture_output=True, text=True, check=True).stdout
            for _ in range(PROCESSES)
        ]
    told = [statistics.median(one) for one in zip(*(map(float, answer.split()) for answer in answers), strict=True)]
    print(
        f"\nfresh processes, wall (processor) ms: import {told[0]:.0f} ({told[1]:.0f}), init {told[2]:.1f} ({told[3]:.1f}); "
        f"resident {told[4]:.0f} MiB after the first samples"
    )


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=10_000, help="calls of each contender a round")
    parser.add_argument(
        "--peers-python", action="append", default=[], metavar="PATH", help="may be given several times"
    )
    arguments = parser.parse_args()
    calls = arguments.calls
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder), "benchmark", options=Options(sample=True))
        queued = Run(Path(folder), "benchmark", options=Options(sample=False, queued=True))
        contenders: dict[str, Log] = {
            "Run.log": run.log,
            "Run.log, queued": queued.log,
            "plain append": plain_append(Path(folder) / "plain.jsonl"),
            "empty": empty,
        }
        measure(contenders, BLOCK_CALLS, BLOCK_CALLS)  # warms up
        fast = [measure(contenders, calls, BLOCK_CALLS) for _ in range(ROUNDS)]
        slow = [measure(contenders, SLOW_CALLS, SLOW_CALLS // 10, period_s=SLOW_PERIOD_S)]
        run.finish()
        queued.finish()
    table(f"{KEYS} scalars, full speed, {calls} calls a round, {ROUNDS} rounds", fast)
    table(f"{KEYS} scalars, 100 Hz, {SLOW_CALLS} calls", slow)
    start_up()
    if arguments.peers_python:
        peers.compare(arguments.peers_python)


if __name__ == "__main__":
    main()
