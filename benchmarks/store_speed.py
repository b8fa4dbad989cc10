"""How fast the store is, in medians: python benchmarks/store_speed.py [--url URL] [--steps N] [--batch N] [--rounds N].

Twenty series of one run: twelve float32-born noisy curves, four random walks in full float64, learning rate, epoch, a constant, a counter;
steps of half a second with jitter, in batches of 1,000 rows at full speed; a watcher that is behind hands over some 20,000 rows of
20 keys at once. Processor time is printed beside wall time, because a busy machine stretches the second and not the first.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from runvitals.store import Store, open_store
from runvitals.store.types import Batch, SeriesPoints

SEED = 7
PIXELS = 1000
SHOWN = 12


def curves(steps: int) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Steps, times and the values of twenty series."""
    generator = np.random.default_rng(SEED)
    number = np.arange(steps, dtype=np.int64)
    times = 1.7e9 + np.cumsum(0.5 + generator.normal(0, 0.01, steps))
    noisy = {f"noisy/{i}": generator.normal(2.0, 0.1, steps).astype(np.float32).astype(float) for i in range(12)}
    walks = {f"walk/{i}": np.cumsum(generator.normal(size=steps)) for i in range(4)}
    even = {
        "learning_rate": 1e-4 * (1 - number / steps),
        "epoch": number / 1000,
        "constant": np.full(steps, 0.1),
        "counter": number * 4096.0,
    }
    return number, times, {**noisy, **walks, **even}


def fill(store: Store, steps: int, batch_rows: int = 1000) -> tuple[float, float]:
    """Points per second of wall and of processor time while a run of so many steps is appended; making the curves is not counted."""
    number, times, values = curves(steps)
    start = {"project": "speed", "name": "long", "config": {}, "info": {}, "time_s": 0.0}
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    for at in range(0, steps, batch_rows):
        rows = slice(at, at + batch_rows)
        steps_now, times_now = number[rows], times[rows]  # shared by all series, as the watcher shares them
        series = {
            key: SeriesPoints(steps=steps_now, times_s=times_now, values=one[rows]) for key, one in values.items()
        }
        store.append(
            Batch(
                run_id="long",
                writer_id="writer",
                first_seq=at + 1,
                last_seq=min(at + batch_rows, steps),
                position={"at": at},
                series=series,
                rows=min(batch_rows, steps - at),
                start=start if at == 0 else None,
            )
        )
    points = steps * len(values)
    return points / (time.perf_counter() - began_s), points / (time.process_time() - began_cpu_s)


def fill_small(store: Store, runs: int) -> None:
    """Many runs of a hundred steps with eight series."""
    number, times, values = curves(100)
    series = {key: SeriesPoints(steps=number, times_s=times, values=values[key]) for key in list(values)[:8]}
    for index in range(runs):
        start = {"project": "speed", "name": f"run {index}", "config": {"lr": 1e-4}, "info": {}, "time_s": float(index)}
        store.append(
            Batch(
                run_id=f"run{index}",
                writer_id="writer",
                first_seq=1,
                last_seq=100,
                position={},
                series=series,
                rows=100,
                start=start,
            )
        )


def live_append_ms(store: Store, keys: int, rounds: int) -> tuple[float, float]:
    """Median and worst milliseconds to append one row of so many keys, as a watcher does each second."""
    spent = []
    for at in range(rounds):
        step, time_s = np.array([at]), np.array([float(at)])
        series = {
            f"key/{key}": SeriesPoints(steps=step, times_s=time_s, values=np.array([float(key)])) for key in range(keys)
        }
        start = {"project": "speed", "name": "wide", "config": {}, "info": {}, "time_s": 0.0} if at == 0 else None
        batch = Batch(
            run_id="wide",
            writer_id="writer",
            first_seq=at + 1,
            last_seq=at + 1,
            position={},
            series=series,
            rows=1,
            start=start,
        )
        began_s = time.perf_counter()
        store.append(batch)
        spent.append((time.perf_counter() - began_s) * 1000)
    return statistics.median(spent[1:]), max(spent[1:])


def timed(name: str, call: Callable[[], object], rounds: int) -> None:
    """Prints median wall and processor milliseconds of a warm call."""
    call()
    wall, processor = [], []
    for _ in range(rounds):
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        call()
        wall.append((time.perf_counter() - began_s) * 1000)
        processor.append((time.process_time() - began_cpu_s) * 1000)
    print(f"{name:52} {statistics.median(wall):9.2f} ms   processor {statistics.median(processor):9.2f} ms")


def main() -> None:
    """Fills a store and prints what it costs to write and to read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="an empty store of its own; default: a SQLite file in a folder that is removed")
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=1000, help="rows a batch (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(options.url or f"sqlite:///{Path(folder) / 'speed.db'}")
        measure(store, options.steps, options.batch, options.rounds)
        store.close()


def measure(store: Store, steps: int, batch_rows: int, rounds: int) -> None:
    """Prints all measures of an empty store."""
    speed, processor_speed = fill(store, steps, batch_rows)
    told = store.describe()
    print(f"{told['kind']}, {steps:,} steps x 20 series, batches of {batch_rows:,} rows")
    print(
        f"append {speed / 1e6:.2f} million points/s, {processor_speed / 1e6:.2f} a second of this process's processor time"
    )
    print(f"{told['bytes'] / told['points']:.2f} bytes/point")
    shown = [f"noisy/{index}" for index in range(SHOWN)]
    generator = np.random.default_rng(SEED)

    def zoom(share: float) -> Callable[[], object]:
        def call() -> object:
            start = generator.integers(0, int(steps * (1 - share)))
            return store.envelope("long", shown, n=PIXELS, start=start, stop=start + steps * share)

        return call

    timed(f"{SHOWN} envelopes of {PIXELS} px, whole run", lambda: store.envelope("long", shown, n=PIXELS), rounds)
    timed(f"{SHOWN} envelopes, a random 10 %", zoom(0.1), rounds)
    timed(f"{SHOWN} envelopes, a random 1 %", zoom(0.01), rounds)
    timed(f"{SHOWN} envelopes, a random 0.1 %", zoom(0.001), rounds)
    timed("one series, every point", lambda: store.read("long", "noisy/0"), rounds)
    cursor = dict.fromkeys(shown, steps - 10)
    timed(f"10 new points of {SHOWN} series since a cursor", lambda: store.since("long", shown, cursor), rounds)
    fill_small(store, 999)
    latest = list(curves(1)[2])[:8]
    timed("list 1,000 runs with 8 latest values", lambda: store.runs(latest=latest), rounds)
    median_ms, worst_ms = live_append_ms(store, 200, 300)
    print(f"{'append one row of 200 keys, 300 times':52} {median_ms:9.2f} ms   worst {worst_ms:9.2f} ms")


if __name__ == "__main__":
    main()
