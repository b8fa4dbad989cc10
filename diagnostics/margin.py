"""The verdict on a preference margin: chosen minus rejected reward, read as one course from start to end.

start → rising → levelled_off is how it should go; both are said only where no margin rule fires. Else it is too_small, stagnant
(flat, and pairs are not told apart), fluctuating, inverted, saturated, displaced or falling. One implementation, `MarginCourse`,
serves the rules (row by row) and the dashboard (`verdict` over whole series).

Scale: DPO's margin is in beta-units, beta times a log-probability ratio; it is compared with 0.1 nat times beta
(0.01 where beta is unknown). Where the loss is none on a sigmoid (IPO, hinge), only its own sampling error and spread count.
Held-out pairs (eval, else the probe) are believed before training pairs, within the error of drawing them once: see `margin_held_out`. Not enough data is the state `start` and says what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runvitals.diagnostics.margin_course import MarginCourse
from runvitals.diagnostics.margin_limits import MarginLimits, MarginState
from runvitals.diagnostics.margin_settings import MarginSettings
from runvitals.diagnostics.margin_tracker import MarginTracker
from runvitals.diagnostics.margin_verdict import MarginVerdict

__all__ = ["MarginCourse", "MarginLimits", "MarginSettings", "MarginState", "MarginTracker", "MarginVerdict", "verdict"]

_HELD_OUT = ("eval_", "probe_")


def verdict(series: Mapping[str, tuple[Sequence[int], Sequence[float]]], *, settings: MarginSettings) -> MarginVerdict:
    """The verdict on whole series: canonical signal → (steps, values), each in order of steps; NaN stands for None too.

    At each step held-out values come after the training values, as trainers log them. The work grows with the number of points; for
    a chart's worth of points (envelope means) it is some ten milliseconds.
    """
    rows: dict[tuple[int, bool], dict[str, float | None]] = {}
    for signal, (steps, values) in series.items():
        held_out = signal.startswith(_HELD_OUT)
        for step, value in zip(steps, values, strict=True):
            rows.setdefault((int(step), held_out), {})[signal] = float(value)
    course = MarginCourse(settings)
    for place in sorted(rows):
        course.add(place[0] if place[0] >= 0 else None, rows[place])
    return course.verdict()
