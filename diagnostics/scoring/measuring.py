"""What the re-implemented baselines share: series of signals, rolling statistics, points."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence

from runvitals.diagnostics.scoring.types import LabelledRun, Point
from runvitals.diagnostics.signals import translate
from runvitals.diagnostics.types import Row

Series = list[tuple[Row, float]]


def series(run: LabelledRun, *signals: str) -> Series:
    """The rows that log one of these signals (the first of them that a row has) with its value; None becomes NaN."""
    found: Series = []
    for row in run.rows:
        translated = translate(row.values)
        for signal in signals:
            if signal in translated:
                value = translated[signal]
                found.append((row, math.nan if value is None else value))
                break
    return found


def point(rule: str, row: Row, score: float) -> Point:
    """A point at a row; a score that is no number is no score."""
    return Point(rule=rule, step=row.step, time_s=row.time_s, score=0.0 if math.isnan(score) else score)


def z_score(value: float, past: Sequence[float], *, unbiased: bool = False) -> float:
    """How many standard deviations the value lies above the mean of the past; infinite where the past does not vary.

    Where value or past hold NaN the result is NaN.
    """
    mean = sum(past) / len(past)
    spread = math.sqrt(sum((other - mean) ** 2 for other in past) / (len(past) - unbiased))
    if spread == 0.0:
        return 0.0 if value == mean else math.copysign(math.inf, value - mean)
    return (value - mean) / spread


def rolling_mean(found: Series, window: int, *, at_least: int) -> Iterable[tuple[Row, float]]:
    """The mean of the last `window` values, from row number `at_least` on."""
    past: deque[float] = deque(maxlen=window)
    for place, (row, value) in enumerate(found, 1):
        past.append(value)
        if place >= at_least:
            yield row, sum(past) / len(past)


def over(value: float, threshold: float) -> float:
    """The score of a rule `value > threshold`, threshold above 0."""
    return value / threshold


def under(value: float, threshold: float) -> float:
    """The score of a rule `value < threshold`, threshold above 0."""
    return math.inf if value <= 0.0 else threshold / value
