"""The range of an axis that a reader asks for, and which blocks and buckets lie in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row

from runvitals.store.levels import Buckets
from runvitals.store.types import Axis


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The range of an envelope, both ends included; None is open. axis: step or time (tokens were turned to steps before)."""

    axis: Axis
    start: float | None
    stop: float | None

    def inside(self, found: Buckets) -> NDArray[np.bool_]:
        """Which buckets lie wholly in the range; on the step axis one that mixes rows with and without a step never does."""
        lowest, highest = self._extent(found)
        kept = np.ones(len(found), bool) if self.axis == "time" else found.stepped == found.count
        if self.start is not None:
            kept &= lowest >= self.start
        if self.stop is not None:
            kept &= highest <= self.stop
        return kept

    def outside(self, found: Buckets) -> NDArray[np.bool_]:
        """Which buckets hold no point of the range."""
        lowest, highest = self._extent(found)
        lost = np.zeros(len(found), bool) if self.axis == "time" else found.stepped == 0
        if self.start is not None:
            lost |= highest < self.start
        if self.stop is not None:
            lost |= lowest > self.stop
        return lost

    def misses(self, row: Row[Any]) -> bool:
        """True where a block holds no point of the range."""
        low, high = (row.min_time_s, row.max_time_s) if self.axis == "time" else (row.min_step, row.max_step)
        return bool((self.start is not None and high < self.start) or (self.stop is not None and low > self.stop))

    def _extent(self, found: Buckets) -> tuple[NDArray[Any], NDArray[Any]]:
        if self.axis == "time":
            return found.time_min, found.time_max
        return found.step_min, found.step_max
