"""Published z-score triggers: W&B's automation, OLMo-core's step skipper, ZClip. The last two are made to act on steps, not to call people."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from runvitals.diagnostics.scoring.measuring import Series, point, series, z_score
from runvitals.diagnostics.scoring.types import LabelledRun, Point

REINFORCED = frozenset({"ppo", "grpo", "rloo"})


@dataclass(frozen=True, slots=True)
class WandbAutomation:
    """W&B's z-score automation with its defaults, z = 3 over a window of 30, both directions; on the reward in RL, else on the loss.

    W&B tells at most once in 24 h; here each crossing counts. Source: the z-score change of "Automation events and scopes".
    """

    name: str = "W&B automation z=3/30"
    source: str = "https://docs.wandb.ai/models/automations/automation-events"
    z: float = 3.0
    window: int = 30

    def points(self, run: LabelledRun) -> list[Point]:
        """Score: the distance from the mean in standard deviations, over 3."""
        found: list[Point] = []
        past: deque[float] = deque(maxlen=self.window)
        for row, value in series(run, "reward", "loss") if run.kind in REINFORCED else series(run, "loss"):
            if not math.isfinite(value):
                continue
            if len(past) == self.window:
                found.append(point("z-score", row, abs(z_score(value, past)) / self.z))
            past.append(value)
        return found


@dataclass(frozen=True, slots=True)
class OlmoSkipStep:
    """OLMo-core's SkipStepOptimizer: loss or gradient norm more than 6 sigma above the last 128, from 64 values on.

    A value that is no number is skipped too, and so is every step while one is among the 128. Source: SkipStepOptimizer.
    """

    name: str = "OLMo-core 6 sigma/128"
    source: str = "https://github.com/allenai/OLMo-core/blob/main/src/olmo_core/optim/skip_step_optimizer.py"
    sigma: float = 6.0
    window: int = 128

    def points(self, run: LabelledRun) -> list[Point]:
        """Score: the z-score over 6; infinite where a number is missing."""
        return [*self._of("loss", series(run, "loss")), *self._of("grad_norm", series(run, "grad_norm"))]

    def _of(self, rule: str, found: Series) -> list[Point]:
        points: list[Point] = []
        past: deque[float] = deque(maxlen=self.window)
        for row, value in found:
            if len(past) + 1 >= max(2, self.window // 2):
                z = z_score(value, past, unbiased=True)
                points.append(point(rule, row, math.inf if math.isnan(z) else z / self.sigma))
            past.append(value)
        return points


@dataclass(frozen=True, slots=True)
class ZClip:
    """ZClip: the gradient norm more than 2.5 sigma above its moving average (alpha 0.97, 25 values to begin with).

    Statistics take the clipped value in, mean + 2.5 sigma / (z / 2.5), as in mode "zscore" with adaptive scaling; NaN blinds it.
    """

    name: str = "ZClip 2.5"
    source: str = "https://arxiv.org/abs/2504.02507"
    z: float = 2.5
    alpha: float = 0.97
    warmup: int = 25

    def points(self, run: LabelledRun) -> list[Point]:
        """Score: the z-score over 2.5."""
        points: list[Point] = []
        found = series(run, "grad_norm")
        if len(found) <= self.warmup:
            return points
        first = [value for _, value in found[: self.warmup]]
        mean = sum(first) / len(first)
        variance = sum((value - mean) ** 2 for value in first) / len(first)
        for row, value in found[self.warmup :]:
            spread = math.sqrt(variance)
            z = (value - mean) / (spread + 1e-6)
            points.append(point("grad_norm", row, z / self.z))
            taken = mean + self.z * spread / (z / self.z) if z > self.z else value
            mean = self.alpha * mean + (1 - self.alpha) * taken
            variance = self.alpha * variance + (1 - self.alpha) * (taken - mean) ** 2
        return points
