"""Fills a store with sample runs, through the store's public interface: `python scripts/sample_store.py HOME [--many 50]`.

The runs are those of `sample_runs.py`, with synthetic curves (`sample_curves.py`) and alerts in every state.
For tests, screenshots and work on the dashboard without training.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import sample_alerts
import sample_curves as curves
from sample_runs import SAMPLES, Sample, many

from runvitals.collectors.records import NO_STEP
from runvitals.store import Store, open_store
from runvitals.store.types import Batch, EventRow, SeriesPoints, WatcherInfo

HEALTHY_RULES = [{"rule": "loss_divergence", "state": "inactive", "reason": "", "error": ""}]


def fill(store: Store, *, now_s: float, samples: tuple[Sample, ...] = SAMPLES) -> list[str]:
    """Ids of the runs written, in the order of `samples`."""
    ids = [write_run(store, sample, number, now_s) for number, sample in enumerate(samples)]
    by_name = {sample.name: run_id for sample, run_id in zip(samples, ids, strict=True)}
    sample_alerts.write(store, by_name, now_s=now_s)
    return ids


def beat(store: Store, *, now_s: float) -> None:
    """A watcher's sign of life, so that the pages see somebody watching."""
    info = WatcherInfo(id="sample", host="here", pid=1, started_s=now_s - 60, pass_s=now_s, behind_bytes=0, rules=15)
    store.watcher_beat(info)


def write_run(store: Store, sample: Sample, number: int, now_s: float) -> str:
    """The id of the run, written with its series and derived fields."""
    rng = np.random.default_rng(number)
    run_id = f"sample{number:02d}"
    length_s = 4.3 * max(sample.step, 1)
    last_s = now_s - sample.age_s
    batch = Batch(
        run_id=run_id,
        writer_id=f"{run_id}-w",
        first_seq=1,
        last_seq=sample.step + 2,
        position={"file": 1, "byte": 0},
        series=_series(rng, sample, last_s - length_s, last_s),
        events=_events(run_id, sample, last_s - length_s),
        start={
            "project": "sample", "name": sample.name, "config": {"trainer": sample.trainer, **sample.config},
            "info": {"host": "node1", "pid": 4242, "versions": {"trl": "1.12.0"}}, "time_s": last_s - length_s, "resumed": False,
        },
        beat_s=last_s,
        phase="train",
        rows=sample.step,
    )  # fmt: skip
    store.append(batch)
    store.set_run(
        run_id,
        status=sample.status,
        phase="train",
        health=sample.health,
        trainer=sample.trainer,
        max_steps=sample.max_steps,
        finding=sample.finding,
        alerts=sample.alerts,
        rules=HEALTHY_RULES,
        ended_s=last_s if sample.status in ("finished", "crashed", "stopped") else None,
    )
    return run_id


def _series(rng: np.random.Generator, sample: Sample, start_s: float, stop_s: float) -> dict[str, SeriesPoints]:
    n = sample.step
    if not n:
        return {}
    makers = {
        "stagnant": lambda: curves.preference(rng, n, learns=0.0),
        "clean": lambda: curves.preference(rng, n, learns=4.5),
        "sft": lambda: curves.supervised(rng, n),
        "masked": lambda: curves.supervised(rng, n, nan_from=0.5),
        "ppo": lambda: curves.policy(rng, n, hacked=False),
        "hacked": lambda: curves.policy(rng, n, hacked=True),
        "grpo": lambda: curves.grouped(rng, n, collapses=False),
        "collapsed": lambda: curves.grouped(rng, n, collapses=True),
    }
    values = {**makers[sample.kind](), **curves.optimisation(rng, n, rate=5e-5)}
    steps = np.arange(1, n + 1, dtype=np.int64)
    times_s = np.linspace(start_s, stop_s, n)
    found = {key: SeriesPoints(steps=steps, times_s=times_s, values=value) for key, value in values.items()}
    if sample.probe is not None:
        found |= _probe(rng, sample.probe, steps, times_s)
    sampled_s = np.linspace(start_s, stop_s, max(2, n))
    nowhere = np.full(len(sampled_s), NO_STEP, dtype=np.int64)
    for key, value in curves.devices(rng, len(sampled_s), gpus=8 if "7b" in sample.name else 2).items():
        found[key] = SeriesPoints(steps=nowhere, times_s=sampled_s, values=value)
    return found


def _probe(rng: np.random.Generator, end: float, steps: Any, times_s: Any) -> dict[str, SeriesPoints]:
    every = slice(7, None, 8)
    n = len(steps[every])
    margin = curves.rise(n, low=0.0, high=end, at=0.45, width=0.15) + curves.noise(rng, n, 0.004 + 0.01 * abs(end))
    margin[-1] = end
    values = {
        "probe/margin": margin,
        "probe/margin_se": 0.02 + 0.02 * np.abs(margin),
        "probe/accuracy": np.clip(0.5 + 0.4 * np.tanh(margin), 0, 1),
    }
    return {
        key: SeriesPoints(steps=steps[every], times_s=times_s[every], values=value) for key, value in values.items()
    }


def _events(run_id: str, sample: Sample, start_s: float) -> list[EventRow]:
    happened = [("trainer", 0, {"kind": sample.trainer, "max_steps": sample.max_steps})]
    happened += [("checkpoint", step, {"path": f"out/{step}"}) for step in range(50, sample.step, 50)]
    happened += [("eval", step, {}) for step in range(20, sample.step, 20)]
    return [
        EventRow(
            run_id=run_id, writer_id=f"{run_id}-w", seq=1, time_s=start_s + 4.3 * step, step=step, kind=kind, data=data
        )
        for kind, step, data in happened
    ]


def main() -> None:
    """Fills the store of HOME; with --watch, plays a watcher's sign of life until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("--many", type=int, default=len(SAMPLES), help="how many runs")
    parser.add_argument("--watch", action="store_true", help="stay and play a watcher")
    options = parser.parse_args()
    options.home.mkdir(parents=True, exist_ok=True)
    store = open_store(f"sqlite:///{options.home.absolute() / 'runvitals.db'}")
    ids = fill(store, now_s=time.time(), samples=many(options.many))
    print(f"{len(ids)} runs in {options.home}")
    while options.watch:
        beat(store, now_s=time.time())
        time.sleep(1)


if __name__ == "__main__":
    main()
