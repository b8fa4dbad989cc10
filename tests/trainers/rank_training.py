"""A training of several processes, as a launcher starts it once for each: `rank_training.py FOLDER`, with RANK and its like in the environment.

Rank 1 is a straggler: its batches take longer. What else happens is in environment variables: HOSTS (the host that each rank believes to be on,
separated by commas), STEPS, and DIES ("rank:step", killed with -9 there) or FAILS ("rank:step", an exception).
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

rank = int(os.environ["RANK"])
if "HOSTS" in os.environ:
    host = os.environ["HOSTS"].split(",")[rank]
    socket.gethostname = lambda: host  # two machines, as far as the recorder can see

import torch  # noqa: E402
from transformers import Trainer, TrainerCallback, TrainingArguments  # noqa: E402

import runvitals  # noqa: E402
from runvitals.collectors.journal import files, read  # noqa: E402

BATCH_S = (0.002, 0.03)


class Small(torch.nn.Module):
    """One layer and a loss."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": ((self.layer(x)[:, 0] - labels) ** 2).mean()}


class Mishap(TrainerCallback):  # type: ignore[misc]
    """What happens to one rank at one step."""

    def on_step_end(self, args: Any, state: Any, control: Any, **found: Any) -> None:
        here = f"{rank}:{state.global_step}"
        if os.environ.get("DIES") == here:
            os.kill(os.getpid(), signal.SIGKILL)
        if os.environ.get("FAILS") == here:
            raise RuntimeError(f"rank {rank} has failed")
        if state.global_step == args.max_steps and os.environ["LOCAL_RANK"] == "0":
            wait_for_a_sample()


def wait_for_a_sample() -> None:
    """Until this process has written what its host does: its thread imports much first, and a busy machine may give it no turn for seconds."""
    until_s = time.monotonic() + 60.0
    while time.monotonic() < until_s:
        for path in Path(os.environ["RUNVITALS_HOME"], "journal").glob("*/*"):
            records = read(path).records if path.is_file() and path in files(path.parent) else ()
            is_mine = bool(records) and getattr(records[0], "info", {}).get("pid") == os.getpid()
            if is_mine and any("host/memory_used_gib" in str(record) for record in records):
                return
        time.sleep(0.02)
    raise TimeoutError("no sample of the host within a minute")


def batch(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """The rows as one batch, after a while."""
    time.sleep(BATCH_S[min(rank, 1)])
    return {"x": torch.ones(len(rows), 4), "labels": torch.ones(len(rows))}


def main(folder: str) -> None:
    """Trains."""
    arguments = TrainingArguments(
        output_dir=folder,
        max_steps=int(os.environ.get("STEPS", "12")),
        per_device_train_batch_size=2,
        logging_steps=4,
        save_strategy="no",
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
        dataloader_pin_memory=False,
        ddp_backend="gloo",
    )
    callbacks = [Mishap(), runvitals.Callback("ranks", project="p")]
    data = [{"x": 0.0, "labels": 0.0}] * 512
    Trainer(Small(), arguments, data_collator=batch, train_dataset=data, callbacks=callbacks).train()


if __name__ == "__main__":
    main(sys.argv[1])
