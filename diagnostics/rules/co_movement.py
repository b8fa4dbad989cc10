"""Whether two values move together from row to row: what tells a cause from two courses that happen to rise alike."""

from __future__ import annotations

import math

_LEAST_CHANGES = 12
_SURE = 3.0


class CoMovement:
    """Pearson's correlation of the changes between neighbouring rows, in constant memory. count: changes so far.

    Levels that both rise correlate whatever they have to do with each other; their changes do not.
    """

    __slots__ = ("_a", "_aa", "_ab", "_b", "_bb", "_last", "count")

    def __init__(self) -> None:
        """No row yet."""
        self.count = 0
        self._last: tuple[float, float] | None = None
        self._a = self._b = self._aa = self._bb = self._ab = 0.0

    def add(self, first: float | None, second: float | None) -> None:
        """Takes a row; one that lacks either value, or holds NaN or Inf, is left out."""
        if first is None or second is None or first - first != 0.0 or second - second != 0.0:
            return
        last = self._last
        if last is not None:
            a, b = first - last[0], second - last[1]
            self.count += 1
            self._a += a
            self._b += b
            self._aa += a * a
            self._bb += b * b
            self._ab += a * b
        self._last = (first, second)

    def correlation(self) -> float:
        """-1 to 1; 0 where there are fewer than 12 changes or one of the two never changes."""
        if self.count < _LEAST_CHANGES:
            return 0.0
        n = self.count
        both = self._ab - self._a * self._b / n
        own = (self._aa - self._a * self._a / n) * (self._bb - self._b * self._b / n)
        if not 0.0 < own < math.inf:
            return 0.0
        return max(-1.0, min(1.0, both / math.sqrt(own)))

    def surely_above(self, least: float) -> bool:
        """True where the correlation less its error is above `least`, 0 to 1."""
        return self.count >= _LEAST_CHANGES and self.correlation() > least and self.at_least() > least

    def at_least(self) -> float:
        """The correlation less three standard errors (Fisher's z): what it surely is at least, where it is positive."""
        found = min(self.correlation(), 1.0 - 1e-12)
        if found <= 0.0:
            return 0.0
        return math.tanh(max(0.0, math.atanh(found) - _SURE / math.sqrt(self.count - 3)))
