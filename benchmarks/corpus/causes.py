"""Causes that the recipes do not have: in the rows, the batches or the reward, never in the logs."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from transformers import TrainerCallback

Row = Mapping[str, Any]
CORRUPT_BATCHES = 15
LEAK_BYTES = 24 << 20
"""A batch leaks so much: in a toy run of a hundred batches what a real one loses in hours."""


def spoiled_rows(cause: str, rows: Sequence[Row], *, seed: int) -> list[Row]:
    """The training rows as the cause leaves them."""
    draw = random.Random(seed)
    if cause.startswith("flips_"):
        share = int(cause.removeprefix("flips_")) / 100
        return [_flipped(row) if draw.random() < share else row for row in rows]
    if cause == "duplicated_rows":
        return [rows[draw.randrange(24)] for _ in rows]
    return list(rows)


def _flipped(row: Row) -> Row:
    return {**row, "chosen": row["rejected"], "rejected": row["chosen"]}


def spoil_rows_of(loading: Any, cause: str, *, seed: int) -> None:
    """Makes the recipes' loader give spoiled training rows; held-out rows stay as they are."""
    load = loading.load_rows

    def load_spoiled(job: Any, make_toy: Callable[[int, int], Sequence[Row]]) -> Any:
        def make(count: int, row_seed: int) -> Sequence[Row]:
            rows = make_toy(count, row_seed)
            return spoiled_rows(cause, rows, seed=seed) if row_seed != loading.EVAL_SEED else rows

        return load(job, make)

    loading.load_rows = load_spoiled


class SpoiledCollator:
    """Masks labels, scrambles tokens or leaks memory; the last two once the fault has begun."""

    def __init__(self, collate: Callable[[list[Any]], Any], cause: str, clock: Any) -> None:
        self.collate = collate
        self.cause = cause
        self.clock = clock
        self.corrupted = 0
        self.leaked: list[bytearray] = []

    def __call__(self, rows: list[Any]) -> Any:
        batch = self.collate(rows)
        if self.cause == "masked_labels":
            batch["labels"] = torch.full_like(batch["labels"], -100)
        if not self.clock.has_begun:
            return batch
        if self.cause == "corrupt_shard" and self.corrupted < CORRUPT_BATCHES:
            self.corrupted += 1
            order = torch.randperm(batch["input_ids"].numel())
            batch["input_ids"] = batch["input_ids"].reshape(-1)[order].reshape(batch["input_ids"].shape)
        if self.cause == "memory_leak":
            self.leaked.append(bytearray(os.urandom(1 << 10) * (LEAK_BYTES >> 10)))
        return batch


class KillCallback(TrainerCallback):  # type: ignore[misc]  # transformers is not followed by mypy
    """Kills its own process once the fault has begun, as the kernel does when memory runs out."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.clock.has_begun:
            os.kill(os.getpid(), signal.SIGKILL)


class PauseCallback(TrainerCallback):  # type: ignore[misc]  # transformers is not followed by mypy
    """Ends the training at the first checkpoint, to be resumed from it."""

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        control.should_training_stop = True


def long_answers(completions: Sequence[Any], **_: Any) -> list[float]:
    """A reward for length alone."""
    return [float(len(str(completion).split())) for completion in completions]
