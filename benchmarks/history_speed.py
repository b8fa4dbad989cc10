"""What a run's history as a table costs, in medians: python benchmarks/history_speed.py [--url URL] [--steps N] [--rounds N].

The run of store_speed.py: twenty series of one trainer, logged in the same rows. Its history is compared with reading alone, with a plain loop
over the keys, with an outer join of the keys, and with pandas reading the same table from a Parquet file. The contenders take
turns; processor time is printed beside wall time, because a busy machine stretches the second and not the first.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
from store_speed import fill

import runvitals
from runvitals.run_view import RunView
from runvitals.store import Store, open_store

RUN = "long"
SHOWN = 12
ROWS = 1000


def plain_loop(store: Store, keys: list[str]) -> pd.DataFrame:
    """One read a key, put side by side: right only where all keys were logged in the same rows."""
    found = {key: store.read(RUN, key) for key in keys}
    return pd.DataFrame({key: points.values for key, points in found.items()}, index=found[keys[0]].steps)


def outer_join(store: Store, keys: list[str]) -> pd.DataFrame:
    """One read a key, joined by step: what is right for any rows, without knowing which keys share theirs."""
    found = {key: store.read(RUN, key) for key in keys}
    return pd.concat({key: pd.Series(points.values, index=points.steps) for key, points in found.items()}, axis=1)


def compare(calls: Mapping[str, Callable[[], object]], rounds: int) -> None:
    """Prints median wall and processor milliseconds of each call; they take turns, once unmeasured."""
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for _ in range(rounds + 1):
        for name, call in calls.items():
            began_s, began_cpu_s = time.perf_counter(), time.process_time()
            call()
            spent[name].append(((time.perf_counter() - began_s) * 1000, (time.process_time() - began_cpu_s) * 1000))
    for name, times in spent.items():
        wall, processor = (statistics.median(one[which] for one in times[1:]) for which in (0, 1))
        print(f"{name:60} {wall:9.1f} ms   processor {processor:9.1f} ms")


def main() -> None:
    """Fills a store and prints what its tables cost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="an empty store of its own; default: a SQLite file in a folder that is removed")
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = options.url or f"sqlite:///{Path(folder) / 'speed.db'}"
        store = open_store(url)
        fill(store, options.steps)
        with runvitals.open(url) as view:
            measure(store, view.run(RUN), Path(folder) / "same.parquet", rounds=options.rounds)
        store.close()


def measure(store: Store, run: RunView, file: Path, *, rounds: int) -> None:
    """Prints all measures; `file` is where the Parquet file goes."""
    keys = list(run.keys())
    whole = run.history(keys)
    whole.to_parquet(file, compression="zstd")
    values = whole.size
    told = store.describe()
    print(f"{told['kind']}, {len(whole):,} steps x {len(keys)} keys, load {os.getloadavg()[0]:.1f}")
    print(f"{told['bytes'] / values:.2f} bytes a value here, {file.stat().st_size / values:.2f} in Parquet (zstd)")
    assert whole.equals(outer_join(store, keys)[keys].rename_axis("step"))
    middle = len(whole) // 2
    compare(
        {
            f"reading alone, {len(keys)} keys": lambda: store.read_many(RUN, keys),
            f"history, {len(keys)} keys": lambda: run.history(keys),
            "a plain loop of reads, side by side": lambda: plain_loop(store, keys),
            "a plain loop of reads, outer join": lambda: outer_join(store, keys),
            "pandas.read_parquet of the same table": lambda: pd.read_parquet(file),
        },
        rounds,
    )
    compare(
        {
            f"history, {SHOWN} keys, samples={ROWS}": lambda: run.history(keys[:SHOWN], samples=ROWS),
            f"history, {SHOWN} keys, samples={ROWS}, a tenth of the run": lambda: run.history(
                keys[:SHOWN], samples=ROWS, start=middle, stop=middle * 1.2
            ),
            f"history, {SHOWN} keys, every step of a hundredth": lambda: run.history(
                keys[:SHOWN], start=middle, stop=middle * 1.02
            ),
            "history, one key": lambda: run.history(keys[0]),
            "pandas.read_parquet, one column": lambda: pd.read_parquet(file, columns=[keys[0]]),
        },
        rounds * 3,
    )


if __name__ == "__main__":
    main()
