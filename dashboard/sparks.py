"""Small curves without axes, as whole numbers from 0 to 100, so that a table of them costs little to send."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from runvitals.store.types import Envelope

LOSS_SPAN = 0.04
POLICY_LOSS_SPAN = 0.004
MARGIN_SPAN = 0.1
"""The least that the full height stands for, so that noise looks flat."""


def spark(envelope: Envelope | None, *, span: float) -> list[list[int] | None]:
    """Points (x, y) of the bucket means from 0 to 100, None where the curve breaks at a value that is no number."""
    if envelope is None or not len(envelope.x):
        return []
    mean = np.asarray(envelope.mean, dtype=float)
    finite = mean[np.isfinite(mean)]
    if not len(finite):
        return []
    low, high = float(finite.min()), float(finite.max())
    height = max(high - low, span)
    middle = (low + high) / 2
    first, last = float(envelope.x[0]), float(envelope.x[-1])
    width = max(last - first, 1.0)
    return [
        [round(100 * (float(x) - first) / width), round(100 * (0.5 + (y - middle) / height))]
        if math.isfinite(y)
        else None
        for x, y in zip(envelope.x.tolist(), mean.tolist(), strict=True)
    ]


def spark_json(points: list[list[int] | None]) -> list[Any]:
    """The points in one flat list, x, y, x, y …, with None for a break."""
    return [number for point in points for number in (point if point is not None else (None,))]
