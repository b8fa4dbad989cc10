"""What the engine remembers of a run's rows: a bounded stretch of each drawn signal, and when each recent step was logged."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Mapping, Sequence

from runvitals.diagnostics.types import Curve

CURVE_POINTS = 200
"""Points of a frozen curve, and so of the ring behind each signal."""

REMEMBERED_STEPS = 2000
"""Steps whose time is kept, to date an onset that a detector places before the row that showed it."""


class History:
    """Rings of the newest points. Nothing here grows with the run."""

    def __init__(self, signals: Sequence[str]) -> None:
        """An empty history of the signals that alerts are drawn on."""
        self._rings: dict[str, deque[tuple[int, float]]] = {name: deque(maxlen=CURVE_POINTS) for name in signals}
        self._times: deque[tuple[int, float]] = deque(maxlen=REMEMBERED_STEPS)
        self.last_step: int | None = None
        self.travelled = 0
        """Steps that the run has gone forward in all; never falls, though a resumed run steps back."""

    def add(self, time_s: float, step: int | None, signals: Mapping[str, float | None]) -> None:
        """Remembers one row. A row without a step stands at the last step that was logged."""
        if step is not None:
            if step != self.last_step:
                self._times.append((step, time_s))
                if self.last_step is not None and step > self.last_step:
                    self.travelled += step - self.last_step
            self.last_step = step
        place = self.last_step if step is None else step
        if place is None:
            return
        rings = self._rings
        for name in signals:
            ring = rings.get(name)
            if ring is not None:
                value = signals[name]
                ring.append((place, float("nan") if value is None else float(value)))

    def curve(self, signal: str) -> Curve | None:
        """The newest points of a signal, or None where it was never logged."""
        ring = self._rings.get(signal)
        if not ring:
            return None
        return Curve(signal=signal, steps=tuple(s for s, _ in ring), values=tuple(v for _, v in ring))

    def time_of(self, step: int) -> float | None:
        """When a recent step was logged: the time of the first remembered row at or after it, None where it is too long ago."""
        steps = list(self._times)
        place = bisect_left(steps, (step, float("-inf")))
        return steps[place][1] if place < len(steps) and steps[0][0] <= step else None
