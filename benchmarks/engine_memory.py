"""Memory that the rules of one live run take in a watcher: `python benchmarks/engine_memory.py`.

Each kind of training in a process of its own: one run of made-up rows (two a step, eight GPUs sampled every fifth), looked at on the way.
"""

from __future__ import annotations

import argparse
import gc
import random
import subprocess
import sys
from collections.abc import Iterator

import psutil

from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.types import Row, RunContext

MARGINS = ("chosen", "rejected", "margins", "accuracies")
PROBED = ("margin", "margin_se", "accuracy", "chosen", "rejected")
LOGGED = {
    "sft": ("grad_norm", "mean_token_accuracy", "entropy", "num_tokens"),
    "dpo": ("grad_norm", *(f"rewards/{name}" for name in MARGINS), *(f"probe/{name}" for name in PROBED)),
    "grpo": ("grad_norm", "reward", "reward_std", "kl", "entropy", "completions/mean_length", "frac_reward_zero_std"),
}
SAMPLED = ("utilization", "memory_used_gib", "memory_total_gib", "power_w", "temperature_c", "sm_clock_mhz")
STEPS = (500, 2_500, 10_000, 50_000)


def rows(kind: str, first: int, stop: int, draw: random.Random) -> Iterator[Row]:
    """The rows of some steps, one a second."""
    for step in range(first, stop):
        now_s = 1e9 + step
        yield Row(time_s=now_s, step=step, values={"perf/step_time_s": 1 + 0.05 * draw.random()})
        values = {key: abs(draw.gauss(1, 0.1)) for key in LOGGED[kind]}
        loss = 2 + 1 / (1 + step / 500) + draw.gauss(0, 0.05)
        yield Row(time_s=now_s + 0.1, step=step, values={**values, "loss": loss, "learning_rate": 1e-5})
        if step % 5 == 0:
            machine = {f"gpu/{gpu}/{name}": 40 + 50 * draw.random() for gpu in range(8) for name in SAMPLED}
            yield Row(time_s=now_s + 0.2, step=None, values=machine)


def measure(kind: str) -> None:
    """Prints what an engine takes after some steps, in MiB more than before it was made."""
    process, draw = psutil.Process(), random.Random(1)
    for row in rows(kind, 0, 50, draw):  # what is made once a process
        Engine(default_rules(), RunContext(run_id="first", trainer=kind)).feed(row)
    gc.collect()
    before = process.memory_info().rss
    engine = Engine(default_rules(), RunContext(run_id="run", trainer=kind))
    done = 0
    for stop in STEPS:
        for row in rows(kind, done, stop, draw):
            engine.feed(row)
        done = stop
        gc.collect()
        print(f"{kind:5} {2 * stop:7,} rows  {(process.memory_info().rss - before) / 2**20:5.2f} MiB", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=LOGGED, help="only this one, in this process")
    only = parser.parse_args().kind
    if only:
        measure(only)
    else:
        for each in LOGGED:
            subprocess.run([sys.executable, __file__, "--kind", each], check=True)
