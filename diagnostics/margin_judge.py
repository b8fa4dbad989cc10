"""How the state of a margin is decided. Pure: a tracker goes in, a state comes out; nothing is remembered."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from itertools import islice, pairwise
from statistics import median

from runvitals.diagnostics.margin_fall import orders_worse
from runvitals.diagnostics.margin_held_out import accuracy_over, margin_over, opposed, pairs_read, reading_error
from runvitals.diagnostics.margin_history import (
    Block,
    Estimate,
    MarginPoint,
    Mean,
    Trend,
    estimate,
    looks_like_sampling,
    swing,
    trend,
)
from runvitals.diagnostics.margin_numerals import measure_of, on_pairs, signed
from runvitals.diagnostics.margin_tracker import NEEDED_POINTS, MarginState, MarginTracker
from runvitals.diagnostics.types import Severity

CHANCE = 0.55
"""An accuracy below it is hardly better than a coin (0.5)."""

CLEAR = 0.6
"""An accuracy that may well be above it, by its 95 % interval, is not called weak: small batches cannot tell. One that is for sure
above it tells pairs apart."""

CLEAR_EFFECT = 0.25
"""Without accuracies: a margin above this many standard deviations of single pairs tells them apart; of normal ones chosen wins 60 %."""

SURE_ERROR = 0.033
"""Largest standard error of an accuracy that can be called a coin's: about 230 pairs."""

EARLIEST_PROGRESS = 0.2
"""Share of the run before which a small margin is no fault yet."""

UNKNOWN_LENGTH_POINTS = 60
"""Where the run's length is not known: points before a small margin is a fault."""

FEWEST_PAIRS = 256
"""Pairs to pool before a small margin is a fault, where the number behind a point is known."""

DISPLACED_NATS = 100.0
"""How much log-probability chosen answers lose only in runs that unlearn them."""

SWING_WINDOW = 50
SWING_BEFORE = 100
LATE = 0.5
"""From this share of the run on, a margin flat at nothing with accuracy at chance is critical: half the money is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The figures that states are decided on. window: the last half of the run, at least NEEDED_POINTS points.

    recent: course over the last 30 %. chosen: newest chosen reward. last: mean of the newest five margins. peak: highest block mean.
    held_out_error: standard error of the newest held-out margin; held_out_pairs: how many pairs it is on, None where that is unknown.
    """

    window: list[Block]
    margin: Estimate
    accuracy: Estimate
    loss: float
    recent: Trend
    chosen: float
    last: float
    peak: float
    held_out_source: str
    held_out: MarginPoint | None
    held_out_error: float
    held_out_pairs: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Swings:
    """Robust standard deviations around a line, of the newest 50 margins and of those before; |median| of the newest."""

    now: float
    before: float
    level: float
    sign_changes: int
    sampling_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """A state, how bad it is, and since when."""

    state: MarginState
    severity: Severity | None = None
    onset_step: int | None = None
    missing: str = ""


def rule_on(tracker: MarginTracker, measured: Measured) -> Ruling:
    """The state. Held-out pairs that say the opposite come before everything, then what needs enough data."""
    inverted = _inverted_held_out(tracker)
    if inverted is not None:
        return inverted
    if tracker.history.count < NEEDED_POINTS:
        return Ruling(state="start", missing=too_few_margins(tracker))
    if not tracker.settings.optimises:
        return _course(tracker, measured)
    if _inverted(tracker, measured):
        return Ruling(state="inverted", severity="critical", onset_step=measured.window[0].first_step)
    if _displaced(tracker, measured):
        return Ruling(state="displaced", severity="warning", onset_step=_recent_step(tracker))
    if _low(tracker, measured):
        return _stuck(tracker, measured)
    if _fluctuating(tracker):
        return Ruling(state="fluctuating", severity="warning", onset_step=_swing_step(tracker))
    return _saturated(tracker, measured) or _course(tracker, measured)


def too_few_margins(tracker: MarginTracker) -> str:
    """What is missing before anything can be judged."""
    if tracker.lost and not tracker.history.count:
        return f"needs margins that are numbers; {tracker.lost} were not"
    return f"needs {NEEDED_POINTS} logged margins, has {tracker.history.count}"


def measure(tracker: MarginTracker) -> Measured:
    """All figures at once."""
    history = tracker.history
    window = history.last_share(0.5, NEEDED_POINTS)
    recent = _recent(tracker)
    held_out = tracker.newest_held_out()
    losses, last = Mean(), Mean()
    for block in window:
        losses.join(block.loss)
    for point in islice(reversed(history.newest), 5):
        last.add(point.margin)
    return Measured(
        window=window,
        margin=_margin(tracker, window),
        accuracy=_accuracy(tracker, window),
        loss=losses.value,
        recent=trend([block.margin.value for block in recent]),
        chosen=recent[-1].chosen.value if recent else math.nan,
        last=last.value,
        peak=max((block.margin.value for block in history.blocks), default=math.nan),
        held_out_source=held_out[0] if held_out else "",
        held_out=held_out[1][-1] if held_out else None,
        held_out_error=reading_error(tracker, held_out[0], held_out[1][-1]) if held_out else math.nan,
        held_out_pairs=pairs_read(tracker, held_out[0]) if held_out else None,
    )


def swings(tracker: MarginTracker) -> Swings:
    """How the newest single margins swing; two short stretches, whatever the length of the run."""
    newest = [point.margin for point in tracker.history.newest]
    now, before = newest[-SWING_WINDOW:], newest[:-SWING_WINDOW]
    return Swings(
        now=swing(now),
        before=swing(before),
        level=abs(median(now)),
        sign_changes=sum(a * b < 0 for a, b in pairwise(now)),
        sampling_only=looks_like_sampling(now),
    )


def calm(tracker: MarginTracker) -> bool:
    """True where the newest margins swing by less than their size, or as small batches scatter: the end of a fluctuation."""
    found = swings(tracker)
    return found.now <= found.level or found.sampling_only


def told_apart(tracker: MarginTracker, measured: Measured) -> bool:
    """True where chosen and rejected are really told apart. What a margin may level off at, and what ends a fault, is decided here alone.

    The margin is clearly above nothing, chosen wins more than a coin, held-out pairs do not say the opposite; and chosen wins more than
    60 % for sure, or the margin is large: above half a nat times beta, or, where accuracy is not logged, a quarter of the spread of
    single pairs.
    """
    settings, margin, accuracy = tracker.settings, measured.margin, measured.accuracy
    if measured.held_out is not None and not measured.held_out.margin > -settings.material:
        return False
    if not margin.low > max(settings.smallest, settings.negligible) or accuracy.mean < CHANCE:
        return False
    return (
        accuracy.low > CLEAR
        or (settings.material > 0 and margin.low > settings.material)
        or (math.isnan(accuracy.mean) and margin.low > CLEAR_EFFECT * _pair_spread(tracker))
    )


def _pair_spread(tracker: MarginTracker) -> float:
    """Standard deviation of single pairs' margins, from that of the newest points; of the points where pairs are not known."""
    return swing([point.margin for point in tracker.history.newest]) * math.sqrt(tracker.settings.pairs or 1.0)


def _margin(tracker: MarginTracker, window: list[Block]) -> Estimate:
    """The mean margin over the window. Training pairs are others at each point, held-out pairs always the same."""
    if not tracker.settings.optimises:
        return margin_over(window)
    return estimate(block.margin.value for block in window)


def _accuracy(tracker: MarginTracker, window: list[Block]) -> Estimate:
    """Share of pairs won over the window; the error is at least that of drawing so many pairs."""
    if not tracker.settings.optimises:
        return accuracy_over(tracker, window)
    found = estimate(block.accuracy.value for block in window)
    pairs = tracker.settings.pairs
    if not pairs or math.isnan(found.mean):
        return found
    drawn = pairs * sum(block.accuracy.count for block in window)
    share = min(max(found.mean, 0.0), 1.0)
    return Estimate(mean=found.mean, error=max(found.error, math.sqrt(share * (1 - share) / drawn)))


def _inverted_held_out(tracker: MarginTracker) -> Ruling | None:
    """Held-out pairs prefer the rejected answer, twice running and by more than noise.

    Where training brings the margin up: critical; sooner where the training pairs say the opposite, which is what flipped labels
    look like. Where it does not (SFT, PPO, GRPO), or where the margin does not start at 0 (ORPO): a warning, and only while it gets worse.
    """
    found = tracker.newest_held_out()
    if found is None:
        return None
    source, points = found[0], list(found[1])[-3:]
    settings = tracker.settings
    against = partial(opposed, tracker, source)
    if not settings.optimises or settings.reference_free:
        worse = len(points) == 3 and points[0].margin > points[1].margin > points[2].margin
        if worse and all(against(point, least=settings.material, accuracy=0.5) for point in points):
            return Ruling(state="inverted", severity="warning", onset_step=points[0].step)
        return None
    if len(points) >= 2 and all(against(point, least=settings.material, accuracy=0.4) for point in points[-2:]):
        return Ruling(state="inverted", severity="critical", onset_step=points[-2].step)
    all_against = all(against(point, least=settings.smallest, accuracy=0.35) for point in points)
    if len(points) == 3 and all_against and _training_agrees(tracker):
        return Ruling(state="inverted", severity="critical", onset_step=points[0].step)
    return None


def _training_agrees(tracker: MarginTracker) -> bool:
    """True where the training pairs themselves are being told apart."""
    blocks = _recent(tracker)
    margin = estimate(block.margin.value for block in blocks)
    accuracy = estimate(block.accuracy.value for block in blocks).mean
    return len(blocks) >= 5 and margin.mean > 3 * margin.error and accuracy > 0.6


def _inverted(tracker: MarginTracker, measured: Measured) -> bool:
    """Training pairs prefer the rejected answer, by margin and by accuracy, and it is not getting better.

    Four standard errors for the margin: the question is asked at many rows, and short windows have heavy tails.
    """
    margin, accuracy = measured.margin, measured.accuracy
    if math.isnan(accuracy.mean) or measured.recent.direction > 0:
        return False
    below = margin.mean < -max(4 * margin.error, tracker.settings.smallest)
    return below and accuracy.mean < 0.5 - 3 * accuracy.error


def far_displaced(tracker: MarginTracker, measured: Measured) -> bool:
    """Chosen answers are far below where training began, beyond what healthy runs show: by 100 nats, and three times as improbable.

    A healthy run lost 22 nats of 7 under a growing margin, and answers of 500 tokens lose 50 to 100; a slow fall is common and benign.
    Without log-probabilities their reward over beta, the nats below the reference, stands in.
    """
    if len(tracker.first_logps) >= 5 and tracker.logps:
        began, now = median(tracker.first_logps), median(tracker.logps)
        return began - now > DISPLACED_NATS and now < 3 * began
    beta = tracker.settings.beta
    return bool(beta) and measured.chosen / (beta or 1.0) < -DISPLACED_NATS


def _displaced(tracker: MarginTracker, measured: Measured) -> bool:
    """Chosen answers become ever less likely: far displaced and falling; or 20 nats below the reference and falling while the margin
    gains nothing.
    """
    beta = tracker.settings.beta
    course = trend([block.chosen.value for block in _recent(tracker) if block.chosen.count])
    if course.direction >= 0:
        return False
    if far_displaced(tracker, measured):
        return True
    return bool(beta) and measured.chosen / (beta or 1.0) < -20 and measured.recent.direction <= 0


def _low(tracker: MarginTracker, measured: Measured) -> bool:
    """True where chosen and rejected are not told apart, in a run that has had its time."""
    settings, margin, accuracy = tracker.settings, measured.margin, measured.accuracy
    if _too_early(tracker):
        return False
    point = measured.held_out
    if point is not None and _tells_apart(tracker, point) and point.accuracy >= 0.6:
        return False
    if abs(margin.mean) < settings.negligible and measured.last < settings.negligible:
        return True
    weak = math.isnan(accuracy.mean) or (accuracy.mean < CHANCE and accuracy.high < CLEAR)
    return margin.mean <= max(settings.smallest, 2 * margin.error) and weak


def _tells_apart(tracker: MarginTracker, point: MarginPoint) -> bool:
    """True where a held-out margin is more than nothing, and than its error where that is logged."""
    error = point.margin_se if math.isfinite(point.margin_se) else 0.0
    return point.margin > max(tracker.settings.smallest, tracker.settings.negligible, 1.96 * error)


def _too_early(tracker: MarginTracker) -> str:
    """What a run needs before a small margin is a fault, or "": 20 % of it (60 points where its length is unknown), and where training
    brings the margin up 256 pairs and the end of learning-rate warm-up.
    """
    count, pairs, progress = tracker.history.count, tracker.settings.pairs, tracker.progress
    if progress is not None and progress < EARLIEST_PROGRESS:
        return f"needs {100 * EARLIEST_PROGRESS:.0f} % of the run, has {100 * progress:.0f} %"
    if progress is None and count < UNKNOWN_LENGTH_POINTS:
        return f"needs {UNKNOWN_LENGTH_POINTS} logged margins, has {count}"
    if not tracker.settings.optimises:
        return ""
    if pairs and pairs * count < FEWEST_PAIRS:
        return f"needs {FEWEST_PAIRS} pairs, has {pairs * count:.0f}"
    rates = tracker.learning_rates
    warming_up = len(rates) >= 2 and rates[-1] > rates[0] and rates[-1] >= tracker.peak_learning_rate
    return "needs the end of the learning rate's warm-up" if warming_up else ""


def _stuck(tracker: MarginTracker, measured: Measured) -> Ruling:
    """Stagnant where a low margin does not move, too small where it does."""
    if measured.recent.direction > 0:
        return Ruling(state="too_small", severity="warning", onset_step=measured.window[0].first_step)
    error = measured.accuracy.error
    at_chance = error < SURE_ERROR and abs(measured.accuracy.mean - 0.5) <= 3 * error
    known_late = tracker.progress is not None and _late(tracker)
    severity: Severity = "critical" if known_late and at_chance else "warning"
    return Ruling(state="stagnant", severity=severity, onset_step=measured.window[0].first_step)


def _level(tracker: MarginTracker, measured: Measured) -> Ruling:
    """A flat margin that is more than nothing: levelled off where pairs are told apart; stuck where, late, it is below half a nat times
    beta and chosen wins below 60 % for sure.

    Between the two it cannot be told. Where training does not optimise the margin, a flat one is worth knowing and no fault.
    """
    if told_apart(tracker, measured):
        return Ruling(state="levelled_off")
    if not tracker.settings.optimises:
        return _level_held_out(tracker, measured)
    low = measured.margin.mean < tracker.settings.material and measured.accuracy.high < CLEAR
    if low and _late(tracker):
        return _stuck(tracker, measured)
    return Ruling(
        state="start", missing="the margin is flat, and it cannot be told yet whether chosen wins over 60 % of pairs"
    )


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
    return Ruling(
        state="start", missing=f"{text} is flat, and it cannot be told yet whether chosen wins over 60 % of pairs"
    )


def _late(tracker: MarginTracker) -> bool:
    """True from half the run on; where its length is unknown, after two and a half times the points that are enough for a fault."""
    progress = tracker.progress
    if progress is None:
        return tracker.history.count >= UNKNOWN_LENGTH_POINTS * LATE / EARLIEST_PROGRESS
    return progress >= LATE


def _fluctuating(tracker: MarginTracker) -> bool:
    """The margin swings more than before, more than its own size, and not as small batches scatter by themselves."""
    if len(tracker.history.newest) < SWING_WINDOW + NEEDED_POINTS:
        return False
    found = swings(tracker)
    least = max(tracker.settings.smallest, tracker.settings.negligible)
    grown = found.now > max(2 * found.before, least) and not found.sampling_only
    return grown and (found.now > found.level or found.sign_changes > SWING_WINDOW // 5)


def _saturated(tracker: MarginTracker, measured: Measured) -> Ruling | None:
    """Every training pair is told apart with a loss near 0, and held-out pairs are not, or there are none to ask.

    A warning where the held-out margin has lost what it had: by half a nat times beta and 30 % of its best, beyond its error.
    """
    if not (measured.accuracy.mean > 0.98 and measured.loss < 0.1):
        return None
    point = measured.held_out
    if point is not None:
        best = max(other.margin for other in tracker.held_out[measured.held_out_source])
        lost = best - point.margin
        if lost > max(tracker.settings.material, 0.3 * abs(best)) and lost > 3 * measured.held_out_error:
            return Ruling(state="saturated", severity="warning", onset_step=_recent_step(tracker))
        if not point.accuracy < 0.9:
            return None
    return Ruling(state="saturated", severity="info", onset_step=_recent_step(tracker))


def _course(tracker: MarginTracker, measured: Measured) -> Ruling:
    """Rising, falling or levelled off; for a margin that is big enough."""
    direction = measured.recent.direction
    dropped = measured.peak - measured.last > max(0.3 * abs(measured.peak), tracker.settings.material)
    if direction < 0 and dropped and _beyond_error(tracker, measured, measured.peak - measured.last):
        is_fault = tracker.settings.optimises and orders_worse(tracker)
        severity: Severity | None = "warning" if is_fault else None
        return Ruling(state="falling", severity=severity, onset_step=_recent_step(tracker))
    if direction > 0 and _beyond_error(tracker, measured, measured.last):
        return Ruling(state="rising")
    missing = _too_early(tracker)
    if missing:
        return Ruling(state="start", missing=missing)
    return _level(tracker, measured)


def _beyond_error(tracker: MarginTracker, measured: Measured, size: float) -> bool:
    """True where a size is more than the error of one held-out reading; always where the margin is that of training pairs."""
    return tracker.settings.optimises or size > 1.96 * measured.held_out_error


def _recent(tracker: MarginTracker) -> list[Block]:
    """The last 30 % of the run."""
    return tracker.history.last_share(0.3, NEEDED_POINTS // 2)


def _recent_step(tracker: MarginTracker) -> int | None:
    blocks = _recent(tracker)
    return blocks[0].first_step if blocks else None


def _swing_step(tracker: MarginTracker) -> int | None:
    newest = list(tracker.history.newest)[-SWING_WINDOW:]
    return newest[0].step if newest else None
