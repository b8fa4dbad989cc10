"""What `Run.log` of 20 scalars costs its caller while the file system under the journal hangs, by the queue that network mounts get.

    sudo python benchmarks/hanging_mount.py

Freezes a small ext4 of its own on a loop device (fsfreeze), so it needs the right to mount. Prints the cost before, during and after, and
whether every row is there in the end.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from log_cost import quantile, timed_us

from runvitals.collectors import journal
from runvitals.collectors.options import Options
from runvitals.collectors.records import Rows
from runvitals.collectors.run import Run

CALLS = 10_000
SLOW_CALLS = 200
SLOW_PERIOD_S = 0.01


def command(*words: str | Path) -> None:
    """Runs a program; raises where it fails."""
    subprocess.run([*map(str, words)], check=True, capture_output=True)


def show(what: str, run: Run, first_step: int) -> int:
    """Prints p50, p99 and the worst at full speed and at 100 Hz; gives the next step."""
    for name, calls, period_s in (("full speed", CALLS, 0.0), ("100 Hz", SLOW_CALLS, SLOW_PERIOD_S)):
        took = timed_us(run.log, calls, first_step=first_step, period_s=period_s)
        first_step += calls
        print(f"{what:10}{name:12}{quantile(took, 0.5):9.2f}{quantile(took, 0.99):9.2f}{max(took):10.1f}")
    return first_step


def main() -> None:
    """Measures before, during and after the hang."""
    with tempfile.TemporaryDirectory() as folder:
        image, place = Path(folder) / "image", Path(folder) / "disk"
        place.mkdir()
        with image.open("wb") as stream:
            stream.truncate(64 << 20)
        command("mkfs.ext4", "-q", image)
        command("mount", "-o", "loop", image, place)
        try:
            run = Run(place, "benchmark", options=Options(queued=True))
            print(f"{'':22}{'p50 µs':>9}{'p99 µs':>9}{'max µs':>10}")
            step = show("before", run, 0)
            command("fsfreeze", "-f", place)
            try:
                step = show("hanging", run, step)
            finally:
                command("fsfreeze", "-u", place)
            step = show("after", run, step)
            run.finish()
            print(f"rows logged {step}, rows in the journal {sum(map(rows, journal.files(run.path)))}")
        finally:
            command("umount", "-l", place)


def rows(path: Path) -> int:
    """Rows of the benchmark in a journal file."""
    count, position, more = 0, None, True
    while more:
        result = journal.read(path, position)
        position, more = result.position, result.more
        count += sum(one.count for one in result.records if isinstance(one, Rows) and "train/metric_0" in one.keys)
    return count


if __name__ == "__main__":
    main()
