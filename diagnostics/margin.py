"""The verdict on a preference margin: chosen minus rejected reward, read as one course from start to end.

start → rising → levelled_off is how it should go. Else it is too_small, stagnant (flat at nothing), fluctuating, inverted,
saturated, displaced or falling. One implementation serves the rules (row by row) and the dashboard (`verdict` over whole series).

Scale: DPO's margin is in beta-units, beta times a log-probability ratio; it is compared with 0.1 nat times beta
(0.01 where beta is unknown). Where the loss is none on a sigmoid (IPO, hinge), only its own sampling error counts.
Held-out pairs (eval, else the probe) are believed before training pairs. Not enough data is the state `start` and says what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runvitals.diagnostics.margin_judge import measure, rule_on
from runvitals.diagnostics.margin_tracker import MarginSettings, MarginState, MarginTracker, MarginVerdict
from runvitals.diagnostics.margin_words import put

__all__ = ["MarginSettings", "MarginState", "MarginTracker", "MarginVerdict", "judge", "verdict"]


def judge(tracker: MarginTracker) -> MarginVerdict:
    """The verdict on all that a tracker has taken in."""
    measured = measure(tracker)
    return put(tracker, measured, rule_on(tracker, measured))


def verdict(series: Mapping[str, tuple[Sequence[int], Sequence[float]]], *, settings: MarginSettings) -> MarginVerdict:
    """The verdict on whole series: canonical signal → (steps, values), each in order of steps; NaN stands for None too.

    The work grows with the number of points; for a chart's worth of points (envelope means) it is a few milliseconds.
    """
    rows: dict[int, dict[str, float | None]] = {}
    for signal, (steps, values) in series.items():
        for step, value in zip(steps, values, strict=True):
            rows.setdefault(int(step), {})[signal] = float(value)
    tracker = MarginTracker(settings)
    for step in sorted(rows):
        tracker.add(step if step >= 0 else None, rows[step])
    return judge(tracker)
