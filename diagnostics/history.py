"""What the engine remembers of a run's rows: a bounded stretch of each drawn signal, and when each recent step was logged."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter

from runvitals.diagnostics.types import Curve

CURVE_POINTS = 200
"""Points of a frozen curve, and so of the ring behind each signal."""

REMEMBERED_STEPS = 2000
"""Steps whose time is kept, to date an onset that a detector places before the row that showed it."""

_MAX_WAITING = 4 * CURVE_POINTS
"""Rows that wait at most to be sorted by signal, so that a run that logs ever other signals does not fill the memory."""

Values = tuple[float | None, ...]


class Sheet:
    """The newest rows that hold the same signals, put down whole: number of the row, step, values.

    A curve is asked for when an alert fires, which is rare. A point of it is looked for only then, not sorted out with each row.
    """

    __slots__ = ("names", "pick", "rows")

    def __init__(self, names: Sequence[str]) -> None:
        """An empty sheet for these signals."""
        self.names = tuple(names)
        self.pick = _picker(self.names)
        self.rows: deque[tuple[int, int, Values]] = deque(maxlen=CURVE_POINTS)

    def points(self, signal: str) -> Iterable[tuple[int, int, float | None]]:
        """Number of the row, step and value of a signal in each row, where the rows hold it."""
        if signal not in self.names:
            return ()
        place = self.names.index(signal)
        return ((number, step, values[place]) for number, step, values in self.rows)


class History:
    """Rings of the newest points. Nothing here grows with the run."""

    def __init__(self, signals: Sequence[str]) -> None:
        """An empty history of the signals that alerts are drawn on."""
        self._rings: dict[str, deque[tuple[int, float]]] = {name: deque(maxlen=CURVE_POINTS) for name in signals}
        self._written: list[Sheet] = []
        self._rows = self._waiting = 0
        self._times: deque[tuple[int, float]] = deque(maxlen=REMEMBERED_STEPS)
        self.last_step: int | None = None
        self.travelled = 0
        """Steps that the run has gone forward in all; never falls, though a resumed run steps back."""

    def sheet(self, signals: Iterable[str]) -> Sheet:
        """A sheet for rows that hold these signals, to be kept for all such rows."""
        return Sheet([name for name in signals if name in self._rings])

    def add(self, time_s: float, step: int | None, signals: Mapping[str, float | None], sheet: Sheet) -> None:
        """Remembers one row, on the sheet of its signals. A row without a step stands at the last step that was logged."""
        place = self.last_step
        if step is not None and step != place:
            self._times.append((step, time_s))
            if place is not None and step > place:
                self.travelled += step - place
            self.last_step = place = step
        if place is None:
            return
        if len(sheet.rows) < CURVE_POINTS:
            if not sheet.rows:
                self._written.append(sheet)
            self._waiting += 1
        self._rows += 1
        sheet.rows.append((self._rows, place, sheet.pick(signals)))
        if self._waiting > _MAX_WAITING:
            self._sort()

    def curve(self, signal: str) -> Curve | None:
        """The newest points of a signal, or None where it was never logged."""
        ring = self._rings.get(signal)
        if ring is None:
            return None
        points = [*ring, *self._unsorted(signal)][-CURVE_POINTS:]
        if not points:
            return None
        return Curve(signal=signal, steps=tuple(s for s, _ in points), values=tuple(v for _, v in points))

    def time_of(self, step: int) -> float | None:
        """When a recent step was logged: the time of the first remembered row at or after it, None where it is too long ago."""
        steps = list(self._times)
        place = bisect_left(steps, (step, float("-inf")))
        return steps[place][1] if place < len(steps) and steps[0][0] <= step else None

    def _unsorted(self, signal: str) -> list[tuple[int, float]]:
        """The points of a signal on all sheets, in the order of their rows."""
        points = sorted(point for sheet in self._written for point in sheet.points(signal))
        return [(step, math.nan if value is None else float(value)) for _, step, value in points]

    def _sort(self) -> None:
        """Moves the points of all sheets into the rings."""
        for signal, ring in self._rings.items():
            ring.extend(self._unsorted(signal))
        for sheet in self._written:
            sheet.rows.clear()
        self._written.clear()
        self._waiting = 0


def _picker(names: Sequence[str]) -> Callable[[Mapping[str, float | None]], Values]:
    """A function that gives the values of these signals; `itemgetter` takes a quarter of a loop's time, but has no tuple for one name."""
    return itemgetter(*names) if len(names) > 1 else lambda signals: tuple(signals[name] for name in names)
