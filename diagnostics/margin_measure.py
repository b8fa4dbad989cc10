"""The figures that the state of a margin is decided on, and how its newest points swing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import islice, pairwise
from statistics import median

from runvitals.diagnostics.margin_held_out import accuracy_over, margin_over, pairs_read, reading_error
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
from runvitals.diagnostics.margin_tracker import NEEDED_POINTS, MarginTracker

SWING_WINDOW = 50
"""Newest points whose swings are compared with those of the hundred before."""


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


def measure(tracker: MarginTracker) -> Measured:
    """All figures at once."""
    history = tracker.history
    window = history.last_share(0.5, NEEDED_POINTS)
    recent = recent_blocks(tracker)
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
    return found.now <= tracker.settings.limits.fluctuating.size * found.level or found.sampling_only


def recent_blocks(tracker: MarginTracker) -> list[Block]:
    """The last 30 % of the run."""
    return tracker.history.last_share(0.3, NEEDED_POINTS // 2)


def recent_step(tracker: MarginTracker) -> int | None:
    blocks = recent_blocks(tracker)
    return blocks[0].first_step if blocks else None


def swing_step(tracker: MarginTracker) -> int | None:
    newest = list(tracker.history.newest)[-SWING_WINDOW:]
    return newest[0].step if newest else None


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
