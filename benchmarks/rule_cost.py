"""Microseconds that all rules take for a row, by kind of run and by length: `python benchmarks/rule_cost.py`.

The cost must not grow with the run: the last thousand rows of a long run are timed beside the first.
`--by-rule` says instead what each rule takes, to see where the time goes.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Sequence

from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.types import Row, Rule, RunContext

LENGTHS = (1_000, 10_000, 50_000)
TIMED_ROWS = 1_000
BLOCKS, BLOCK_ROWS = 60, 100
"""Engines of one rule each take turns block by block, so that what else the machine does meets all of them."""

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


def medians_in_turns(kind: str, sets: Sequence[Sequence[Rule]]) -> list[float]:
    """Median microseconds a row of some sets of rules, each in an engine of its own, over the same rows in turns."""
    rows = healthy_rows(kind, TIMED_ROWS + BLOCKS * BLOCK_ROWS)
    engines = [Engine(rules, RunContext(run_id="run", trainer=kind)) for rules in sets]
    for engine in engines:
        for row in rows[:TIMED_ROWS]:
            engine.feed(row)
    costs: list[list[float]] = [[] for _ in engines]
    for begin in range(TIMED_ROWS, len(rows), BLOCK_ROWS):
        block = rows[begin : begin + BLOCK_ROWS]
        for engine, found in zip(engines, costs, strict=True):
            found.append(microseconds_a_row(engine, block))
    return [statistics.median(found) for found in costs]


def print_by_rule(kind: str) -> None:
    """Prints what each rule takes alone, dearest first. What several rules share is counted with each of them, so the sum is too large."""
    rules = default_rules()
    nothing, everything, *alone = medians_in_turns(kind, [(), rules, *([rule] for rule in rules)])
    print(f"{kind}: all rules {everything:.1f}, an engine without rules {nothing:.1f}, and in addition, µs a row:")
    taken = sorted(((cost - nothing, rule.spec.name) for cost, rule in zip(alone, rules, strict=True)), reverse=True)
    for cost, name in taken:
        print(f"{cost:6.2f}  {name}")


def print_by_length() -> None:
    """Prints what all rules take, by kind of run and by its length."""
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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--by-rule", choices=KEYS, metavar="KIND", help=f"each rule on its own: {', '.join(KEYS)}")
    only = parser.parse_args().by_rule
    if only:
        print_by_rule(only)
    else:
        print_by_length()
