"""The course of one memory: slow growth over a whole run, and a leak so fast that a few samples prove it."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from itertools import pairwise

from runvitals.diagnostics.blocks import Blocks

_STRETCHES = 8
_FAST_SAMPLES = 4
_FAST_TIMES, _FAST_GIB = 3.0, 2.0
_WITNESSED = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """From what to what a memory grew, in GiB."""

    began: float
    now: float

    @property
    def gained(self) -> float:
        """How much more it is."""
        return self.now - self.began


NONE = Growth(began=0.0, now=0.0)


class MemoryCourse:
    """Samples since training began. total: what there is of this memory, NaN where it is not known."""

    def __init__(self) -> None:
        """No samples yet."""
        self.blocks = Blocks()
        self.total = math.nan
        self._lowest = math.inf
        self._newest: deque[tuple[int, float, float]] = deque(maxlen=_FAST_SAMPLES)

    def add(self, step: int, used: float, machine: float) -> None:
        """Takes a sample for the fast leak. machine: memory in use on the whole machine, NaN where it is not known."""
        self._lowest = min(self._lowest, used)
        self._newest.append((step, used, machine))

    def fast(self) -> Growth:
        """The growth where the newest four samples, each at a later training step, prove a leak; `NONE` elsewhere.

        Three even rises to three times the lowest so far, by 2 GiB or more, that the machine's memory shows too: the process's own counts
        pages of files that it maps, which cost nothing. Samples within an evaluation, which gathers outputs, share a step.
        """
        newest = self._newest
        if len(newest) < _FAST_SAMPLES or any(later[0] <= earlier[0] for earlier, later in pairwise(newest)):
            return NONE
        now = newest[-1][1]
        rises = [later[1] - earlier[1] for earlier, later in pairwise(newest)]
        grown = now >= _FAST_TIMES * self._lowest and now - self._lowest >= _FAST_GIB
        even = min(rises) >= 0.5 * max(rises) > 0.0
        machine = newest[-1][2] - newest[0][2]
        if not grown or not even or machine < _WITNESSED * (now - newest[0][1]):
            return NONE
        return Growth(began=self._lowest, now=now)

    def slow(self) -> Growth:
        """The growth from the first stretch to now where each of the run's last eight stretches lies above the one before."""
        means = self.blocks.means
        if len(means) < 4 * _STRETCHES:
            return NONE
        width = len(means) // _STRETCHES
        stretches = [sum(means[i * width : (i + 1) * width]) / width for i in range(_STRETCHES)]
        rises = [later - earlier for earlier, later in pairwise(stretches)]
        # A cache that fills rises ever less; a leak keeps its pace.
        steady = min(rises) > 0.0 and sum(rises[-3:]) > 0.75 * sum(rises[:3])
        return Growth(began=stretches[0], now=means[-1]) if steady else NONE
