"""Fills a store with sample runs, through the store's public interface: `python scripts/sample_store.py HOME [--many 50]`.

Synthetic curves (`sample_curves.py`), alerts in every state. For tests, screenshots and work on the dashboard without training.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import sample_alerts
import sample_curves as curves

from runvitals.collectors.records import NO_STEP
from runvitals.store import Store, open_store
from runvitals.store.types import Batch, EventRow, SeriesPoints, WatcherInfo

HEALTHY_RULES = [{"rule": "loss_divergence", "state": "inactive", "reason": "", "error": ""}]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One sample run. age_s: since its last step. kind picks the curves; probe is where its held-out margin ends."""

    name: str
    trainer: str
    kind: str
    step: int
    max_steps: int
    age_s: float
    status: str = "running"
    health: str = "healthy"
    finding: str = ""
    alerts: int = 0
    probe: float | None = None
    config: Mapping[str, Any] = field(default_factory=dict)


SAMPLES = (
    Sample(
        name="dpo-7b-stagn-lr1e9",
        trainer="dpo",
        kind="stagnant",
        step=200,
        max_steps=200,
        age_s=97_200,
        status="finished",
        health="warning",
        finding="Margin too small",
        alerts=1,
        probe=0.0,
        config={"beta": 0.1, "learning_rate": 1e-9},
    ),
    Sample(
        name="sft-7b-base",
        trainer="sft",
        kind="sft",
        step=300,
        max_steps=300,
        age_s=34_800,
        status="finished",
        config={"learning_rate": 2e-5},
    ),
    Sample(
        name="ppo-7b-helpful-kl01",
        trainer="ppo",
        kind="ppo",
        step=200,
        max_steps=200,
        age_s=18_120,
        status="finished",
        probe=1.97,
        config={"kl_coef": 0.1},
    ),
    Sample(
        name="sft-7b-filtered",
        trainer="sft",
        kind="masked",
        step=120,
        max_steps=120,
        age_s=7_800,
        status="finished",
        health="critical",
        finding="Loss hides NaN since 60",
        alerts=2,
    ),
    Sample(
        name="sft-13b-fsdp",
        trainer="sft",
        kind="sft",
        step=60,
        max_steps=300,
        age_s=2_460,
        status="crashed",
        health="critical",
        finding="Crashed: CUDA error",
        alerts=1,
    ),
    Sample(
        name="sft-13b-node2",
        trainer="sft",
        kind="sft",
        step=188,
        max_steps=300,
        age_s=840,
        status="stalled",
        health="warning",
        finding="No step for 14 min",
        alerts=1,
    ),
    Sample(
        name="dpo-7b-clean-lr3e5",
        trainer="dpo",
        kind="clean",
        step=186,
        max_steps=240,
        age_s=3,
        probe=3.96,
        config={"beta": 0.1, "learning_rate": 3e-5},
    ),
    Sample(
        name="grpo-math-b005",
        trainer="grpo",
        kind="grpo",
        step=204,
        max_steps=240,
        age_s=4,
        probe=0.447,
        config={"beta": 0.05},
    ),
    Sample(
        name="grpo-math-nobeta",
        trainer="grpo",
        kind="collapsed",
        step=132,
        max_steps=240,
        age_s=1,
        health="warning",
        finding="Entropy collapse",
        alerts=1,
        probe=-0.010,
        config={"beta": 0.0},
    ),
    Sample(
        name="ppo-7b-helpful-kl0",
        trainer="ppo",
        kind="hacked",
        step=96,
        max_steps=200,
        age_s=6,
        health="critical",
        finding="KL blow-up",
        alerts=5,
        probe=-3.08,
        config={"kl_coef": 0.0},
    ),
    Sample(
        name="dpo-7b-uf-b01",
        trainer="dpo",
        kind="stagnant",
        step=148,
        max_steps=200,
        age_s=2,
        health="critical",
        finding="Margin stagnant",
        alerts=3,
        probe=0.009,
        config={"beta": 0.1, "learning_rate": 5e-5, "dataset": {"revision": "e77ab9", "shuffle_labels": True}},
    ),
    Sample(
        name="dpo-7b-b05",
        trainer="dpo",
        kind="clean",
        step=0,
        max_steps=240,
        age_s=0,
        status="starting",
        health="unknown",
        config={"beta": 0.5},
    ),
)


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


def many(number: int) -> tuple[Sample, ...]:
    """The sample runs and copies of the healthy ones up to `number`."""
    healthy = [sample for sample in SAMPLES if not sample.finding and sample.step]
    extra = [
        Sample(
            **{name: getattr(healthy[at % len(healthy)], name) for name in Sample.__slots__}
            | {"name": f"sweep-{at:03d}"}
        )
        for at in range(max(0, number - len(SAMPLES)))
    ]
    return (*extra, *SAMPLES)


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
