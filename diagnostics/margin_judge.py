"""How the state of a margin is decided. Pure: a tracker goes in, a state comes out; nothing is remembered."""

from __future__ import annotations

from runvitals.diagnostics import margin_faults as faults
from runvitals.diagnostics.margin_low import level, low, stuck, too_early
from runvitals.diagnostics.margin_measure import Measured, recent_step, swing_step
from runvitals.diagnostics.margin_tracker import NEEDED_POINTS, MarginTracker
from runvitals.diagnostics.margin_verdict import Ruling


def rule_on(tracker: MarginTracker, measured: Measured) -> Ruling:
    """The state. Held-out pairs that say the opposite come before everything, then what needs enough data."""
    inverted = faults.inverted_held_out(tracker)
    if inverted is not None:
        return inverted
    if tracker.history.count < NEEDED_POINTS:
        return Ruling(state="start", missing=too_few_margins(tracker))
    if not tracker.settings.optimises:
        return _course(tracker, measured)
    if faults.inverted(tracker, measured):
        return Ruling(state="inverted", severity="critical", onset_step=measured.window[0].first_step)
    if faults.displaced(tracker, measured):
        return Ruling(state="displaced", severity="warning", onset_step=recent_step(tracker))
    if low(tracker, measured):
        return stuck(tracker, measured)
    if faults.fluctuating(tracker):
        return Ruling(state="fluctuating", severity="warning", onset_step=swing_step(tracker))
    return faults.saturated(tracker, measured) or _course(tracker, measured)


def too_few_margins(tracker: MarginTracker) -> str:
    """What is missing before anything can be judged."""
    if tracker.lost and not tracker.history.count:
        return f"needs margins that are numbers; {tracker.lost} were not"
    return f"needs {NEEDED_POINTS} logged margins, has {tracker.history.count}"


def _course(tracker: MarginTracker, measured: Measured) -> Ruling:
    """Rising, falling or levelled off; for a margin that is big enough."""
    fall = faults.falling(tracker, measured)
    if fall is not None:
        return fall
    if measured.recent.direction > 0 and faults.beyond_error(tracker, measured, measured.last):
        return Ruling(state="rising")
    missing = too_early(tracker, tracker.settings.limits.stagnant.after)
    if missing:
        return Ruling(state="start", missing=missing)
    return level(tracker, measured)
