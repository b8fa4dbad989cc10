"""What goes wrong with a margin that has something to show: it is inverted, displaced, swings, is saturated or falls."""

from __future__ import annotations

import math
from functools import partial
from statistics import median

from runvitals.diagnostics.margin_fall import orders_worse
from runvitals.diagnostics.margin_held_out import opposed
from runvitals.diagnostics.margin_history import estimate, trend
from runvitals.diagnostics.margin_measure import SWING_WINDOW, Measured, recent_blocks, recent_step, swings
from runvitals.diagnostics.margin_tracker import NEEDED_POINTS, MarginTracker
from runvitals.diagnostics.margin_verdict import Ruling
from runvitals.diagnostics.types import Severity

_SOONER = 0.35
"""A share of held-out pairs won so small that it is told sooner, where the training pairs say the opposite."""

_MATERIAL = 0.5
"""Nats times beta that a held-out margin loses by more than noise."""


def inverted_held_out(tracker: MarginTracker) -> Ruling | None:
    """Held-out pairs prefer the rejected answer, twice running and by more than noise.

    Where training brings the margin up: critical; sooner where the training pairs say the opposite, which is what flipped labels
    look like. Where it does not (SFT, PPO, GRPO), or where the margin does not start at 0 (ORPO): a warning, and only while it gets worse.
    """
    found = tracker.newest_held_out()
    if found is None:
        return None
    source, points = found[0], list(found[1])[-3:]
    settings = tracker.settings
    limits = settings.limits.inverted
    against = partial(opposed, tracker, source, errors=limits.held_out_errors)
    clearly = settings.scaled(limits.held_out_nats)
    if not settings.optimises or settings.reference_free:
        worse = len(points) == 3 and points[0].margin > points[1].margin > points[2].margin
        if worse and all(against(point, least=clearly, accuracy=0.5) for point in points):
            return Ruling(state="inverted", severity="warning", onset_step=points[0].step)
        return None
    if len(points) >= 2 and all(
        against(point, least=clearly, accuracy=limits.held_out_accuracy) for point in points[-2:]
    ):
        return Ruling(state="inverted", severity="critical", onset_step=points[-2].step)
    sooner = min(_SOONER, limits.held_out_accuracy)
    all_against = all(against(point, least=settings.smallest, accuracy=sooner) for point in points)
    if len(points) == 3 and all_against and _training_agrees(tracker):
        return Ruling(state="inverted", severity="critical", onset_step=points[0].step)
    return None


def inverted(tracker: MarginTracker, measured: Measured) -> bool:
    """Training pairs prefer the rejected answer, by margin and by accuracy, and it is not getting better.

    Four standard errors for the margin: the question is asked at many rows, and short windows have heavy tails.
    """
    margin, accuracy = measured.margin, measured.accuracy
    if math.isnan(accuracy.mean) or measured.recent.direction > 0:
        return False
    below = margin.mean < -max(tracker.settings.limits.inverted.errors * margin.error, tracker.settings.smallest)
    return below and accuracy.mean < 0.5 - 3 * accuracy.error


def far_displaced(tracker: MarginTracker, measured: Measured) -> bool:
    """Chosen answers are far below where training began, beyond what healthy runs show: by 100 nats, and three times as improbable.

    A healthy run lost 22 nats of 7 under a growing margin, and answers of 500 tokens lose 50 to 100; a slow fall is common and benign.
    Without log-probabilities their reward over beta, the nats below the reference, stands in.
    """
    limits = tracker.settings.limits.displaced
    if len(tracker.first_logps) >= 5 and tracker.logps:
        began, now = median(tracker.first_logps), median(tracker.logps)
        return began - now > limits.nats and now < limits.times * began
    beta = tracker.settings.beta
    return bool(beta) and measured.chosen / (beta or 1.0) < -limits.nats


def displaced(tracker: MarginTracker, measured: Measured) -> bool:
    """Chosen answers become ever less likely: far displaced and falling; or 20 nats below the reference and falling while the margin
    gains nothing.
    """
    beta = tracker.settings.beta
    course = trend([block.chosen.value for block in recent_blocks(tracker) if block.chosen.count])
    if course.direction >= 0:
        return False
    if far_displaced(tracker, measured):
        return True
    lost = tracker.settings.limits.displaced.below_reference
    return bool(beta) and measured.chosen / (beta or 1.0) < -lost and measured.recent.direction <= 0


def fluctuating(tracker: MarginTracker) -> bool:
    """The margin swings more than before, more than its own size, and not as small batches scatter by themselves."""
    if len(tracker.history.newest) < SWING_WINDOW + NEEDED_POINTS:
        return False
    found, limits = swings(tracker), tracker.settings.limits.fluctuating
    least = max(tracker.settings.smallest, tracker.settings.negligible)
    grown = found.now > max(limits.times * found.before, least) and not found.sampling_only
    return grown and (found.now > limits.size * found.level or found.sign_changes > SWING_WINDOW // 5)


def saturated(tracker: MarginTracker, measured: Measured) -> Ruling | None:
    """Every training pair is told apart with a loss near 0, and held-out pairs are not, or there are none to ask.

    A warning where the held-out margin has lost what it had: by half a nat times beta and 30 % of its best, beyond its error.
    """
    limits = tracker.settings.limits.saturated
    if not (measured.accuracy.mean > limits.accuracy and measured.loss < limits.loss):
        return None
    point = measured.held_out
    if point is not None:
        best = max(other.margin for other in tracker.held_out[measured.held_out_source])
        lost = best - point.margin
        if (
            lost > max(tracker.settings.scaled(_MATERIAL), limits.lost * abs(best))
            and lost > 3 * measured.held_out_error
        ):
            return Ruling(state="saturated", severity="warning", onset_step=recent_step(tracker))
        if not point.accuracy < limits.held_out_accuracy:
            return None
    return Ruling(state="saturated", severity="info", onset_step=recent_step(tracker))


def falling(tracker: MarginTracker, measured: Measured) -> Ruling | None:
    """The margin has lost a part of its best, and goes down; a fault only where training brings it up and pairs are ordered worse."""
    limits, lost = tracker.settings.limits.falling, measured.peak - measured.last
    dropped = lost > max(limits.lost * abs(measured.peak), tracker.settings.scaled(limits.nats))
    if not (measured.recent.direction < 0 and dropped and beyond_error(tracker, measured, lost)):
        return None
    is_fault = tracker.settings.optimises and orders_worse(tracker)
    severity: Severity | None = "warning" if is_fault else None
    return Ruling(state="falling", severity=severity, onset_step=recent_step(tracker))


def _training_agrees(tracker: MarginTracker) -> bool:
    """True where the training pairs themselves are being told apart."""
    blocks = recent_blocks(tracker)
    margin = estimate(block.margin.value for block in blocks)
    accuracy = estimate(block.accuracy.value for block in blocks).mean
    return len(blocks) >= 5 and margin.mean > 3 * margin.error and accuracy > 0.6


def beyond_error(tracker: MarginTracker, measured: Measured, size: float) -> bool:
    """True where a size is more than the error of one held-out reading; always where the margin is that of training pairs."""
    return tracker.settings.optimises or size > 1.96 * measured.held_out_error
