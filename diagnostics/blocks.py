"""The whole course of a value in bounded memory: means of equal stretches, whose length doubles when there are too many.

Work a value is constant, whatever the length of the run, and the result does not depend on how the values were cut.
"""

from __future__ import annotations

from collections.abc import Sequence

from runvitals.diagnostics.margin_history import Estimate, Trend, estimate, trend

_MOST = 64


class Blocks:
    """Means of consecutive values. count: values so far; means: (≤ 64,), the last one possibly of fewer values."""

    __slots__ = ("_filled", "_size", "count", "means")

    def __init__(self) -> None:
        """No values yet."""
        self.means: list[float] = []
        self.count = 0
        self._size = 1
        self._filled = 0

    def add(self, value: float) -> None:
        """Takes a finite value."""
        self.count += 1
        means = self.means
        if not means or self._filled == self._size:
            if len(means) == _MOST:
                self.means = means = [(a + b) / 2 for a, b in zip(means[::2], means[1::2], strict=True)]
                self._size *= 2
            means.append(value)
            self._filled = 1
            return
        self._filled += 1
        means[-1] += (value - means[-1]) / self._filled

    def part(self, begin: float, end: float) -> Sequence[float]:
        """The means of a stretch of the course, from share `begin` to share `end` (0 to 1)."""
        count = len(self.means)
        return self.means[round(begin * count) : round(end * count)]

    def estimate(self, begin: float, end: float) -> Estimate:
        """The mean over a stretch, with its standard error."""
        return estimate(self.part(begin, end))

    def trend(self, begin: float, end: float) -> Trend:
        """The straight line through a stretch."""
        return trend(self.part(begin, end))
