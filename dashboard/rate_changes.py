"""At which steps somebody changed the learning rate: jumps that its schedule does not explain."""

from __future__ import annotations

import numpy as np

from runvitals.store.types import Envelope

LEAST_SHARE = 0.1
"""A change below a tenth of the larger of the two rates is not worth a mark."""

TIMES_USUAL = 4.0
"""How much larger than the changes around it one must be: a warm-up and a decay move at each step, and by about as much."""

AROUND = 3
"""How many changes before and after say what is usual there."""


def rate_changes(envelope: Envelope) -> list[int]:
    """Steps of the first rows with another learning rate, rising. None within the first rows, nor where the rate was or becomes zero.

    Drops by stages, restarts of a schedule and changes by hand count; warm-up, linear, cosine and inverse-root schedules do not.
    A change that falls into a bucket of many points is told at the bucket's last step.
    """
    known = np.isfinite(envelope.mean) & (envelope.mean > 0)
    rates, steps = envelope.mean[known], envelope.steps[known]
    changes = np.abs(np.diff(rates))
    larger = np.maximum(rates[1:], rates[:-1])
    found: list[int] = []
    for at in range(AROUND, changes.size):
        if changes[at] <= LEAST_SHARE * larger[at]:
            continue
        # A bucket in which the change lies has a mean between the two: its neighbour shows the rest of the same change.
        around = np.concatenate((changes[max(0, at - AROUND - 1) : at - 1], changes[at + 2 : at + 2 + AROUND]))
        beside = max(changes[at - 1], changes[at + 1] if at + 1 < changes.size else 0.0)
        if around.size and changes[at] >= beside and changes[at] > TIMES_USUAL * float(np.median(around)):
            found.append(int(steps[at + 1]))
    return found
