"""What the benchmarks of pages share: stores of a known size, the dashboard in a process of its own, a watcher's sign of life."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil

from runvitals.settings import Settings
from runvitals.store import Store, open_store
from runvitals.store.types import Batch, SeriesPoints, WatcherInfo
from runvitals.up import end, free_port, start_dashboard, wait_until_ready

ROOT = Path(__file__).parent.parent
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")

DPO_KEYS = (
    *("loss", "grad_norm", "learning_rate", "rewards/margins", "rewards/chosen", "rewards/rejected"),
    *("rewards/accuracies", "logps/chosen", "logps/rejected", "perf/step_time_s", "perf/data_wait_s", "tokens"),
)
"""What a DPO trainer and the callback log at every step, as far as it is charted."""

BATCH_ROWS = 20_000


@contextmanager
def served(settings: Settings) -> Iterator[tuple[str, psutil.Process]]:
    """The dashboard's address and its process. A watcher's sign of life comes every second, so that the app starts none beside itself."""
    store = open_store(settings.store)
    over = threading.Event()

    def beat() -> None:
        while True:
            now_s = time.time()
            store.watcher_beat(
                WatcherInfo(id="w", host="here", pid=1, started_s=now_s, pass_s=now_s, behind_bytes=0, rules=44)
            )
            if over.wait(1.0):
                return

    beating = threading.Thread(target=beat)
    beating.start()
    port = free_port("127.0.0.1", 0)
    process = start_dashboard(settings, host="127.0.0.1", port=port)
    try:
        wait_until_ready("127.0.0.1", port, process)
        yield f"http://127.0.0.1:{port}", psutil.Process(process.pid)
    finally:
        end([process])
        over.set()
        beating.join()
        store.close()


def browser_path() -> str:
    """The Chromium that the tests use. Ends the program where there is none."""
    found = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "find_browser.py")], capture_output=True, text=True, check=False
    )
    if found.returncode != 0:
        sys.exit(found.stderr)
    return found.stdout.strip()


def write_run(
    store: Store,
    run_id: str,
    *,
    steps: int,
    keys: Sequence[str] = DPO_KEYS,
    status: str = "finished",
    config: dict[str, object] | None = None,
    seed: int = 7,
) -> None:
    """A DPO run of noisy curves, a row of all keys a second, with a config of 60 settings."""
    rng = np.random.default_rng(seed)
    start_s = time.time() - steps
    settings = {f"setting_{number}": number * 1.5 for number in range(60)} | (config or {})
    start = {"project": "benchmark", "name": run_id, "config": settings, "info": {}, "time_s": start_s}
    for first in range(0, steps, BATCH_ROWS):
        rows = min(BATCH_ROWS, steps - first)
        append(store, run_id, first + 1, rows, keys=keys, rng=rng, start_s=start_s, start=start if not first else None)
    store.set_run(
        run_id,
        status=status,
        health="healthy",
        trainer="dpo",
        max_steps=steps,
        ended_s=None if status == "running" else start_s + steps,
    )
    if status != "running":
        store.compact(run_id)


def append(
    store: Store,
    run_id: str,
    first: int,
    rows: int,
    *,
    keys: Sequence[str],
    rng: np.random.Generator,
    start_s: float,
    start: dict[str, object] | None = None,
) -> None:
    """Rows `first` to `first + rows - 1`, in one commit as a watcher makes it."""
    steps = np.arange(first, first + rows, dtype=np.int64)
    times_s = start_s + steps.astype(np.float64)
    values = {key: 1.0 + 0.1 * rng.standard_normal(rows) for key in keys}
    if "tokens" in values:
        values["tokens"] = 4096.0 * steps
    store.append(
        Batch(
            run_id=run_id,
            writer_id=f"{run_id}-w",
            first_seq=first,
            last_seq=first + rows - 1,
            position={},
            series={
                key: SeriesPoints(steps=steps, times_s=times_s, values=column.astype(np.float32).astype(np.float64))
                for key, column in values.items()
            },
            start=start,
            rows=rows,
        )
    )
    store.set_run(run_id, last_step=int(steps[-1]), last_step_s=float(times_s[-1]))
