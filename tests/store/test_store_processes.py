"""Several processes and threads on one store: readers beside a writer, a writer killed in the middle, two that start at once."""

from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from runvitals.store import Store, open_store

WRITER = """
import sys
import numpy as np
from runvitals.store import open_store
from runvitals.store.types import Batch, SeriesPoints

url, writer, batches, rows = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
store = open_store(url)
start = {"project": "p", "name": "n", "config": {}, "info": {}, "time_s": 0.0}
for number in range(batches):
    at = np.arange(number * rows, (number + 1) * rows, dtype=np.int64)
    points = SeriesPoints(steps=at, times_s=at.astype(float), values=at.astype(float))
    series = {f"{writer}/{key}": points for key in range(5)}
    store.append(Batch(run_id="run", writer_id=writer, first_seq=number * rows + 1, last_seq=(number + 1) * rows,
                       position={}, series=series, rows=rows, start=start if number == 0 else None))
    print(number, flush=True)
"""


def begin(url: str, writer: str, *, batches: int, rows: int) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", WRITER, url, writer, str(batches), str(rows)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


def assert_whole(store: Store, key: str) -> int:
    """How many points a series has, which must be 0, 1, 2, … without a gap, and agree with its summary."""
    values = store.read("run", key).values
    assert values.tolist() == list(range(values.size))
    assert store.envelope("run", [key], n=50)[key].count.sum() == store.read("run", key, stop=1e18).values.size
    return values.size


@pytest.mark.slow
def test_a_reader_sees_whole_batches_while_another_process_writes(store: Store, store_url: str) -> None:
    writer = begin(store_url, "w", batches=30, rows=400)
    assert writer.stdout is not None
    writer.stdout.readline()
    seen = []
    while writer.poll() is None:
        counts = {latest.count for latest in store.keys("run").values()}
        assert len(counts) == 1, "a reader saw half a batch"
        values = store.read("run", "w/0").values
        assert values.size % 400 == 0
        assert values.tolist() == list(range(values.size))
        seen.append(values.size)
    assert writer.wait() == 0
    writer.stdout.close()
    assert seen == sorted(seen)
    assert assert_whole(store, "w/4") == 12_000


@pytest.mark.slow
def test_two_processes_that_start_at_once_make_one_store_and_one_run(store_url: str) -> None:
    writers = [begin(store_url, name, batches=5, rows=100) for name in ("a", "b")]
    for writer in writers:
        output, _ = writer.communicate(timeout=120)
        assert (writer.returncode, output.split()) == (0, ["0", "1", "2", "3", "4"])
    store = open_store(store_url, create=False)
    assert [assert_whole(store, key) for key in ("a/0", "b/4")] == [500, 500]
    assert len(store.runs()) == 1
    store.close()


@pytest.mark.parametrize("batches_before", [1, 9, 23])
def test_a_writer_killed_in_the_middle_leaves_whole_batches(store_url: str, batches_before: int) -> None:
    writer = begin(store_url, "w", batches=100_000, rows=300)
    assert writer.stdout is not None
    for _ in range(batches_before):
        writer.stdout.readline()
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    store = open_store(store_url, create=False)
    sizes = {assert_whole(store, f"w/{key}") for key in range(5)}
    assert len(sizes) == 1
    assert sizes.pop() >= 300 * batches_before
    assert store.writers("run")[0].last_seq == store.keys("run")["w/0"].count
    store.close()


def test_many_threads_read_at_once(sqlite_store: Store, batch_of: Any, points_of: Any) -> None:
    values = np.random.default_rng(4).normal(size=20_000)
    sqlite_store.append(batch_of({f"key/{number}": points_of(values + number) for number in range(8)}))

    def lowest(number: int) -> float:
        key = f"key/{number % 8}"
        return float(sqlite_store.envelope("run", [key], n=100)[key].low.min()) - number % 8

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lowest, range(200)))
    assert found == pytest.approx([values.min()] * 200)
