"""Synthetic but plausible curves of training runs, for samples, tests and screenshots. Nothing here was measured."""

from __future__ import annotations

import numpy as np

from runvitals.store.types import Floats

LN_2 = float(np.log(2.0))

Series = dict[str, Floats]


def noise(rng: np.random.Generator, n: int, scale: float) -> Floats:
    """Noise with a short memory, as batches of neighbouring data have."""
    steps = rng.normal(0.0, scale, n)
    return np.convolve(steps, [0.6, 0.3, 0.1], mode="same")


def rise(n: int, *, low: float, high: float, at: float, width: float) -> Floats:
    """A smooth step from low to high, centred at the share `at` of the run."""
    x = np.linspace(0.0, 1.0, n)
    return low + (high - low) / (1.0 + np.exp(-(x - at) / width))


def optimisation(rng: np.random.Generator, n: int, *, rate: float) -> Series:
    """Gradient norm, learning rate with warm-up and linear decay, step time, throughput, tokens."""
    x = np.linspace(0.0, 1.0, n)
    step_time_s = 4.2 + np.abs(noise(rng, n, 0.3)) + (np.arange(n) % 20 == 0) * 1.5
    tokens = np.cumsum(np.full(n, 31_800.0))
    return {
        "grad_norm": 0.6 * np.exp(noise(rng, n, 0.25)),
        "learning_rate": rate * np.minimum(x / 0.06, 1.0) * (1.0 - 0.7 * x),
        "perf/step_time_s": step_time_s,
        "perf/data_wait_s": 0.08 * step_time_s,
        "perf/tokens_per_s": 31_800.0 / step_time_s,
        "tokens": tokens,
    }


def preference(rng: np.random.Generator, n: int, *, learns: float) -> Series:
    """A DPO run that learns a margin of `learns`; zero is one whose labels are shuffled."""
    margin = rise(n, low=0.0, high=learns, at=0.65, width=0.13) - rise(1, low=0.0, high=learns, at=0.65, width=0.13)[0]
    margin = margin + noise(rng, n, 0.008 + 0.01 * learns)
    drift = -0.08 * np.linspace(0.0, 1.0, n) ** 2 * (1 + learns)
    chosen = drift + margin * 0.35
    accuracy = np.clip(0.5 + 0.48 * np.tanh(margin * 1.4) + noise(rng, n, 0.06), 0.0, 1.0)
    return {
        "loss": LN_2
        - 0.5 * margin
        + 0.5 * LN_2 * np.tanh(margin / 2)
        + 0.08 * np.maximum(margin - 1, 0)
        + noise(rng, n, 0.004)
        if learns < 0.5
        else np.log1p(np.exp(-margin)) + np.abs(noise(rng, n, 0.004)),
        "rewards/chosen": chosen,
        "rewards/rejected": chosen - margin,
        "rewards/margins": margin,
        "rewards/accuracies": accuracy,
        "logps/chosen": -6.8 + 8 * chosen,
        "logps/rejected": -6.9 + 8 * (chosen - margin),
    }


def supervised(rng: np.random.Generator, n: int, *, low: float = 1.1, nan_from: float | None = None) -> Series:
    """An SFT run; with `nan_from`, the log hides NaN behind zeros from that share of the run on."""
    loss = low + 1.4 * np.exp(-np.linspace(0.0, 5.0, n)) + noise(rng, n, 0.03)
    if nan_from is not None:
        loss[int(nan_from * n) :] = 0.0
    return {"loss": loss, "mean_token_accuracy": np.clip(0.9 - 0.25 * loss, 0, 1), "entropy": 0.8 * loss + 0.2}


def policy(rng: np.random.Generator, n: int, *, hacked: bool) -> Series:
    """A PPO run; hacked, its reward rises while KL explodes and entropy falls."""
    score = rise(n, low=0.2, high=16.0 if hacked else 2.4, at=0.38, width=0.05 if hacked else 0.15) + noise(rng, n, 0.2)
    kl = rise(n, low=0.5, high=148.0 if hacked else 5.5, at=0.4, width=0.05 if hacked else 0.2) + np.abs(
        noise(rng, n, 0.4)
    )
    entropy = rise(n, low=19.0 if hacked else 14.0, high=0.1 if hacked else 9.0, at=0.45, width=0.08) * np.exp(
        noise(rng, n, 0.1)
    )
    value = 0.06 + (rise(n, low=0.0, high=28.0, at=0.42, width=0.03) if hacked else 0.3) * np.exp(
        -np.linspace(0, 1.2, n)
    )
    return {
        "objective/scores": score,
        "objective/rlhf_reward": score - 0.05 * kl,
        "objective/kl": kl,
        "objective/entropy": entropy,
        "loss/value_avg": value + np.abs(noise(rng, n, 0.02)),
        "loss/policy_avg": noise(rng, n, 0.01),
        "policy/clipfrac_avg": np.abs(noise(rng, n, 0.05)),
        "val/ratio": 1.0 + noise(rng, n, 0.006),
        "val/num_eos_tokens": rise(n, low=90.0, high=0.0 if hacked else 110.0, at=0.35, width=0.04),
        "loss": value * 0.1 + np.abs(noise(rng, n, 0.02)),
    }


def grouped(rng: np.random.Generator, n: int, *, collapses: bool) -> Series:
    """A GRPO run; where it collapses, entropy and the spread of rewards go."""
    entropy = rise(n, low=0.9, high=0.02 if collapses else 0.6, at=0.5, width=0.1) * np.exp(noise(rng, n, 0.05))
    return {
        "reward": rise(n, low=0.15, high=0.5 if collapses else 0.75, at=0.5, width=0.15) + noise(rng, n, 0.04),
        "reward_std": rise(n, low=0.3, high=0.01 if collapses else 0.25, at=0.55, width=0.08),
        "frac_reward_zero_std": np.clip(rise(n, low=0.1, high=0.97 if collapses else 0.2, at=0.55, width=0.08), 0, 1),
        "kl": np.abs(rise(n, low=0.0, high=0.02, at=0.5, width=0.2) + noise(rng, n, 0.002)),
        "entropy": entropy,
        "completions/mean_length": rise(n, low=180.0, high=240.0, at=0.5, width=0.2) + noise(rng, n, 8.0),
        "loss": noise(rng, n, 0.02),
    }


def devices(rng: np.random.Generator, n: int, *, gpus: int) -> Series:
    """GPU and host samples."""
    series: Series = {
        "host/cpu_percent": 34 + noise(rng, n, 6.0),
        "host/memory_used_gib": 180 + np.linspace(0, 4, n),
        "host/memory_total_gib": np.full(n, 1007.0),
    }
    for gpu in range(gpus):
        busy = 84 - (10 if gpu == 5 else 0) + noise(rng, n, 3.0)
        series[f"gpu/{gpu}/utilization"] = np.clip(busy, 0, 100)
        series[f"gpu/{gpu}/memory_used_gib"] = 61.8 + 0.1 * gpu + np.abs(noise(rng, n, 0.1))
        series[f"gpu/{gpu}/memory_total_gib"] = np.full(n, 79.6)
        series[f"gpu/{gpu}/power_w"] = 600 + noise(rng, n, 20.0)
        series[f"gpu/{gpu}/temperature_c"] = 61 + noise(rng, n, 1.5)
    return series
