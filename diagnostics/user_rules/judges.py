"""What the kinds of a user's rules measure. A judge takes the finite values of one signal in turn, at a cost that does not grow with the run.

threshold  the median of the newest rows against a fixed line
change     the median of the newest rows against that of the rows before them
zscore     a value against median and spread of the values before it, those that stood out left out
trend      a straight line through the newest rows
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from runvitals.diagnostics.baseline import SortedWindow
from runvitals.diagnostics.rules.definition import OK, counted, short, too_few
from runvitals.diagnostics.types import Number, Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A value that is out of line. said: what a message may name; words: the same as a sentence, `{signal}` first."""

    said: Mapping[str, str]
    words: str
    numbers: tuple[Number, ...]


class Judge(Protocol):
    """The arithmetic of one kind of rule on one run."""

    def take(self, value: float) -> Reading | Finding | None:
        """Takes a finite value; None where it is not the turn to judge."""
        ...

    def forget(self) -> None:
        """Begins anew, after a resume."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Where a value is out of line: above the one or below the other; None for no line."""

    above: float | None = None
    below: float | None = None

    def crossed(self, value: float) -> tuple[str, float] | None:
        """The line that a value has crossed, and on which side; None within the lines."""
        if self.above is not None and value > self.above:
            return "above", self.above
        if self.below is not None and value < self.below:
            return "below", self.below
        return None

    def expected(self) -> str:
        """Where a value should be, in words."""
        if self.above is None:
            return f"at least {short(self.below or 0.0)}"
        if self.below is None:
            return f"at most {short(self.above)}"
        return f"{short(self.below)} to {short(self.above)}"


class Threshold:
    """The median of the newest `window` values against fixed lines."""

    SAYS = ("value", "limit", "window")

    def __init__(self, lines: Lines, window: int) -> None:
        self._lines = lines
        self._newest = SortedWindow(window)

    def forget(self) -> None:
        self._newest.clear()

    def take(self, value: float) -> Reading | Finding | None:
        newest = self._newest
        newest.add(value)
        if len(newest) < newest.size:
            return too_few(newest.size, len(newest), "its signal")
        middle = newest.median()
        crossed = self._lines.crossed(middle)
        if crossed is None:
            return OK
        side, line = crossed
        of = "" if newest.size == 1 else f", median of the last {newest.size}"
        return Finding(
            said={"value": short(middle), "limit": short(line), "window": str(newest.size)},
            words=f"{{signal}} is {short(middle)} {{at}}{of}; {side} {short(line)}.",
            numbers=(Number(label="Value" + of, value=middle, expected=self._lines.expected()),),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """How far a level may move: in its own unit, and in percent of the level before."""

    plain: Lines
    percent: Lines

    def judged(self, before: float, now: float) -> Reading | tuple[str, Number]:
        """OK, or by how much it moved too far. Unknown where percent are asked of a level of 0."""
        moved = now - before
        if self.plain.crossed(moved) is not None:
            number = Number(label="Change", value=moved, expected=self.plain.expected())
            return short(abs(moved)), number
        if self.percent.above is None and self.percent.below is None:
            return OK
        if before == 0.0:
            return Reading(
                state="unknown", reason="the level before is 0, of which there are no percent: use rise or fall"
            )
        share = 100.0 * moved / abs(before)
        if self.percent.crossed(share) is None:
            return OK
        return f"{short(abs(share))} %", Number(label="Change", value=share, unit="%", expected=self.percent.expected())


class Change:
    """The median of the newest `window` values against that of the `against` values before them."""

    SAYS = ("value", "before", "change", "window")

    def __init__(self, shift: Shift, window: int, against: int) -> None:
        self._shift = shift
        self._newest = SortedWindow(window)
        self._waiting: deque[float] = deque(maxlen=window)
        self._before = SortedWindow(against)

    def forget(self) -> None:
        self._newest.clear()
        self._waiting.clear()
        self._before.clear()

    def take(self, value: float) -> Reading | Finding | None:
        if len(self._waiting) == self._newest.size:
            self._before.add(self._waiting[0])
        self._waiting.append(value)
        self._newest.add(value)
        if len(self._before) < self._before.size:
            have = len(self._before) + len(self._newest)
            return too_few(self._before.size + self._newest.size, have, "its signal")
        before, now = self._before.median(), self._newest.median()
        return _moved(self._shift, before, now, f"over the last {counted(self._newest.size, 'row')}", self._newest.size)


class ZScore:
    """A value against median and spread of the `window` values before it.

    Values out of line are left out of what later ones are compared with; `window` of them on end are the new level.
    The spread is taken as at least a hundredth of the median, so that a signal which hardly moves does not cry at its first wiggle.
    """

    SAYS = ("value", "median", "distance", "limit", "window")

    def __init__(self, lines: Lines, window: int) -> None:
        self._lines = lines
        self._level = SortedWindow(window)
        self._enough = min(20, window)
        self._out = 0

    def forget(self) -> None:
        self._level.clear()
        self._out = 0

    def take(self, value: float) -> Reading | Finding | None:
        level = self._level
        if len(level) < self._enough:
            level.add(value)
            return too_few(self._enough, len(level), "its signal")
        middle = level.median()
        noise = max(level.spread(), 0.01 * abs(middle))
        if noise == 0.0:
            level.add(value)
            return Reading(
                state="unknown", reason="the signal has been 0 all the time: there is no noise to compare with"
            )
        distance = (value - middle) / noise
        crossed = self._lines.crossed(distance)
        if crossed is None:
            self._out = 0
            level.add(value)
            return OK
        self._out += 1
        if self._out >= level.size:
            self.forget()
        side, line = crossed
        return Finding(
            said={
                "value": short(value),
                "median": short(middle),
                "distance": short(abs(distance)),
                "limit": short(abs(line)),
                "window": str(level.size),
            },
            words=f"{{signal}} is {short(value)} {{at}}, {short(abs(distance))} times its noise {side} its recent {short(middle)}.",
            numbers=(
                Number(label="Value", value=value),
                Number(label="Median before it", value=middle),
                Number(label="Distance over noise", value=distance, expected=self._lines.expected()),
            ),
        )


class Trend:
    """A straight line (least squares) through the newest `window` values: how far it climbs from its first row to its last.

    It must be clear of the scatter around it: its slope three standard errors from 0. Judged every twentieth part of the window.
    """

    SAYS = ("value", "before", "change", "window")

    def __init__(self, shift: Shift, window: int) -> None:
        self._shift = shift
        self._values: deque[float] = deque(maxlen=window)
        self._window = window
        self._every = max(1, window // 20)
        self._count = 0

    def forget(self) -> None:
        self._values.clear()
        self._count = 0

    def take(self, value: float) -> Reading | Finding | None:
        self._values.append(value)
        self._count += 1
        if self._count < self._window:
            return too_few(self._window, self._count, "its signal")
        if (self._count - self._window) % self._every:
            return None
        first, last, is_sure = _fit(self._values)
        return (
            _moved(self._shift, first, last, f"along a line through the last {self._window} rows", self._window)
            if is_sure
            else OK
        )


def _fit(values: deque[float]) -> tuple[float, float, bool]:
    """The line through equally spaced values at their first and last, and whether its slope is clear of the scatter."""
    count = len(values)
    centre = (count - 1) / 2
    mean = sum(values) / count
    spread = count * (count * count - 1) / 12
    slope = sum((place - centre) * (value - mean) for place, value in enumerate(values)) / spread
    residuals = [value - mean - slope * (place - centre) for place, value in enumerate(values)]
    scatter = sum(residual * residual for residual in residuals) / (count - 2)
    error = math.sqrt(scatter / spread) if math.isfinite(scatter) else math.inf
    return mean - slope * centre, mean + slope * centre, abs(slope) > 3.0 * error


def _moved(shift: Shift, before: float, now: float, how: str, window: int) -> Reading | Finding:
    judged = shift.judged(before, now)
    if isinstance(judged, Reading):
        return judged
    change, number = judged
    word = "risen" if number.value > 0.0 else "fallen"
    return Finding(
        said={"value": short(now), "before": short(before), "change": change, "window": str(window)},
        words=f"{{signal}} has {word} by {change} {how}, from {short(before)} to {short(now)} {{at}}.",
        numbers=(Number(label="Now", value=now), Number(label="Before", value=before), number),
    )
