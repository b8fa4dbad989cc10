"""Which trainer wrote a log, told by what it logs; for logs that do not say it themselves."""

from __future__ import annotations

from collections.abc import Iterable

KINDS = ("pretrain", "sft", "reward", "dpo", "kto", "orpo", "ppo", "grpo", "rloo", "custom")


def kind_of_keys(keys: Iterable[str]) -> str:
    """One of `KINDS`. Where there is a loss and nothing that only one trainer logs it is "sft": pre-training logs the same.

    keys: as logged, evaluations included. Key names are those of TRL 0.9 to 1.12.
    """
    names = {key.removeprefix("train/").removeprefix("eval_") for key in keys}
    if "objective/kl" in names:
        return "ppo" if any(name.startswith(("loss/value", "val/clipfrac")) for name in names) else "rloo"
    if "reward" in names and (
        {"reward_std", "completion_length", "frac_reward_zero_std"} & names
        or any(name.startswith("completions/") for name in names)
    ):
        return "grpo"
    if {"rewards/chosen", "rewards/margins", "rewards/rejected"} & names:
        if "log_odds_ratio" in names or "log_odds_chosen" in names:
            return "orpo"
        return "kto" if "kl" in names else "dpo"
    if "margin" in names or {"mean_reward", "min_reward"} <= names:
        return "reward"
    return "sft" if "loss" in names else "custom"
