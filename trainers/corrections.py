"""Corrected values of numbers that TRL's PPO is known to log too small."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

PPO_AVERAGES = (
    "policy/approxkl_avg",
    "policy/clipfrac_avg",
    "policy/entropy_avg",
    "loss/policy_avg",
    "loss/value_avg",
    "val/clipfrac_avg",
    "val/ratio",
)
"""The logged means over TRL's statistics table. `val/ratio_var` is a variance over it and no factor mends that."""


def ppo_factor(arguments: Any) -> float:
    """By how much PPO's logged averages are too small; 1.0 where they are right or the arguments do not say.

    TRL 1.12 keeps its statistics in a table of epochs × minibatches × gradient_accumulation_steps, fills as many of the last axis as
    a minibatch has micro-batches, and averages over all of it, the empty places being zero (trl/experimental/ppo/ppo_trainer.py).
    With the usual sizes the factor is `num_mini_batches`.
    """
    slots = getattr(arguments, "gradient_accumulation_steps", None)
    minibatch = getattr(arguments, "local_mini_batch_size", None)
    micro_batch = getattr(arguments, "per_device_train_batch_size", None)
    if not slots or not minibatch or not micro_batch:
        return 1.0
    return float(slots / math.ceil(minibatch / micro_batch))


def corrected(logs: Mapping[str, Any], factor: float) -> dict[str, float]:
    """`corrected/<key>` for every PPO average in `logs`; empty where the factor is 1. The raw values stay as they were logged."""
    if factor == 1.0:
        return {}
    return {
        f"corrected/{key}": float(logs[key]) * factor for key in PPO_AVERAGES if isinstance(logs.get(key), (int, float))
    }
