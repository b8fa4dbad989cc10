"""How long a logged row takes to stand in the store, with the real watcher process between.

    python benchmarks/live_latency.py [--rows 200] [--runs 4]

Each run logs 20 scalars every 0.1 s; the store is asked every 10 ms. Prints median, 95th percentile and maximum in milliseconds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from runvitals.collectors.options import Options
from runvitals.collectors.run import Run
from runvitals.settings import Settings
from runvitals.store.open import open_store
from runvitals.store.store import Store

EVERY_S = 0.1
ASK_EVERY_S = 0.01


def main() -> None:
    """Prints the delays."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200, help="rows of each run")
    parser.add_argument("--runs", type=int, default=4, help="runs at once")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.from_environment({}, home=Path(folder))
        store = open_store(settings.store)
        environ = {**os.environ, "RUNVITALS_HOME": folder, "RUNVITALS_STORE": settings.store}
        with subprocess.Popen(
            [sys.executable, "-m", "runvitals", "watch"], env=environ, stdout=subprocess.DEVNULL
        ) as watcher:
            while not store.watchers():
                time.sleep(ASK_EVERY_S)
            runs = [Run(settings.journals, "latency", options=Options(sample=False)) for _ in range(arguments.runs)]
            delays_s = measure(store, runs, arguments.rows)
            for run in runs:
                run.finish()
            watcher.terminate()
    ordered = sorted(delays_s)
    print(f"{arguments.runs} runs, {len(ordered)} rows seen of {arguments.rows} logged by the first run")
    print(
        f"log to store: median {statistics.median(ordered) * 1e3:.0f} ms, "
        f"p95 {ordered[int(len(ordered) * 0.95)] * 1e3:.0f} ms, max {ordered[-1] * 1e3:.0f} ms"
    )


def measure(store: Store, runs: list[Run], rows: int) -> list[float]:
    """Per row of the first run: seconds from `log` to the first answer of the store that holds it."""
    values = {f"key/{number}": float(number) for number in range(20)}

    def train() -> None:
        for step in range(1, rows + 1):
            for run in runs:
                run.log(values, step=step)
            time.sleep(EVERY_S)

    thread = threading.Thread(target=train)
    thread.start()
    delays_s: list[float] = []
    cursor: dict[str, int] = {"key/0": 0}
    while len(delays_s) < rows:
        time.sleep(ASK_EVERY_S)
        if store.runs(ids=[runs[0].id]):
            delta = store.since(runs[0].id, ["key/0"], cursor)
            cursor = dict(delta.cursor)
            now_s = time.time()
            if "key/0" in delta.points:
                delays_s += [now_s - time_s for time_s in delta.points["key/0"].times_s.tolist()]
    thread.join()
    return delays_s


if __name__ == "__main__":
    main()
