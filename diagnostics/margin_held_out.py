"""What readings on held-out pairs are worth. They are all taken on the same pairs, so more readings do not tell more about other pairs.

The error of a held-out margin is that of one reading, as the probe logs it; the error of its accuracy is that of drawing as many pairs as
the probe has. An evaluation logs neither: it is taken to hold as many pairs as one logged training point, and to scatter like it.
Where nothing at all is known the error is infinite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from runvitals.diagnostics.margin_history import Block, Estimate, MarginPoint, Mean, estimate, swing
from runvitals.diagnostics.margin_tracker import MarginTracker

_COIN_SPREAD = 0.5


def margin_over(blocks: Sequence[Block]) -> Estimate:
    """The mean of held-out margins over some blocks. Error: how the readings scatter, and the mean error of one reading beside it."""
    found = estimate(block.margin.value for block in blocks)
    of_one = Mean()
    for block in blocks:
        of_one.join(block.margin_se)
    if math.isnan(found.mean):
        return found
    return Estimate(mean=found.mean, error=math.hypot(found.error, of_one.value) if of_one.count else math.inf)


def accuracy_over(tracker: MarginTracker, blocks: Sequence[Block]) -> Estimate:
    """The share of held-out pairs won over some blocks; its error is at least that of drawing the pairs once."""
    found = estimate(block.accuracy.value for block in blocks)
    if math.isnan(found.mean):
        return found
    return Estimate(mean=found.mean, error=max(found.error, share_error(found.mean, tracker.settings.probe_pairs)))


def share_error(share: float, pairs: float | None) -> float:
    """The standard error of a share won among so many pairs, infinite where their number is unknown.

    After Agresti and Coull (1998), with two wins and two losses more, so that 4 of 4 is not without error.
    """
    if not pairs:
        return math.inf
    among = pairs + 4
    nearer = (min(max(share, 0.0), 1.0) * pairs + 2) / among
    return math.sqrt(nearer * (1 - nearer) / among)


def pairs_read(tracker: MarginTracker, source: str) -> float | None:
    """How many pairs a reading has; for an evaluation the number behind one logged training point."""
    return tracker.settings.probe_pairs if source == "probe" else tracker.settings.pairs


def reading_error(tracker: MarginTracker, source: str, point: MarginPoint) -> float:
    """The standard error of one held-out margin; for an evaluation the scatter of logged training margins, or else of its own, infinite where there are few."""
    if math.isfinite(point.margin_se):
        return point.margin_se
    if source == "probe":
        return math.inf
    known = tracker.history.newest if tracker.history.count else tracker.held_out[source]
    return swing([other.margin for other in known]) if len(known) >= 3 else math.inf


def opposed(
    tracker: MarginTracker, source: str, point: MarginPoint, *, least: float, accuracy: float, errors: float
) -> bool:
    """True where one reading prefers the rejected answer: by more than `least`, below `accuracy`, and beyond so many of its errors.

    Beyond its error is the margin, or the share of pairs won: pairs that nearly all lose are no chance, however far their margins scatter.
    """
    if not point.margin < -least or point.accuracy >= accuracy:
        return False
    if point.margin < -errors * reading_error(tracker, source, point):
        return True
    pairs = pairs_read(tracker, source)
    return pairs is not None and point.accuracy < 0.5 - errors * _COIN_SPREAD / math.sqrt(max(pairs, 1.0))
