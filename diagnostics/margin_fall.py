"""Whether a margin that falls is a loss of what was learned, or only of scale."""

from __future__ import annotations

import math
from collections.abc import Sequence

from runvitals.diagnostics.margin_history import Block, Estimate, estimate
from runvitals.diagnostics.margin_tracker import MarginTracker

_AROUND = 2
_SURE = 3.0


def orders_worse(tracker: MarginTracker) -> bool:
    """True where chosen wins surely fewer pairs now than where the margin was highest; and where no accuracy is logged.

    A margin may shrink while pairs are ordered as well as before: a reward model that was too sure finds its scale, the loss falls with it.
    """
    blocks = tracker.history.blocks
    if not blocks:
        return False
    peak = max(range(len(blocks)), key=lambda place: blocks[place].margin.value)
    then = _accuracy(tracker, blocks[max(0, peak - _AROUND) : peak + _AROUND + 1])
    now = _accuracy(tracker, blocks[-2 * _AROUND - 1 :])
    if math.isnan(then.mean) or math.isnan(now.mean):
        return True
    return then.mean - now.mean > _SURE * math.hypot(then.error, now.error)


def _accuracy(tracker: MarginTracker, blocks: Sequence[Block]) -> Estimate:
    """Share of pairs won over some blocks. Its error is that of drawing so many pairs, where their number is known, else that of the blocks."""
    found = estimate(block.accuracy.value for block in blocks)
    pairs = tracker.settings.pairs
    drawn = (pairs or 0.0) * sum(block.accuracy.count for block in blocks)
    if not drawn or math.isnan(found.mean):
        return found
    share = min(max(found.mean, 0.0), 1.0)
    return Estimate(mean=found.mean, error=max(math.sqrt(share * (1 - share) / drawn), 1 / (2 * drawn)))
