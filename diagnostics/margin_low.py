"""Whether chosen and rejected answers are told apart: what a margin may level off at, and when it is too small or stagnant."""

from __future__ import annotations

import math

from runvitals.diagnostics.margin_history import MarginPoint, swing
from runvitals.diagnostics.margin_limits import StagnantLimits, TooSmallLimits
from runvitals.diagnostics.margin_measure import Measured
from runvitals.diagnostics.margin_numerals import measure_of, on_pairs, percent, signed
from runvitals.diagnostics.margin_tracker import MarginTracker
from runvitals.diagnostics.margin_verdict import Ruling
from runvitals.diagnostics.types import Severity

CLEAR_EFFECT = 0.25
"""Without accuracies: a margin above this many standard deviations of single pairs tells them apart; of normal ones chosen wins 60 %."""

SURE_ERROR = 0.033
"""Largest standard error of an accuracy that can be called a coin's: about 230 pairs."""

UNKNOWN_LENGTH_POINTS = 300
"""Where the run's length is not known, a share of the run is taken to be a share of so many points."""

FEWEST_PAIRS = 256
"""Pairs to pool before a small margin is a fault, where the number behind a point is known."""


def told_apart(tracker: MarginTracker, measured: Measured) -> bool:
    """True where chosen and rejected are really told apart. What a margin may level off at, and what ends a fault, is decided here alone.

    The margin is clearly above nothing, chosen wins more than a coin, held-out pairs do not say the opposite; and chosen wins more than
    60 % for sure, or the margin is large: above half a nat times beta, or, where accuracy is not logged, a quarter of the spread of
    single pairs.
    """
    settings, margin, accuracy = tracker.settings, measured.margin, measured.accuracy
    limits = settings.limits
    point = measured.held_out
    if point is not None and not point.margin > -settings.scaled(limits.inverted.held_out_nats):
        return False
    if not margin.low > max(settings.smallest, settings.negligible) or accuracy.mean < limits.stagnant.accuracy:
        return False
    return (
        accuracy.low > limits.stagnant.surely
        or (settings.material > 0 and margin.low > settings.material)
        or (math.isnan(accuracy.mean) and margin.low > CLEAR_EFFECT * _pair_spread(tracker))
    )


def low(tracker: MarginTracker, measured: Measured) -> bool:
    """True where chosen and rejected are not told apart, in a run that has had its time."""
    settings, margin, accuracy = tracker.settings, measured.margin, measured.accuracy
    limits = _limits(tracker, measured)
    if too_early(tracker, limits.after):
        return False
    point = measured.held_out
    if point is not None and _tells_apart(tracker, point) and point.accuracy >= limits.surely:
        return False
    if abs(margin.mean) < settings.negligible and measured.last < settings.negligible:
        return True
    weak = math.isnan(accuracy.mean) or (accuracy.mean < limits.accuracy and accuracy.high < limits.surely)
    return margin.mean <= max(settings.smallest, 2 * margin.error) and weak


def _limits(tracker: MarginTracker, measured: Measured) -> TooSmallLimits | StagnantLimits:
    """Those of a margin that grows, or of one that does not."""
    limits = tracker.settings.limits
    return limits.too_small if measured.recent.direction > 0 else limits.stagnant


def stuck(tracker: MarginTracker, measured: Measured) -> Ruling:
    """Stagnant where a low margin does not move, too small where it does."""
    if measured.recent.direction > 0:
        return Ruling(state="too_small", severity="warning", onset_step=measured.window[0].first_step)
    error = measured.accuracy.error
    at_chance = error < SURE_ERROR and abs(measured.accuracy.mean - 0.5) <= 3 * error
    known_late = tracker.progress is not None and _late(tracker)
    severity: Severity = "critical" if known_late and at_chance else "warning"
    return Ruling(state="stagnant", severity=severity, onset_step=measured.window[0].first_step)


def level(tracker: MarginTracker, measured: Measured) -> Ruling:
    """A flat margin that is more than nothing: levelled off where pairs are told apart; stuck where, late, it is below half a nat times
    beta and chosen wins below 60 % for sure.

    Between the two it cannot be told. Where training does not optimise the margin, a flat one is worth knowing and no fault.
    """
    if told_apart(tracker, measured):
        return Ruling(state="levelled_off")
    if not tracker.settings.optimises:
        return _level_held_out(tracker, measured)
    surely = tracker.settings.limits.stagnant.surely
    is_low = measured.margin.mean < tracker.settings.material and measured.accuracy.high < surely
    if is_low and _late(tracker):
        return stuck(tracker, measured)
    missing = f"the margin is flat, and it cannot be told yet whether chosen wins over {percent(surely)} of pairs"
    return Ruling(state="start", missing=missing)


def too_early(tracker: MarginTracker, share: float) -> str:
    """What a run needs before a small margin is a fault, or "": a share of it, and where training brings the margin up 256 pairs and the
    end of learning-rate warm-up.
    """
    count, pairs, progress = tracker.history.count, tracker.settings.pairs, tracker.progress
    if progress is not None and progress < share:
        return f"needs {100 * share:.0f} % of the run, has {100 * progress:.0f} %"
    if progress is None and count < UNKNOWN_LENGTH_POINTS * share:
        return f"needs {UNKNOWN_LENGTH_POINTS * share:.0f} logged margins, has {count}"
    if not tracker.settings.optimises:
        return ""
    if pairs and pairs * count < FEWEST_PAIRS:
        return f"needs {FEWEST_PAIRS} pairs, has {pairs * count:.0f}"
    rates = tracker.learning_rates
    warming_up = len(rates) >= 2 and rates[-1] > rates[0] and rates[-1] >= tracker.peak_learning_rate
    return "needs the end of the learning rate's warm-up" if warming_up else ""


def _late(tracker: MarginTracker) -> bool:
    """True from half the run on."""
    progress, late = tracker.progress, tracker.settings.limits.stagnant.late
    return tracker.history.count >= UNKNOWN_LENGTH_POINTS * late if progress is None else progress >= late


def _level_held_out(tracker: MarginTracker, measured: Measured) -> Ruling:
    """A flat held-out margin that does not tell pairs apart: stagnant only where its error leaves no room for more."""
    margin, pairs = measured.margin, measured.held_out_pairs
    if margin.high < max(tracker.settings.material, tracker.settings.smallest):
        return Ruling(state="stagnant", severity="info", onset_step=measured.window[0].first_step)
    if not math.isfinite(margin.error):
        return Ruling(
            state="start", missing=f"held-out margin {signed(margin.mean)}, whose sampling error is not logged"
        )
    text = f"held-out margin {measure_of(margin.mean, margin.error)}{on_pairs(pairs)}"
    if margin.low <= tracker.settings.smallest:
        return Ruling(state="start", missing=f"{text} cannot be told from zero")
    surely = percent(tracker.settings.limits.stagnant.surely)
    return Ruling(
        state="start", missing=f"{text} is flat, and it cannot be told yet whether chosen wins over {surely} of pairs"
    )


def _tells_apart(tracker: MarginTracker, point: MarginPoint) -> bool:
    """True where a held-out margin is more than nothing, and than its error where that is logged."""
    error = point.margin_se if math.isfinite(point.margin_se) else 0.0
    return point.margin > max(tracker.settings.smallest, tracker.settings.negligible, 1.96 * error)


def _pair_spread(tracker: MarginTracker) -> float:
    """Standard deviation of single pairs' margins, from that of the newest points; of the points where pairs are not known."""
    return swing([point.margin for point in tracker.history.newest]) * math.sqrt(tracker.settings.pairs or 1.0)
