"""Whether the reward still rises: what tells a policy that learns from one that only moves."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

_ROWS = 40
_LEAST = 16


class RewardTrend:
    """The newest 40 rewards, in two halves, and the range of all so far."""

    __slots__ = ("_highest", "_lowest", "_rewards")

    def __init__(self) -> None:
        """No rewards yet."""
        self._rewards: deque[float] = deque(maxlen=_ROWS)
        self._lowest = math.inf
        self._highest = -math.inf

    def __len__(self) -> int:
        return len(self._rewards)

    def add(self, reward: float | None) -> None:
        """Takes a reward; None, NaN and Inf are left out."""
        if reward is not None and reward - reward == 0.0:
            self._rewards.append(reward)
            if reward < self._lowest:
                self._lowest = reward
            if reward > self._highest:
                self._highest = reward

    def halves(self) -> tuple[float, float]:
        """Mean of the older and of the newer half, NaN where there are fewer than two."""
        older, newer = self._split()
        return (_mean(older), _mean(newer)) if older else (math.nan, math.nan)

    def rises(self) -> bool:
        """True where the newer half lies above the older by more than 1.5 standard errors and 2 % of the range so far."""
        if len(self._rewards) < _LEAST:
            return False
        older, newer = self._split()
        error = math.sqrt(_variance(older) / len(older) + _variance(newer) / len(newer))
        return _mean(newer) - _mean(older) > max(1.5 * error, 0.02 * (self._highest - self._lowest))

    def _split(self) -> tuple[list[float], list[float]]:
        rewards = list(self._rewards)
        middle = len(rewards) // 2
        return rewards[:middle], rewards[middle:]


def _mean(values: Sequence[float]) -> float:
    count = len(values)
    return math.fsum([value / count for value in values])


def _variance(values: Sequence[float]) -> float:
    middle = _mean(values)
    try:
        return math.fsum([(value - middle) ** 2 for value in values]) / max(len(values) - 1, 1)
    except OverflowError:
        return math.inf
