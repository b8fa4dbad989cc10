"""Robust statistics of the newest values, kept up to date at a cost that does not grow with the run."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque

IQR_OF_NORMAL = 1.349
"""Distance between the quartiles of a normal distribution of standard deviation 1."""


class SortedWindow:
    """The newest `size` finite values, in order of arrival and of size, so that every quantile is one look-up.

    The spread comes from the quartiles rather than from the MAD: as robust against a quarter of outliers, and free once sorted.
    """

    __slots__ = ("_newest", "_ordered", "size")

    def __init__(self, size: int) -> None:
        """An empty window. size: at least 1."""
        if size < 1:
            raise ValueError(f"size: expected at least 1, got {size}")
        self.size = size
        self._newest: deque[float] = deque()
        self._ordered: list[float] = []

    def __len__(self) -> int:
        return len(self._newest)

    def add(self, value: float) -> None:
        """Takes a value; NaN and Inf are left out, so that they spoil no later median."""
        if value - value != 0.0:
            return
        ordered = self._ordered
        if len(ordered) == self.size:
            del ordered[bisect_left(ordered, self._newest.popleft())]
        self._newest.append(value)
        insort(ordered, value)

    def clear(self) -> None:
        """Forgets everything."""
        self._newest.clear()
        self._ordered.clear()

    def newest(self) -> float:
        """The value that came last. At least one must be there."""
        return self._newest[-1]

    def median(self) -> float:
        """The middle value, NaN where there is none."""
        ordered = self._ordered
        count = len(ordered)
        if not count:
            return math.nan
        middle = count // 2
        if count % 2:
            return ordered[middle]
        return ordered[middle - 1] + (ordered[middle] - ordered[middle - 1]) / 2

    def quantile(self, share: float) -> float:
        """The value below which a share (0 to 1) of the window lies, by nearest rank; NaN where there is none."""
        ordered = self._ordered
        return ordered[round(share * (len(ordered) - 1))] if ordered else math.nan

    def spread(self) -> float:
        """A robust standard deviation: the distance of the quartiles over that of a normal distribution. NaN where empty."""
        return (self.quantile(0.75) - self.quantile(0.25)) / IQR_OF_NORMAL

    def values(self) -> tuple[float, ...]:
        """The values in order of arrival."""
        return tuple(self._newest)
