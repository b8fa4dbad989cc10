"""Fixed thresholds of published run doctors, re-implemented from their configuration. Each judges only the trainers that it names."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from runvitals.diagnostics.scoring.measuring import Series, over, point, rolling_mean, series, under, z_score
from runvitals.diagnostics.scoring.types import LabelledRun, Point


@dataclass(frozen=True, slots=True)
class Rlwatch:
    """rlwatch 0.5.1 with its defaults, for PPO and GRPO: entropy below 1.0 for 25 rows, KL 3 sigma over the last 100, reward
    variance 3 times the first 20, loss not finite, gradient norm 3 sigma over the first 100. Advantages are not logged by TRL.

    Source: src/rlwatch/config.py and detectors.py.
    """

    name: str = "rlwatch 0.5.1"
    source: str = "https://github.com/varun1724/rlwatch/blob/main/src/rlwatch/config.py"

    def points(self, run: LabelledRun) -> list[Point]:
        """Score: each check's value over its own threshold."""
        if run.kind not in ("ppo", "grpo", "rloo"):
            return []
        return [
            *_entropy_low(series(run, "entropy", "sequence_entropy")),
            *_sigmas("kl_explosion", series(run, "kl", "sequence_kl"), freeze=False),
            *_variance_ratio(series(run, "reward_std")),
            *[point("loss_nan", row, 0.0 if math.isfinite(loss) else math.inf) for row, loss in series(run, "loss")],
            *_sigmas("gradient_norm_spike", series(run, "grad_norm"), freeze=True),
        ]


def _entropy_low(found: Series, *, threshold: float = 1.0, rows: int = 25, warmup: int = 20) -> list[Point]:
    past: deque[float] = deque(maxlen=rows)
    points = []
    for place, (row, value) in enumerate(found, 1):
        if place >= warmup:
            past.append(value)
        points.append(point("entropy_collapse", row, under(max(past), threshold) if len(past) == rows else 0.0))
    return points


def _sigmas(rule: str, found: Series, *, freeze: bool, sigma: float = 3.0, window: int = 100) -> list[Point]:
    past: deque[float] = deque(maxlen=window)
    frozen: list[float] | None = None
    points = []
    for place, (row, value) in enumerate(found, 1):
        judged = frozen if frozen is not None else list(past)
        if place >= 20 and len(judged) >= 9:
            points.append(point(rule, row, z_score(value, judged) / sigma))
        past.append(value)
        if freeze and frozen is None and len(past) == window:
            frozen = list(past)
    return points


def _variance_ratio(found: Series, *, times: float = 3.0, first: int = 20, warmup: int = 50) -> list[Point]:
    if len(found) < warmup:
        return []
    usual = max(sum(value**2 for _, value in found[:first]) / first, 1e-8)
    return [point("reward_hacking", row, over(value**2 / usual, times)) for row, value in found[warmup - 1 :]]


@dataclass(frozen=True, slots=True)
class PostTrainingToolkit:
    """Microsoft's Post-Training Toolkit 0.0.1, its YAML heuristics on logged values: means over 20 rows after row 30.

    DPO: margin below 0.1, loss between 0.68 and 0.71. KL above 0.3. GRPO: reward spread below 0.01 after row 40. PPO, GRPO: entropy
    half of what it was, over 30 rows after row 50; what it was is read as the mean of the first 30.
    Source: post_training_toolkit/heuristics/builtin.
    """

    name: str = "Post-Training Toolkit 0.0.1"
    source: str = (
        "https://github.com/microsoft/post-training-toolkit/tree/main/post_training_toolkit/heuristics/builtin"
    )

    def points(self, run: LabelledRun) -> list[Point]:
        """Score: each heuristic's value over its own threshold."""
        points: list[Point] = []
        if run.kind in ("dpo", "orpo"):
            points += _means("margin_collapse", series(run, "reward_margin"), below=0.1)
        if run.kind == "dpo":
            for row, mean in rolling_mean(series(run, "loss"), 20, at_least=30):
                points.append(point("dpo_loss_random", row, under(abs(mean - 0.695), 0.015)))
        if run.kind in ("dpo", "ppo", "kto", "grpo"):
            for row, mean in rolling_mean(series(run, "kl", "sequence_kl"), 20, at_least=30):
                points.append(point("kl_divergence_high", row, over(mean, 0.3)))
        if run.kind == "grpo":
            points += _means("group_reward_collapse", series(run, "reward_std"), below=0.01, at_least=40)
        if run.kind in ("ppo", "grpo"):
            points += _entropy_drop(series(run, "entropy", "sequence_entropy"))
        return points


def _means(rule: str, found: Series, *, below: float, at_least: int = 30) -> list[Point]:
    return [point(rule, row, under(mean, below)) for row, mean in rolling_mean(found, 20, at_least=at_least)]


def _entropy_drop(found: Series, *, window: int = 30, at_least: int = 50) -> list[Point]:
    if len(found) < at_least:
        return []
    usual = sum(value for _, value in found[:window]) / window
    if not usual > 0.0:
        return []
    return [
        point("entropy_collapse", row, (1 - mean / usual) / 0.5)
        for row, mean in rolling_mean(found, window, at_least=at_least)
    ]
