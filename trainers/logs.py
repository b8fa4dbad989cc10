"""What a trainer's log becomes: a row under the trainer's own keys, with the few numbers that the trainer knows and does not log."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

RELATIVE_DIFFERENCE = 1e-6
"""Learning rates that differ by less are the same number with another rounding."""


def is_summary(logs: Mapping[str, Any]) -> bool:
    """True for the last log of transformers.Trainer, which sums up the run.

    `train_runtime` alone does not tell: with `include_num_input_tokens_seen` every log carries it.
    """
    return "train_loss" in logs and "train_runtime" in logs


def is_evaluation(logs: Mapping[str, Any]) -> bool:
    """True for the log of an evaluation."""
    return any(key.startswith("eval_") for key in logs)


def learning_rate(optimizer: Any) -> float | None:
    """The rate of the first group, which the next optimizer step will use; the scheduler's log may say otherwise."""
    groups = getattr(optimizer, "param_groups", None)
    return float(groups[0]["lr"]) if groups else None


def with_learning_rate(logs: Mapping[str, Any], optimizer: Any) -> dict[str, Any]:
    """The logs with the optimizer's own learning rate, where they have none or tell another one."""
    rate = learning_rate(optimizer)
    if rate is None:
        return dict(logs)
    logged = logs.get("learning_rate")
    same = isinstance(logged, float) and math.isclose(logged, rate, rel_tol=RELATIVE_DIFFERENCE)
    return dict(logs) if same else {**logs, "learning_rate": rate}


def tokens_so_far(logs: Mapping[str, Any], state: Any, operations_per_token: float | None) -> float | None:
    """Tokens trained on so far, or None where this trainer does not let us know.

    In order: TRL's `num_tokens`; the trainer's own count, where it was asked to keep it; else total floating-point operations over those
    of one token, which transformers computes from the shapes of the batches, padding included.
    """
    logged = logs.get("num_tokens")
    if isinstance(logged, (int, float)) and not math.isnan(logged):
        return float(logged)
    counted = getattr(state, "num_input_tokens_seen", 0)
    if counted:
        return float(counted)
    operations = getattr(state, "total_flos", 0)
    if operations and operations_per_token:
        return float(round(operations / operations_per_token))
    return None


def samples_per_step(arguments: Any, kind: str) -> int:
    """Samples that one step trains on, over all processes; pairs for DPO and reward models, completions for GRPO, RLOO and PPO."""
    if kind == "ppo":
        return int(arguments.batch_size)
    return int(arguments.train_batch_size * arguments.gradient_accumulation_steps * arguments.world_size)


def operations_per_token(trainer: Any | None, model: Any) -> float | None:
    """Floating-point operations that this trainer counts for one token; None where it counts none."""
    count = getattr(trainer, "floating_point_ops", None)
    if count is None:
        return None
    name = getattr(model, "main_input_name", "input_ids")
    return float(count({name: torch.zeros((1, 1), dtype=torch.int64)})) or None
