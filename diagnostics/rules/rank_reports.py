"""What each rank spends of a step itself, compared over stretches of steps.

In synchronous training all steps take equally long, since every rank waits in the reduction of gradients for the last one. What a rank spends before it comes
there is its own: the wait for its batch, and the forward pass. The backward pass is not known apart from the waiting.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runvitals.diagnostics.baseline import SortedWindow
from runvitals.diagnostics.rank_rows import DATA_WAIT, FORWARD_TIME, NUMBER, STEP, STEP_TIME
from runvitals.diagnostics.types import Sample

STEPS = 20
SPAN_S = 30.0
"""A report covers so many steps and so much time at least: what else a machine does comes and goes within half a minute."""

_LEAST_ROWS = 10
_MOST_ROWS = 256
"""Rows kept of a rank; of more, every second, every fourth … by their steps, so that it does not matter in which order ranks come."""

_ERROR_OF_MEDIAN = math.sqrt(math.pi / 2)
"""Standard error of a median over that of a mean, for values that scatter normally."""

_OWN = {STEP_TIME: "perf/step_time_s", DATA_WAIT: "perf/data_wait_s", FORWARD_TIME: "perf/forward_time_s"}
"""The first rank's keys for what the others' rows hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Of one rank in one report: medians in seconds. wait_s, forward_s: NaN where that is not known of all ranks. error_s: of their sum."""

    step_s: float
    wait_s: float
    forward_s: float
    error_s: float

    @property
    def own_s(self) -> float:
        """What the rank spends itself, as far as it is known."""
        return sum(part for part in (self.wait_s, self.forward_s) if part == part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The ranks over one stretch of steps. begin: its first step; ranks: at least two."""

    begin: int
    ranks: Mapping[int, Spent]

    @property
    def best(self) -> int:
        """The rank that spends least."""
        return min(self.ranks, key=lambda rank: (self.ranks[rank].own_s, rank))


Row = tuple[int, float, float, float]
"""Step, seconds of it, of the wait, of the forward pass; NaN where not logged."""


class _Kept:
    """The newest rows of one rank that are in no report yet."""

    __slots__ = ("_stride", "rows")

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._stride = 1

    def add(self, row: Row) -> None:
        if row[0] % self._stride:
            return
        self.rows.append(row)
        if len(self.rows) > _MOST_ROWS:
            self._stride *= 2
            self.rows = [kept for kept in self.rows if kept[0] % self._stride == 0]

    def take(self, begin: int, end: int) -> list[Row]:
        taken = [row for row in self.rows if begin <= row[0] < end]
        self.rows = [row for row in self.rows if row[0] >= end]
        if len(taken) < 4 * _LEAST_ROWS:
            self._stride = 1  # steps have become slower: a stretch has fewer of them, and all are wanted
        return taken


class Reports:
    """Cuts a run into stretches and compares its ranks over each.

    The first rank's rows say where a stretch ends, and it is reported when the next one has ended too: by then the others' rows of it have
    come, in whatever order a watcher finds them. The first stretch is the warm-up and is not reported.
    """

    def __init__(self) -> None:
        self._kept: dict[int, _Kept] = {}
        self._begun: tuple[int, float] | None = None
        self._due: tuple[int, int] | None = None
        self._warm = False

    @property
    def has_ranks(self) -> bool:
        """Whether another rank than the first was heard of."""
        return bool(self._kept)

    def clear(self) -> None:
        """Forgets everything but which ranks there are."""
        for kept in self._kept.values():
            kept.rows.clear()
        self._begun, self._due, self._warm = None, None, False

    def other(self, sample: Sample) -> None:
        """Takes a row of another rank; see `rank_rows`."""
        raw = sample.raw
        rank, step = raw.get(NUMBER), raw.get(STEP)
        if rank is not None and step is not None:
            self._add(int(rank), int(step), [raw.get(key) for key in _OWN])

    def first(self, sample: Sample, step: int) -> tuple[bool, Report | None]:
        """Takes a row of the first rank. Whether a stretch was due, and its report; None where too little is known of two ranks."""
        raw = sample.raw
        if self._kept:
            self._add(0, step, [raw.get(key) for key in _OWN.values()])
        if self._begun is None:
            self._begun = step, sample.time_s
            return False, None
        begin, begin_s = self._begun
        if step < begin + STEPS or sample.time_s < begin_s + SPAN_S:
            return False, None
        due, self._due = self._due, (begin, step) if self._warm else None
        self._begun, self._warm = (step, sample.time_s), True
        return due is not None, None if due is None else self._report(*due)

    def _add(self, rank: int, step: int, values: Sequence[float | None]) -> None:
        whole_s, wait_s, forward_s = (value if value is not None and value >= 0.0 else math.nan for value in values)
        self._kept.setdefault(rank, _Kept()).add((step, whole_s, wait_s, forward_s))

    def _report(self, begin: int, end: int) -> Report | None:
        rows = {rank: kept.take(begin, end) for rank, kept in self._kept.items()}
        columns = {
            rank: [_windowed([row[place] for row in found]) for place in (1, 2, 3)]
            for rank, found in rows.items()
            if len(found) >= _LEAST_ROWS
        }
        known = [all(len(told[part]) >= _LEAST_ROWS for told in columns.values()) for part in (0, 1, 2)]
        if len(columns) < 2 or not known[0] or not any(known[1:]):
            return None
        return Report(begin=begin, ranks={rank: _spent(told, known) for rank, told in columns.items()})


def _windowed(values: Sequence[float]) -> SortedWindow:
    window = SortedWindow(max(len(values), 1))
    for value in values:
        window.add(value)
    return window


def _spent(columns: Sequence[SortedWindow], known: Sequence[bool]) -> Spent:
    whole, *parts = columns
    medians = [part.median() if is_known else math.nan for part, is_known in zip(parts, known[1:], strict=True)]
    errors = [
        _ERROR_OF_MEDIAN * part.spread() / math.sqrt(len(part))
        for part, is_known in zip(parts, known[1:], strict=True)
        if is_known
    ]
    return Spent(step_s=whole.median(), wait_s=medians[0], forward_s=medians[1], error_s=math.hypot(*errors))
