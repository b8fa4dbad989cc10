"""Microseconds that all rules take for a row, by kind of run and by length: `python benchmarks/rule_cost.py`.

The cost must not grow with the run: the last thousand rows of a long run are timed beside the first.
"""

from __future__ import annotations

import random
import time

from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.types import Row, RunContext

LENGTHS = (1_000, 10_000, 50_000)
TIMED_ROWS = 1_000

KEYS = {
    "sft": ("loss", "grad_norm", "learning_rate", "entropy", "mean_token_accuracy", "num_tokens", "epoch"),
    "dpo": (
        "loss", "grad_norm", "learning_rate", "entropy", "num_tokens", "logits/chosen", "logits/rejected", "rewards/chosen",
        "rewards/rejected", "rewards/margins", "rewards/accuracies", "logps/chosen", "logps/rejected", "epoch",
        "tokens", "perf/step_time_s", "perf/data_wait_s", "perf/tokens_per_s", "perf/samples_per_s", "mean_token_accuracy",
    ),
    "grpo": (
        "loss", "grad_norm", "learning_rate", "num_tokens", "completions/mean_length", "completions/min_length",
        "completions/max_length", "completions/clipped_ratio", "reward", "reward_std", "frac_reward_zero_std", "kl", "entropy",
        "clip_ratio/low_mean", "clip_ratio/high_mean", "clip_ratio/region_mean", "step_time", "epoch",
        "perf/step_time_s", "perf/data_wait_s",
    ),
    "ppo": (
        "loss", "grad_norm", "learning_rate", "eps", "objective/kl", "objective/entropy", "objective/non_score_reward",
        "objective/rlhf_reward", "objective/scores", "policy/approxkl_avg", "policy/clipfrac_avg", "loss/policy_avg", "loss/value_avg",
        "val/clipfrac_avg", "policy/entropy_avg", "val/ratio", "val/ratio_var", "val/num_eos_tokens", "episode", "epoch", "tokens",
        "completions/mean_length", "completions/clipped_ratio", "explained_variance", "sampling/importance_sampling_ratio/mean",
        "sampling/sampling_logp_difference/mean", "perf/step_time_s", "perf/data_wait_s", "perf/tokens_per_s", "perf/samples_per_s",
    ),
}  # fmt: skip

LEVELS = {
    "val/ratio": 1.0, "sampling/importance_sampling_ratio/mean": 1.0, "sampling/sampling_logp_difference/mean": 0.02,
    "policy/approxkl_avg": 0.02, "policy/clipfrac_avg": 0.1, "clip_ratio/region_mean": 0.1, "perf/step_time_s": 5.0, "step_time": 5.0,
}  # fmt: skip
"""What a healthy run has around; 0.5 for all others."""


def healthy_rows(kind: str, count: int) -> list[Row]:
    """Rows of a healthy run in which every value wanders by a tenth."""
    draw = random.Random(1)
    return [
        Row(
            time_s=float(step),
            step=step,
            values={key: LEVELS.get(key, 0.5) * (1 + draw.random() / 10) for key in KEYS[kind]},
        )
        for step in range(count)
    ]


def microseconds_a_row(engine: Engine, rows: list[Row]) -> float:
    """Processor time that the engine takes for one of these rows."""
    began_s = time.process_time()
    for row in rows:
        engine.feed(row)
    return (time.process_time() - began_s) / len(rows) * 1e6


def main() -> None:
    """Prints a table."""
    print(f"{len(default_rules())} rules; microseconds a row over the last {TIMED_ROWS:,} rows of a run")
    print(f"{'kind':6} {'keys':>4} " + " ".join(f"{length:>10,}" for length in LENGTHS))
    for kind, keys in KEYS.items():
        costs = []
        for length in LENGTHS:
            rows = healthy_rows(kind, length)
            engine = Engine(default_rules(), RunContext(run_id="run", trainer=kind))
            for row in rows[:-TIMED_ROWS]:
                engine.feed(row)
            costs.append(microseconds_a_row(engine, rows[-TIMED_ROWS:]))
        print(f"{kind:6} {len(keys):>4} " + " ".join(f"{cost:>10.1f}" for cost in costs))


if __name__ == "__main__":
    main()
