"""What a value began with, and what it is now: the two medians that many rules compare."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from statistics import median

from runvitals.diagnostics.baseline import IQR_OF_NORMAL


class FirstAndNewest:
    """The first and the newest finite values. count: how many there were in all."""

    __slots__ = ("_began", "_spread", "count", "first", "newest", "of_first")

    def __init__(self, *, first: int = 10, newest: int = 10) -> None:
        """No values yet. first, newest: how many of each are kept."""
        self.of_first = first
        self.first: list[float] = []
        self.newest: deque[float] = deque(maxlen=newest)
        self.count = 0
        # The first values soon stay the same, whatever is asked of them later.
        self._began, self._spread = math.nan, 0.0

    def add(self, value: float | None) -> bool:
        """Takes a value; None, NaN and Inf are left out. True where it was taken."""
        if value is None or value - value != 0.0:
            return False
        self.count = count = self.count + 1
        if count <= self.of_first:
            self.first.append(value)
            self._began, self._spread = median(self.first), _spread(self.first)
        self.newest.append(value)
        return True

    @property
    def full(self) -> bool:
        """True where the first and the newest are there and do not overlap."""
        return self.count >= self.of_first + (self.newest.maxlen or 0)

    def began(self) -> float:
        """The median of the first values, NaN where there are none."""
        return self._began

    def now(self) -> float:
        """The median of the newest values, NaN where there are none."""
        return median(self.newest) if self.newest else math.nan

    def noise(self) -> float:
        """The larger of the two spreads between quartiles, as a standard deviation."""
        return max(self._spread, _spread(self.newest))


def _spread(values: Iterable[float]) -> float:
    ordered = sorted(values)
    last = len(ordered) - 1
    if last < 1:
        return 0.0
    return (ordered[round(0.75 * last)] - ordered[round(0.25 * last)]) / IQR_OF_NORMAL
