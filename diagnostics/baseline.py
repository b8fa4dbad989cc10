"""Robust statistics of the newest values, at a cost that does not grow with the run.

`Window` is sorted when it is asked, `SortedWindow` with each value: take the first for what is asked every few rows, or has few values.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque

IQR_OF_NORMAL = 1.349
"""Distance between the quartiles of a normal distribution of standard deviation 1."""


class Window:
    """The newest `size` finite values, in order of arrival, and once they were asked for in order of size.

    The spread comes from the quartiles rather than from the MAD: as robust against a quarter of outliers, and free once sorted.
    """

    __slots__ = ("_newest", "_ordered", "size")

    def __init__(self, size: int) -> None:
        """An empty window. size: at least 1."""
        if size < 1:
            raise ValueError(f"size: expected at least 1, got {size}")
        self.size = size
        self._newest: deque[float] = deque(maxlen=size)
        self._ordered: list[float] = []

    def __len__(self) -> int:
        return len(self._newest)

    def add(self, value: float) -> None:
        """Takes a value; NaN and Inf are left out, so that they spoil no later median."""
        if value - value == 0.0:
            self._newest.append(value)
            self._ordered = []

    def fill(self, value: float) -> None:
        """Takes a value while there is room: for what a run began with."""
        if len(self._newest) < self.size:
            self.add(value)

    def clear(self) -> None:
        """Forgets everything."""
        self._newest.clear()
        self._ordered = []

    def newest(self) -> float:
        """The value that came last. At least one must be there."""
        return self._newest[-1]

    def median(self) -> float:
        """The middle value, NaN where there is none."""
        ordered = self._ordered or self._sorted()
        count = len(ordered)
        if not count:
            return math.nan
        middle = count // 2
        if count % 2:
            return ordered[middle]
        return ordered[middle - 1] + (ordered[middle] - ordered[middle - 1]) / 2

    def quantile(self, share: float) -> float:
        """The value below which a share (0 to 1) of the window lies, by nearest rank; NaN where there is none."""
        ordered = self._ordered or self._sorted()
        return ordered[round(share * (len(ordered) - 1))] if ordered else math.nan

    def spread(self) -> float:
        """A robust standard deviation: the distance of the quartiles over that of a normal distribution. NaN where empty."""
        return (self.quantile(0.75) - self.quantile(0.25)) / IQR_OF_NORMAL

    def values(self) -> tuple[float, ...]:
        """The values in order of arrival."""
        return tuple(self._newest)

    def _sorted(self) -> list[float]:
        self._ordered = sorted(self._newest)
        return self._ordered


class SortedWindow(Window):
    """A window whose values stay sorted, for statistics that are asked with each value: then it is cheaper than to sort them anew."""

    __slots__ = ()

    def add(self, value: float) -> None:
        """Takes a value; NaN and Inf are left out, so that they spoil no later median."""
        if value - value != 0.0:
            return
        newest, ordered = self._newest, self._ordered
        if len(ordered) == self.size:
            del ordered[bisect_left(ordered, newest[0])]
        newest.append(value)
        insort(ordered, value)
