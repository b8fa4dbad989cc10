"""The whole course of a margin in bounded memory, and the few statistics that its verdict needs.

Points are gathered in blocks of equal size; when there are too many, neighbours are joined and the size doubles. So a run of any
length costs a constant amount of work a point and at most `MOST_BLOCKS` blocks, and any share of the run can still be looked at.
"""

from __future__ import annotations

import math
import operator
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

MOST_BLOCKS = 100
"""Also the most points that an alert's frozen curve has."""

RING = 150
"""Newest single points kept for the question whether the margin swings: 50 now against 100 before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginPoint:
    """What one row says about the margin. Signals that the row lacks, or that are None, are NaN."""

    step: int
    margin: float
    accuracy: float = math.nan
    loss: float = math.nan
    chosen: float = math.nan
    rejected: float = math.nan
    margin_se: float = math.nan


@dataclass(slots=True)
class Mean:
    """A running mean over the finite values added to it; NaN while there are none."""

    total: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        if math.isfinite(value):
            self.total += value
            self.count += 1

    def join(self, other: Mean) -> None:
        self.total += other.total
        self.count += other.count

    @property
    def value(self) -> float:
        return self.total / self.count if self.count else math.nan


@dataclass(slots=True)
class Block:
    """Some consecutive points, averaged."""

    first_step: int
    last_step: int
    margin: Mean = field(default_factory=Mean)
    accuracy: Mean = field(default_factory=Mean)
    loss: Mean = field(default_factory=Mean)
    chosen: Mean = field(default_factory=Mean)
    margin_se: Mean = field(default_factory=Mean)

    def add(self, point: MarginPoint) -> None:
        self.last_step = point.step
        self.margin.add(point.margin)
        self.accuracy.add(point.accuracy)
        self.loss.add(point.loss)
        self.chosen.add(point.chosen)
        self.margin_se.add(point.margin_se)

    def join(self, later: Block) -> None:
        self.last_step = later.last_step
        self.margin.join(later.margin)
        self.accuracy.join(later.accuracy)
        self.loss.join(later.loss)
        self.chosen.join(later.chosen)
        self.margin_se.join(later.margin_se)


class MarginHistory:
    """Blocks of the whole run and the newest single margins. Only points with a finite margin are taken."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.block_size = 1
        self.count = 0
        self.newest: deque[MarginPoint] = deque(maxlen=RING)

    def add(self, point: MarginPoint) -> None:
        """Takes a point whose margin is finite."""
        self.count += 1
        self.newest.append(point)
        if not self.blocks or self.blocks[-1].margin.count >= self.block_size:
            if len(self.blocks) >= MOST_BLOCKS:
                self._halve()
            self.blocks.append(Block(first_step=point.step, last_step=point.step))
        self.blocks[-1].add(point)

    def rewind(self, step: int) -> None:
        """Forgets what came at or after `step`: the run went back there."""
        self.blocks = [block for block in self.blocks if block.first_step < step]
        self.newest = deque((point for point in self.newest if point.step < step), maxlen=RING)
        self.count = sum(block.margin.count for block in self.blocks)

    def last_share(self, share: float, at_least: int) -> list[Block]:
        """The blocks of the last `share` of all points, at least `at_least` blocks (fewer only where there are fewer)."""
        return self.blocks[-max(at_least, math.ceil(len(self.blocks) * share)) :]

    def _halve(self) -> None:
        for earlier, later in zip(self.blocks[::2], self.blocks[1::2], strict=True):
            earlier.join(later)
        self.blocks = self.blocks[::2]
        self.block_size *= 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean and its standard error, widened for values that follow their predecessor. NaN where there were no values."""

    mean: float
    error: float

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval."""
        return self.mean - 1.96 * self.error

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval."""
        return self.mean + 1.96 * self.error


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """A straight line through values: what it gains from the first to the last, and the standard error of that gain."""

    gain: float
    error: float

    @property
    def direction(self) -> int:
        """1 where it rises, -1 where it falls, by three standard errors; 0 where it cannot be told from level."""
        if abs(self.gain) <= 3 * self.error or self.gain == 0.0:
            return 0
        return 1 if self.gain > 0 else -1


def estimate(values: Iterable[float]) -> Estimate:
    """The mean of the finite values and its error."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return Estimate(mean=math.nan, error=math.nan)
    mean = sum(finite) / len(finite)
    if len(finite) < 3:
        return Estimate(mean=mean, error=math.inf)
    residuals = [value - mean for value in finite]
    variance = _square_sum(residuals) / (len(finite) - 1)
    return Estimate(mean=mean, error=math.sqrt(variance / len(finite)) * _widening(residuals))


def trend(values: Sequence[float]) -> Trend:
    """The least-squares line through finite, evenly spaced values. Fewer than five give an infinite error."""
    count = len(values)
    if count < 5:
        return Trend(gain=0.0, error=math.inf)
    slope, residuals = _line(values)
    spread = count * (count * count - 1) / 12
    error = math.sqrt(_square_sum(residuals) / (count - 2) / spread) * _widening(residuals)
    return Trend(gain=slope * (count - 1), error=error * (count - 1))


def swing(values: Sequence[float]) -> float:
    """The robust standard deviation of values around their line; 0 for fewer than three."""
    if len(values) < 3:
        return 0.0
    _, residuals = _line(values)
    return 1.4826 * median(abs(residual) for residual in residuals)


def looks_like_sampling(values: Sequence[float]) -> bool:
    """True where the values scatter around their line as draws of separate batches do: each independent of the one before.

    Noise of small batches falls as 1/√n when neighbours are pooled; swings of the model do not. The same question, asked of
    neighbours up to three apart directly: their correlations lie within four standard errors of 0: the question is asked again and again, so chance must not answer.
    """
    _, residuals = _line(values)
    limit = 4.0 / math.sqrt(len(values))
    return all(abs(_correlation(residuals, apart)) < limit for apart in (1, 2, 3))


def _line(values: Sequence[float]) -> tuple[float, list[float]]:
    """Slope of the least-squares line a value, and what is left of the values without it."""
    count = len(values)
    mean = sum(values) / count
    middle = (count - 1) / 2
    spread = count * (count * count - 1) / 12
    slope = sum((index - middle) * (value - mean) for index, value in enumerate(values)) / spread if spread else 0.0
    return slope, [value - mean - slope * (index - middle) for index, value in enumerate(values)]


def _square_sum(values: Sequence[float]) -> float:
    return float(sum(map(operator.mul, values, values)))


def _correlation(residuals: Sequence[float], apart: int) -> float:
    """How much residuals resemble those `apart` places later: -1 to 1; 0 where it cannot be told."""
    total = _square_sum(residuals)
    if not total or not math.isfinite(total):
        return 0.0
    return float(sum(map(operator.mul, residuals, residuals[apart:]))) / total


def _widening(residuals: Sequence[float]) -> float:
    """How much wider the error is because neighbours resemble each other. Capped: a short window cannot tell more."""
    correlation = min(max(_correlation(residuals, 1), 0.0), 0.8)
    return math.sqrt((1 + correlation) / (1 - correlation))
