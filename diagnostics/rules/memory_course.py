"""The course of one memory: slow growth over a whole run, and a leak so fast that a few samples prove it."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from itertools import pairwise

from runvitals.diagnostics.blocks import Blocks

_STRETCHES = 8
_FAST_SAMPLES = 4
_FEWEST_SAMPLES = 3
_ALIKE = 0.75
"""How alike two rises for each step must be where there are only two: a leaked batch is as large as the next."""
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
        """The growth where the newest three or four samples, each at a later training step, prove a leak; `NONE` elsewhere.

        Even rises to three times the lowest so far, by 2 GiB or more, that the machine's memory shows too: the process's own counts
        pages of files that it maps, which cost nothing. Samples within an evaluation, which gathers outputs, share a step. Two rises are
        enough where they are the same for each step.
        """
        newest = list(self._newest)
        if len(newest) == _FAST_SAMPLES:
            rises = [later[1] - earlier[1] for earlier, later in pairwise(newest)]
            if min(rises) >= 0.5 * max(rises) > 0.0 and self._is_grown(newest):
                return Growth(began=self._lowest, now=newest[-1][1])
        newest = newest[-_FEWEST_SAMPLES:]
        if len(newest) == _FEWEST_SAMPLES and self._is_grown(newest):
            paces = [(later[1] - earlier[1]) / (later[0] - earlier[0]) for earlier, later in pairwise(newest)]
            if min(paces) >= _ALIKE * max(paces) > 0.0:
                return Growth(began=self._lowest, now=newest[-1][1])
        return NONE

    def _is_grown(self, newest: list[tuple[int, float, float]]) -> bool:
        """Whether memory tripled over samples at ever later steps, most of which the machine's memory witnesses."""
        if any(later[0] <= earlier[0] for earlier, later in pairwise(newest)):
            return False
        now = newest[-1][1]
        machine = newest[-1][2] - newest[0][2]
        grown = now >= _FAST_TIMES * self._lowest and now - self._lowest >= _FAST_GIB
        return grown and not machine < _WITNESSED * (now - newest[0][1])

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
