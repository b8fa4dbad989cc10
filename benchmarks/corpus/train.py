"""Trains the corpus of labelled runs: `python benchmarks/corpus/train.py OUT [--jobs 2] [--only TEXT] [--half fit|test|fresh|last|closing] [--list]`.

Each run is a process of its own and ends as OUT/<half>/<name>.json, a recorded run that `runvitals bench rules --runs OUT/test` reads.
What is there already is not trained again, so it may be stopped and started. On two cores it takes about two hours.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import hashlib
import json
import math
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, get_args

from labels import label, place, settle_labels
from nursery import Nursery
from plan import Half, Planned, plan

from runvitals.diagnostics.types import Row
from runvitals.settings import Settings
from runvitals.store.open import open_store
from runvitals.stored_rows import stored_items
from runvitals.watch.command import watch_once

own = threading.local()
stopped = threading.Event()
"""Set when the user ends the script: what is under way is thrown away."""
LIMIT_S = 900.0
SILENCE_S = 150.0
"""A hung run is ended after so long without a row: two and a half times what the stall rule waits."""
ENDING = ("crash", "kill", "hang")
"""Causes that end the process; one that ended well in spite of them is no broken run and not recorded."""


def main() -> int:
    """Trains what is missing; 1 where a run failed for another reason than its fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, one core each")
    parser.add_argument("--only", default="", help="only the run of this name, or those whose names hold this text")
    parser.add_argument("--half", choices=get_args(Half), help="only the runs of this part")
    parser.add_argument("--list", action="store_true", help="print the plan and train nothing")
    options = parser.parse_args()
    every = plan()
    runs = [run for run in every if run.name == options.only] or [run for run in every if options.only in run.name]
    runs = [run for run in runs if options.half in (None, run.half)]
    if options.list:
        for run in runs:
            print(f"{run.half:5}  {run.name}")
        print(
            f"{len(runs)} runs, {sum(run.cause is None for run in runs)} healthy; "
            + ", ".join(f"{sum(run.half == half for run in runs)} {half}" for half in get_args(Half))
        )
        return 0
    for half in get_args(Half):
        (options.out / half).mkdir(parents=True, exist_ok=True)
    missing = [run for run in runs if not place(options.out, run).exists()]
    missing.sort(
        key=lambda run: hashlib.sha256(run.name.encode()).digest()
    )  # what is there when it is stopped is a fair sample
    print(f"{len(runs)} runs, {len(runs) - len(missing)} there already", flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        failed = train_all(missing, options.out, jobs=options.jobs)
    except KeyboardInterrupt:
        settle_labels(options.out, runs)
        print("stopped; start it again to go on", flush=True)
        return 130
    settle_labels(options.out, runs)
    for name in failed:
        print(f"failed: {name}; see {options.out / 'logs' / name}.log", file=sys.stderr)
    return 1 if failed else 0


def train_all(missing: list[Planned], out: Path, *, jobs: int) -> list[str]:
    """Trains the runs side by side and tells how far it is; the names of those that failed."""
    began_s = time.monotonic()
    failed = []
    running: set[int] = set()
    with ThreadPoolExecutor(jobs, initializer=give_nursery) as pool:
        futures = {pool.submit(train_one, run, out, running): run for run in missing}
        try:
            for done, future in enumerate(as_completed(futures), 1):
                run = futures[future]
                said = future.result()
                if said:
                    failed.append(run.name)
                left_s = (time.monotonic() - began_s) / done * (len(missing) - done)
                print(f"{done}/{len(missing)}  {run.name}  {said or 'ok'}  {left_s / 60:.0f} min left", flush=True)
        except KeyboardInterrupt:  # runs that are under way are not recorded, as if they had never begun
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            for group in tuple(running):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(group, signal.SIGKILL)
            raise
    return failed


def give_nursery() -> None:
    """Each thread that trains has a nursery of its own."""
    own.nursery = Nursery()
    atexit.register(own.nursery.close)


def train_one(run: Planned, out: Path, running: set[int]) -> str:
    """Trains and records one run; what went wrong, or nothing."""
    logs = out / "logs"
    logs.mkdir(exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix="corpus-"))
    toys = out / "toy"
    if toys.is_dir():
        shutil.copytree(toys, home / "toy", dirs_exist_ok=True)
    try:
        code, silent_s = follow(run, home, logs / f"{run.name}.log", running)
        if stopped.is_set():
            return "stopped"
        if not toys.is_dir() and (home / "toy").is_dir() and code == 0:
            keep_toys(home / "toy", toys)
        settings = Settings.from_environment({}, home=home)
        watch_once(settings, ())
        recording = recorded(run, settings, code=code, silent_s=silent_s)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    if recording is None or not recording["logs"]:
        return f"recorded nothing (exit code {code})"
    if code == 0 and run.cause is not None and run.cause.name in ENDING:
        return "its fault did not happen: it ended well"
    if code != 0 and (run.cause is None or run.cause.name not in ENDING):
        recording["meta"]["exit_code"] = code
    target = place(out, run)
    target.with_suffix(".tmp").write_text(json.dumps(recording))
    target.with_suffix(".tmp").replace(target)
    return ""


def keep_toys(made: Path, toys: Path) -> None:
    """Keeps the toy models for the runs after this one; two runs that end together keep those of one."""
    shutil.rmtree(made / "output", ignore_errors=True)
    own = Path(tempfile.mkdtemp(dir=toys.parent)) / "toy"
    shutil.copytree(made, own)
    with contextlib.suppress(OSError):  # another run was first
        own.rename(toys)
    shutil.rmtree(own.parent, ignore_errors=True)


def follow(run: Planned, home: Path, log: Path, running: set[int]) -> tuple[int, float]:
    """Trains in a process; its exit code and how long it had been silent when it was killed for that, else 0."""
    cause = run.cause.name if run.cause else "-"
    nursery: Nursery = own.nursery
    process = nursery.start(run.recipe, cause, [*run.arguments, "--run_name", run.name], home=home, log=log)
    running.add(process)
    watching = _Watching(process, log, silence_s=SILENCE_S if cause == "hang" else math.inf)
    watching.start()
    code = nursery.exit_code()
    running.discard(process)
    return code, watching.stop()


class _Watching(threading.Thread):
    """Ends a run that is silent for too long, or that takes too long."""

    def __init__(self, process: int, log: Path, *, silence_s: float) -> None:
        super().__init__(daemon=True)
        self.process, self.log, self.silence_s = process, log, silence_s
        self._over = threading.Event()
        self._silent_s = 0.0

    def stop(self) -> float:
        """Stops watching; the seconds of silence for which the run was ended, else 0."""
        self._over.set()
        self.join()
        return self._silent_s

    def run(self) -> None:
        began_s = time.monotonic()
        while not self._over.wait(0.5):
            silent_s = time.time() - self.log.stat().st_mtime if self.log.exists() else 0.0
            if silent_s > self.silence_s or time.monotonic() - began_s > LIMIT_S:
                self._silent_s = silent_s if silent_s > self.silence_s else 0.0
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.process, signal.SIGKILL)
                return


def recorded(run: Planned, settings: Settings, *, code: int, silent_s: float) -> dict[str, Any] | None:
    """The recording of the only run of a home, or None where it has none."""
    store = open_store(settings.store)
    found = store.runs()
    if not found:
        return None
    items = stored_items(store, found[0].id)
    store.close()
    rows = [item for item in items if isinstance(item, Row)]
    events = [
        {"kind": item.kind, "time_s": item.time_s, "step": item.step, "data": dict(item.data)}
        for item in items
        if not isinstance(item, Row)
    ]
    if silent_s:
        events.append(
            {"kind": "silence", "time_s": rows[-1].time_s if rows else 0.0, "step": None, "data": {"seconds": silent_s}}
        )
    return {
        "meta": label(run),
        "events": events,
        "logs": [{"t": row.time_s, "step": row.step, "logs": dict(row.values)} for row in rows],
    }


if __name__ == "__main__":
    sys.exit(main())
