"""How fast one watcher takes journals into the store, and how fast it diagnoses them, next to a plain loop over `journal.read`.

    python benchmarks/ingest_speed.py [--rows 100000] [--runs 1] [--store URL]

Writes journals with `Run.log` (20 scalars a row, as a GRPO trainer names them), then lets one watcher take them in. Prints millions of points
a second, by the clock and by this process's processor time, and the seconds of the slowest pass.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from runvitals.collectors import journal
from runvitals.collectors.options import Options
from runvitals.collectors.records import Rows
from runvitals.collectors.run import Run
from runvitals.settings import checked_store_url
from runvitals.store.open import open_store
from runvitals.watch.loop import Pass, Watcher

KEYS = (
    *("loss", "grad_norm", "learning_rate", "num_tokens", "epoch", "kl", "entropy", "reward", "reward_std"),
    *("frac_reward_zero_std", "step_time", "clip_ratio/region_mean", "clip_ratio/low_mean", "clip_ratio/high_mean"),
    *("completions/mean_length", "completions/min_length", "completions/max_length", "completions/clipped_ratio"),
    *("sampling/sampling_logp_difference/mean", "sampling/importance_sampling_ratio/mean"),
)


def main() -> None:
    """Prints the speeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000, help="rows of each run")
    parser.add_argument("--runs", type=int, default=1, help="runs")
    parser.add_argument("--store", help="URL of an empty store (default: SQLite in a temporary folder)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        journals = Path(folder) / "journal"
        for _ in range(arguments.runs):
            record(journals, arguments.rows)
        points = arguments.rows * arguments.runs * len(KEYS)
        url = checked_store_url(arguments.store) if arguments.store else f"sqlite:///{folder}/runvitals.db"
        print(f"{arguments.runs} runs of {arguments.rows} rows of {len(KEYS)} scalars, {url.split(':')[0]}")
        with told("journal.read alone", points):
            read_all(journals)
        watcher = Watcher(journals, open_store(url))
        slowest_s = [0.0]
        with told("until stored", points):
            passes(watcher, slowest_s, lambda done: done.behind_bytes > 0)
        with told("from then until diagnosed", points):
            passes(watcher, slowest_s, lambda done: done.catching_up)
        print(f"slowest pass: {slowest_s[0] * 1e3:.0f} ms")
        watcher.close()


def record(journals: Path, rows: int) -> None:
    """Writes one run."""
    source = random.Random(7)
    with Run(journals, "speed", options=Options(sample=False, heartbeat_s=3600.0)) as run:
        for step in range(1, rows + 1):
            run.log({key: 1.0 + 0.1 * source.random() for key in KEYS}, step=step)


def read_all(journals: Path) -> int:
    """Reads every journal once; the number of rows."""
    rows = 0
    for folder in journals.iterdir():
        for path in journal.files(folder):
            position, more = None, True
            while more:
                result = journal.read(path, position)
                rows += sum(record.count for record in result.records if isinstance(record, Rows))
                position, more = result.position, result.more
    return rows


def passes(watcher: Watcher, slowest_s: list[float], go_on: Callable[[Pass], bool]) -> None:
    """One pass and more, while something is left."""
    while True:
        began_s = time.perf_counter()
        done = watcher.step()
        slowest_s[0] = max(slowest_s[0], time.perf_counter() - began_s)
        if not go_on(done):
            return


@contextmanager
def told(what: str, points: int) -> Iterator[None]:
    """Prints how fast the block went through the points."""
    wall_s, busy_s = time.perf_counter(), time.process_time()
    yield
    wall_s, busy_s = time.perf_counter() - wall_s, time.process_time() - busy_s
    print(
        f"{what}: {points / wall_s / 1e6:.2f} M points/s ({points / busy_s / 1e6:.2f} by processor time), {wall_s:.1f} s"
    )


if __name__ == "__main__":
    main()
