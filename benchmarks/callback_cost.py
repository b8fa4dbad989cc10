"""What the callback costs a training: `python benchmarks/callback_cost.py [--rounds N]`.

Trains a small Llama with transformers' Trainer on the CPU, by turns without and with the callback, and prints medians over the rounds: the
time of a step, the time spent inside the callback's hooks for each step, and its share. Logging is every 10 steps, heartbeats and samples run.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments

from runvitals.trainers.callback import Callback

STEPS = 100
HOOKS = ("on_step_begin", "on_step_end", "on_log")


class Stopwatch(TrainerCallback):  # type: ignore[misc]  # transformers is not followed by mypy
    """Wall time from the end of the first step to the end of the last."""

    def __init__(self) -> None:
        self.ends_s: list[float] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **found: Any) -> None:
        self.ends_s.append(time.perf_counter())

    @property
    def step_s(self) -> float:
        return (self.ends_s[-1] - self.ends_s[0]) / (len(self.ends_s) - 1)


def timed(callback: Callback) -> list[float]:
    """The times that the callback's hooks take from now on, in seconds, in a list that grows."""
    spent: list[float] = []

    def around(hook: Callable[..., None]) -> Callable[..., None]:
        def measured(*arguments: Any, **found: Any) -> None:
            started_s = time.perf_counter()
            hook(*arguments, **found)
            spent.append(time.perf_counter() - started_s)

        return measured

    for name in HOOKS:
        setattr(callback, name, around(getattr(callback, name)))
    return spent


def train(callback: Callback | None, folder: str) -> float:
    """Seconds a step of one training."""
    torch.manual_seed(0)
    shape = LlamaConfig(
        vocab_size=256,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        eos_token_id=1,
    )
    rows = [{"input_ids": torch.randint(2, 256, (64,)), "labels": torch.randint(2, 256, (64,))} for _ in range(64)]
    watch = Stopwatch()
    arguments = TrainingArguments(
        output_dir=folder,
        max_steps=STEPS,
        per_device_train_batch_size=8,
        logging_steps=10,
        save_strategy="no",
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    Trainer(
        LlamaForCausalLM(shape),
        arguments,
        train_dataset=rows,
        callbacks=[*([callback] if callback else []), watch],
    ).train()
    return watch.step_s


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--rounds", type=int, default=5)
    rounds = options.parse_args().rounds
    torch.set_num_threads(1)
    plain_s, with_s, hooks_s, each_s = [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RUNVITALS_HOME"] = folder
        train(None, folder)  # warm-up
        for _ in range(rounds):
            plain_s.append(train(None, folder))
            callback = Callback("cost")
            spent = timed(callback)
            with_s.append(train(callback, folder))
            hooks_s.append(sum(spent) / STEPS)
            each_s.append(statistics.median(spent))
    plain, with_callback, hooks = (statistics.median(values) for values in (plain_s, with_s, hooks_s))
    print(
        f"step without the callback  {1e3 * plain:8.3f} ms   (rounds {min(plain_s) * 1e3:.2f} to {max(plain_s) * 1e3:.2f})"
    )
    print(
        f"step with the callback     {1e3 * with_callback:8.3f} ms   (rounds {min(with_s) * 1e3:.2f} to {max(with_s) * 1e3:.2f})"
    )
    print(f"inside its hooks, a step   {1e6 * hooks:8.1f} µs   = {100 * hooks / plain:.2f} % of a step")
    print(f"median of one hook         {1e6 * statistics.median(each_s):8.1f} µs")


if __name__ == "__main__":
    main()
