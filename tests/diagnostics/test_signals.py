"""The vocabulary and the translation of keys."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest

from runvitals.diagnostics.signal_aliases import ALIASES, DEVICE_ALIASES
from runvitals.diagnostics.signals import SIGNALS, Device, best_key, best_keys, canonical, device, translate

# Every key that a trainer was seen to log (TRL 1.12 to 1.16, transformers 5.23) and the signal it stands for.
TRAINER_KEYS: Mapping[str, str] = {
    "loss": "loss",
    "grad_norm": "grad_norm",
    "learning_rate": "learning_rate",
    "lr": "learning_rate",
    "epoch": "epoch",
    "num_input_tokens_seen": "tokens",
    "num_tokens": "tokens",
    "train_tokens_per_second": "tokens_per_s",
    "entropy": "entropy",
    "mean_token_accuracy": "token_accuracy",
    "min_reward": "min_reward",
    "mean_reward": "mean_reward",
    "max_reward": "max_reward",
    "accuracy": "reward_accuracy",
    "margin": "reward_margin",
    "logits/chosen": "logits_chosen",
    "logits/rejected": "logits_rejected",
    "rewards/chosen": "reward_chosen",
    "rewards/rejected": "reward_rejected",
    "rewards/accuracies": "reward_accuracy",
    "rewards/margins": "reward_margin",
    "logps/chosen": "logps_chosen",
    "logps/rejected": "logps_rejected",
    "nll_loss": "nll_loss",
    "log_odds_ratio": "log_odds_ratio",
    "log_odds_chosen": "log_odds_chosen",
    "completions/mean_length": "completion_length",
    "completions/min_length": "completion_length_min",
    "completions/max_length": "completion_length_max",
    "completions/clipped_ratio": "truncated_fraction",
    "completions/mean_terminated_length": "terminated_length",
    "kl": "kl",
    "reward": "reward",
    "reward_std": "reward_std",
    "frac_reward_zero_std": "zero_std_fraction",
    "clip_ratio/low_mean": "clip_fraction_low",
    "clip_ratio/high_mean": "clip_fraction_high",
    "clip_ratio/region_mean": "clip_fraction",
    "step_time": "step_time_s",
    "objective/kl": "sequence_kl",
    "objective/entropy": "sequence_entropy",
    "objective/non_score_reward": "kl_penalty",
    "objective/rlhf_reward": "rlhf_reward",
    "objective/scores": "reward",
    "objective/scores_margin": "score_margin",
    "objective/model_scores": "reward",
    "policy/approxkl_avg": "approx_kl",
    "policy/clipfrac_avg": "clip_fraction",
    "policy/entropy_avg": "entropy",
    "loss/policy_avg": "policy_loss",
    "loss/value_avg": "value_loss",
    "val/clipfrac_avg": "value_clip_fraction",
    "val/ratio": "policy_ratio",
    "val/ratio_var": "policy_ratio_variance",
    "val/num_eos_tokens": "eos_tokens",
    "val/contain_eos_token": "eos_fraction",
    "val/model_contain_eos_token": "eos_fraction",
    "eps": "samples_per_s",
    "episode": "samples",
    "eval_loss": "eval_loss",
    "eval_runtime": "evaluation_time_s",
    "eval_entropy": "eval_entropy",
    "eval_mean_token_accuracy": "eval_token_accuracy",
    "eval_min_reward": "eval_min_reward",
    "eval_mean_reward": "eval_mean_reward",
    "eval_max_reward": "eval_max_reward",
    "eval_accuracy": "eval_reward_accuracy",
    "eval_margin": "eval_reward_margin",
    "eval_logits/chosen": "eval_logits_chosen",
    "eval_logits/rejected": "eval_logits_rejected",
    "eval_rewards/chosen": "eval_reward_chosen",
    "eval_rewards/rejected": "eval_reward_rejected",
    "eval_rewards/accuracies": "eval_reward_accuracy",
    "eval_rewards/margins": "eval_reward_margin",
    "eval_logps/chosen": "eval_logps_chosen",
    "eval_logps/rejected": "eval_logps_rejected",
    "eval_nll_loss": "eval_nll_loss",
    "eval_log_odds_ratio": "eval_log_odds_ratio",
    "eval_log_odds_chosen": "eval_log_odds_chosen",
    "eval_completions/mean_length": "eval_completion_length",
    "eval_completions/min_length": "eval_completion_length_min",
    "eval_completions/max_length": "eval_completion_length_max",
    "eval_completions/clipped_ratio": "eval_truncated_fraction",
    "eval_completions/mean_terminated_length": "eval_terminated_length",
    "eval_kl": "eval_kl",
    "eval_reward": "eval_reward",
    "eval_reward_std": "eval_reward_std",
    "eval_frac_reward_zero_std": "eval_zero_std_fraction",
    "eval_clip_ratio/low_mean": "eval_clip_fraction_low",
    "eval_clip_ratio/high_mean": "eval_clip_fraction_high",
    "eval_clip_ratio/region_mean": "eval_clip_fraction",
}

# Seen too, and on purpose without a signal: summaries of the run, settings, single reward functions, extremes nobody reads.
WITHOUT_SIGNAL = (
    "train_loss", "train/train_loss", "train_runtime", "train_samples_per_second", "train_steps_per_second", "total_flos",
    "eval_samples_per_second", "eval_steps_per_second", "eval_num_tokens",
    "rewards/rew/mean", "rewards/rew/std", "eval_rewards/rew/mean", "eval_rewards/rew/std",
    "completions/min_terminated_length", "completions/max_terminated_length", "eval_completions/min_terminated_length",
    "eval_completions/max_terminated_length", "clip_ratio/low_min", "clip_ratio/high_max", "eval_clip_ratio/low_min",
    "eval_clip_ratio/high_max", "beta", "alpha", "mixture_coef", "loss/dpo", "loss/xpo", "loss/kl", "loss/score",
    "rewards/probabilities", "objective/ref_scores", "val/ref_contain_eos_token", "eval_g0_loss", "eval_eval_loss", "",
)  # fmt: skip

OTHER_LIBRARIES: Mapping[str, str] = {
    "train/loss": "loss",
    "eval/loss": "eval_loss",
    "eval/rewards/margins": "eval_reward_margin",
    "train/rewards/margins": "reward_margin",
    "train/objective/kl": "sequence_kl",
    "train/val/ratio": "policy_ratio",
    "train/global_step": "step",
    "train/eval_loss": "eval_loss",
    "val/loss": "eval_loss",
    "env/reward_mean": "reward",
    "env/reward_std": "reward_std",
    "ppo/policy/entropy": "entropy",
    "ppo/policy/approxkl": "approx_kl",
    "ppo/val/var_explained": "explained_variance",
    "ppo/loss/value": "value_loss",
    "objective/kl_coef": "kl_coefficient",
    "rewards_train/margins": "reward_margin",
    "rewards_eval/margins": "eval_reward_margin",
    "current_steps": "step",
    "actor/kl_loss": "kl",
    "actor/entropy": "entropy",
    "actor/entropy_loss": "entropy",
    "actor/grad_norm": "grad_norm",
    "actor/pg_loss": "policy_loss",
    "actor/pg_clipfrac": "clip_fraction",
    "actor/ppo_kl": "approx_kl",
    "actor/lr": "learning_rate",
    "critic/score/mean": "reward",
    "critic/rewards/mean": "rlhf_reward",
    "critic/vf_loss": "value_loss",
    "critic/vf_explained_var": "explained_variance",
    "response_length/mean": "completion_length",
    "response_length/clip_ratio": "truncated_fraction",
    "perf/throughput": "tokens_per_s",
    "timing_s/step": "step_time_s",
    "timing_s/gen": "generation_time_s",
    "norm": "grad_norm",
    "trl": "loss",
    "tel": "eval_loss",
    "corrected/val/ratio": "policy_ratio",
    "corrected/policy/approxkl_avg": "approx_kl",
}

OUR_KEYS: Mapping[str, str] = {
    "tokens": "tokens",
    "perf/step_time_s": "step_time_s",
    "perf/data_wait_s": "data_wait_s",
    "perf/tokens_per_s": "tokens_per_s",
    "perf/samples_per_s": "samples_per_s",
    "probe/margin": "probe_margin",
    "probe/margin_se": "probe_margin_se",
    "probe/chosen": "probe_chosen",
    "probe/rejected": "probe_rejected",
    "probe/accuracy": "probe_accuracy",
    "probe/cost_s": "probe_cost_s",
    "host/cpu_percent": "host_cpu_percent",
    "host/memory_used_gib": "host_memory_gib",
    "host/memory_total_gib": "host_memory_total_gib",
    "host/disk_read_mib_s": "host_disk_read_mib_s",
    "host/disk_write_mib_s": "host_disk_write_mib_s",
    "host/net_sent_mib_s": "host_net_sent_mib_s",
    "host/net_received_mib_s": "host_net_received_mib_s",
    "host/process_cpu_percent": "host_process_cpu_percent",
    "host/process_memory_gib": "host_process_memory_gib",
}


@pytest.mark.parametrize(("key", "signal"), [*TRAINER_KEYS.items(), *OTHER_LIBRARIES.items(), *OUR_KEYS.items()])
def test_key_has_its_signal(key: str, signal: str) -> None:
    assert canonical(key) == signal


@pytest.mark.parametrize("key", WITHOUT_SIGNAL)
def test_key_that_says_nothing_has_no_signal(key: str) -> None:
    assert canonical(key) is None


def test_every_alias_leads_to_a_signal_of_the_table() -> None:
    assert set(ALIASES) | set(DEVICE_ALIASES.values()) <= set(SIGNALS)


def test_every_signal_can_be_logged() -> None:
    reachable = set(ALIASES) | set(DEVICE_ALIASES.values())
    assert {name for name in SIGNALS if name.removeprefix("eval_") not in reachable} == set()


def test_no_key_stands_for_two_signals() -> None:
    keys = [key for keys in ALIASES.values() for key in keys]
    assert len(keys) == len(set(keys))


def test_every_signal_has_words_and_a_line_where_one_is_standard() -> None:
    assert all(signal.title and signal.meaning for signal in SIGNALS.values())
    (ln2,) = SIGNALS["loss"].references
    assert (ln2.value, ln2.trainers) == (math.log(2), ("dpo", "reward"))
    assert SIGNALS["eval_reward_accuracy"].references[0].value == 0.5
    assert SIGNALS["grad_norm"].log_scale


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("gpu/0/utilization", ("gpu_utilization", Device("", 0))),
        ("gpu/11/power_w", ("gpu_power_w", Device("", 11))),
        ("system/gpu.3.temp", ("gpu_temperature_c", Device("", 3))),
        ("gpu.1.gpu", ("gpu_utilization", Device("", 1))),
        ("node/worker-1/gpu/2/gpu", ("gpu_utilization", Device("worker-1", 2))),
        ("node/worker-1/loss", None),
        ("rank/1/gpu/2/gpu", None),
        ("gpu/0/flavour", None),
        ("gpu/x/power_w", None),
        ("loss", None),
    ],
)
def test_device_key_gives_signal_and_device(key: str, expected: tuple[str, Device] | None) -> None:
    assert device(key) == expected
    assert expected is None or canonical(key) == expected[0]


def test_corrected_value_wins_over_the_logged_one_in_any_order() -> None:
    assert translate({"val/ratio": 0.5, "corrected/val/ratio": 1.0}) == {"policy_ratio": 1.0}
    assert translate({"corrected/val/ratio": 1.0, "val/ratio": 0.5}) == {"policy_ratio": 1.0}


def test_trainers_own_key_wins_over_ours_and_a_plain_one_over_a_prefixed_one() -> None:
    assert translate({"perf/step_time_s": 2.0, "step_time": 1.0}) == {"step_time_s": 1.0}
    assert translate({"train/loss": 2.0, "loss": 1.0}) == {"loss": 1.0}
    assert translate({"completion_length": 9.0, "completions/mean_length": 8.0}) == {"completion_length": 8.0}


def test_none_and_not_a_number_survive_translation() -> None:
    signals = translate({"reward": None, "loss": math.nan, "grad_norm": math.inf, "unheard_of": 1.0})
    assert signals["reward"] is None
    assert math.isnan(signals["loss"] or 0.0)
    assert signals["grad_norm"] == math.inf
    assert set(signals) == {"reward", "loss", "grad_norm"}


def test_devices_are_averaged_and_throttling_is_not() -> None:
    row = {
        "gpu/0/utilization": 90.0,
        "gpu/1/utilization": 10.0,
        "gpu/2/utilization": None,
        "gpu/0/throttled": 0.0,
        "gpu/1/throttled": 8.0,
    }
    assert translate(row) == {"gpu_utilization": 50.0, "gpu_throttled": 8.0}
    assert translate({"gpu/0/utilization": None}) == {"gpu_utilization": None}


def test_best_key_is_the_one_that_translation_reads() -> None:
    keys = [
        "train/loss",
        "perf/step_time_s",
        "step_time",
        "gpu/1/power_w",
        "gpu/0/power_w",
        "val/ratio",
        "corrected/val/ratio",
    ]
    assert best_key("loss", keys) == "train/loss"
    assert best_key("step_time_s", keys) == "step_time"
    assert best_key("gpu_power_w", keys) == "gpu/0/power_w"
    assert best_key("policy_ratio", keys) == "corrected/val/ratio"
    assert best_key("reward", keys) is None


def test_translation_of_an_empty_row_is_empty() -> None:
    assert translate({}) == {}


def test_one_pass_picks_for_every_signal_the_key_that_is_picked_for_it_alone() -> None:
    keys = [
        *TRAINER_KEYS,
        "corrected/val/ratio",
        "train/loss",
        "gpu/3/power_w",
        "gpu/1/power_w",
        "node/b/gpu/0/power_w",
        "mine",
    ]
    picked = best_keys(keys)
    assert set(picked) == {canonical(key) for key in keys} - {None}
    assert picked == {signal: best_key(signal, keys) for signal in picked}
    assert picked["policy_ratio"] == "corrected/val/ratio" and picked["gpu_power_w"] == "gpu/1/power_w"
