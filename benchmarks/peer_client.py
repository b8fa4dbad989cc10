"""One tracker in a process of its own: logs rows of 20 scalars and says what each call took, or counts the rows that it finds on disk.

    python benchmarks/peer_client.py log TRACKER FOLDER CALLS PERIOD_S SECONDS
    python benchmarks/peer_client.py count TRACKER FOLDER

Started by log_cost.py with the interpreter that has the tracker; imports nothing but the tracker. Trackers run offline, with their defaults
otherwise. `log` prints JSON once all calls have returned, and then waits to be killed, or finishes the tracker when its stdin ends.
"""

from __future__ import annotations

import json
import os
import sqlite3
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

KEYS = 20
HISTORY = 2
"""The field of a W&B record that holds a logged row."""

Log = Callable[[dict[str, float], int], Any]
Client = tuple[Log, Callable[[], Any]]
"""What logs a row, and what ends the tracker."""


def begin_empty(folder: Path) -> Client:
    return lambda row, step: None, lambda: None


def begin_plain(folder: Path) -> Client:
    import orjson

    file = os.open(folder / "plain.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def append(row: dict[str, float], step: int) -> None:
        os.write(file, orjson.dumps({"step": step, "time_s": time.time(), **row}) + b"\n")

    return append, lambda: None


def count_plain(folder: Path) -> float:
    return (folder / "plain.jsonl").read_bytes().count(b"\n")


def begin_runvitals(folder: Path) -> Client:
    import runvitals

    run = runvitals.init("benchmark", home=folder)
    return run.log, run.finish


def count_runvitals(folder: Path) -> float:
    from runvitals.collectors import journal
    from runvitals.collectors.records import Rows

    rows = 0
    for path in journal.files(next((folder / "journal").iterdir())):
        position, more = None, True
        while more:
            result = journal.read(path, position)
            position, more = result.position, result.more
            rows += sum(one.count for one in result.records if isinstance(one, Rows) and "train/metric_0" in one.keys)
    return rows


def begin_trackio(folder: Path) -> Client:
    import trackio

    trackio.init(project="benchmark")
    return lambda row, step: trackio.log(row, step=step), trackio.finish


def count_trackio(folder: Path) -> float:
    return sum(
        _rows(path, "SELECT COUNT(*) FROM metrics WHERE CAST(metrics AS TEXT) LIKE '%metric_0%'")
        for path in (folder / "trackio").rglob("*.db")
    )


def begin_wandb(folder: Path) -> Client:
    import wandb

    run = wandb.init(project="benchmark", mode="offline", dir=folder)
    return lambda row, step: run.log(row, step=step), run.finish


def count_wandb(folder: Path) -> float:
    """Complete history records; the file is in LevelDB's log format, in blocks of 32 KiB."""
    records = _leveldb(next(folder.rglob("*.wandb")), 7)
    return sum(b"train/metric_0" in one and _field(one) == HISTORY for one in records)


def begin_tensorboardx(folder: Path) -> Client:
    from tensorboardX import SummaryWriter

    writer = SummaryWriter(str(folder))

    def log(row: dict[str, float], step: int) -> None:
        for key, value in row.items():
            writer.add_scalar(key, value, step)

    return log, writer.close


def count_tensorboardx(folder: Path) -> float:
    data = next(folder.glob("events*")).read_bytes()
    at = found = 0
    while at + 12 <= len(data):
        (size,) = struct.unpack_from("<Q", data, at)
        if at + 16 + size > len(data):
            break
        found += b"train/metric_" in data[at + 12 : at + 12 + size]
        at += 16 + size
    return found / KEYS


def begin_mlflow(folder: Path) -> Client:
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    mlflow.start_run()
    return lambda row, step: mlflow.log_metrics(row, step=step), mlflow.end_run


def count_mlflow(folder: Path) -> float:
    return _rows(folder / "mlflow.db", "SELECT COUNT(*) FROM metrics") / KEYS


def begin_swanlab(folder: Path) -> Client:
    import swanlab

    swanlab.init(project="benchmark", mode="offline", logdir=str(folder / "swanlog"))
    return lambda row, step: swanlab.log(row, step=step), swanlab.finish


def count_swanlab(folder: Path) -> float:
    """Scalars of one key in its own file, which names the key once more where it introduces it."""
    files = (folder / "swanlog").rglob("*.swanlab")
    return max(sum(path.read_bytes().count(b"train/metric_0") for path in files) - 1, 0)


def begin_aim(folder: Path) -> Client:
    import aim

    run = aim.Run(repo=str(folder), experiment="benchmark")

    def log(row: dict[str, float], step: int) -> None:
        for key, value in row.items():
            run.track(value, name=key, step=step)

    return log, run.close


def count_aim(folder: Path) -> float:
    command = [str(Path(sys.executable).parent / "aim"), "storage", "--repo", str(folder), "reindex", "-y"]
    subprocess.run(command, capture_output=True, check=False, timeout=60)
    import aim

    metrics = [metric for run in aim.Repo(str(folder)).iter_runs() for metric in run.metrics()]
    return sum(len(one.values.sparse_numpy()[0]) for one in metrics if one.name.startswith("train/")) / KEYS


def _rows(path: Path, query: str) -> float:
    with sqlite3.connect(path) as connection:
        return float(connection.execute(query).fetchone()[0])


def _field(message: bytes) -> int:
    """The number of a protobuf message's first field after field 1, which is W&B's running number."""
    at = 0
    if message[:1] == b"\x08":
        at = 2
        while message[at - 1] & 0x80:
            at += 1
    return message[at] >> 3


def _leveldb(path: Path, header: int) -> Iterator[bytes]:
    """Complete records of a log in LevelDB's format: parts of (checksum, length, type), in blocks of 32 KiB."""
    data, at, parts = path.read_bytes(), header, b""
    while at + 7 <= len(data):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        _, size, kind = struct.unpack_from("<IHB", data, at)
        if not 1 <= kind <= 4 or at + 7 + size > len(data):
            return
        parts = (b"" if kind in (1, 2) else parts) + data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):
            yield parts


def _answer(found: Any) -> None:
    """One line of JSON to whoever asked; stdout is the tracker's to talk on."""
    os.write(int(os.environ["ANSWER_FD"]), json.dumps(found).encode() + b"\n")


def log(name: str, folder: Path, calls: int, period_s: float, seconds: float) -> None:
    """Logs rows with new values, as a training does, until there are enough of them or the time is up."""
    begun = time.perf_counter()
    call, finish = globals()[f"begin_{name}"](folder)
    init_s = time.perf_counter() - begun
    clock, took = time.perf_counter_ns, []
    until = clock() + int(seconds * 1e9)
    for step in range(calls):
        row = {f"train/metric_{i}": 1.0 / (step + i + 1) for i in range(KEYS)}
        if period_s:
            time.sleep(period_s)
        before = clock()
        call(row, step)
        after = clock()
        took.append((after - before) / 1000)
        if after > until:
            break
    _answer({"took_us": took, "init_s": init_s})
    if sys.stdin.readline():
        finish()


def main() -> None:
    """Runs the command."""
    what, name, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    if what == "count":
        found = globals()[f"count_{name}"](folder)
        _answer(found)
    else:
        log(name, folder, int(sys.argv[4]), float(sys.argv[5]), float(sys.argv[6]))


if __name__ == "__main__":
    main()
