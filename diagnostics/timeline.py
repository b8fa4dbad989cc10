"""Where a run stands, for all its rules: rows and events behind it, its learning rate, its planned length.

Statistics are worth little right after an event that changes what is measured: a resume, an evaluation, a checkpoint, a jump of the
learning rate, the edge of an epoch. `since` says how many rows ago one was, so that a rule about statistics can wait it out.
The engine keeps one timeline for each run in `RunContext.shared`, and feeds it before the rules.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from runvitals.diagnostics.types import Happening, RunContext, Sample

Mark = Literal["resume", "eval", "checkpoint", "rate", "epoch"]

_BY_EVENT: Mapping[str, Mark] = {"resume": "resume", "eval": "eval", "checkpoint": "checkpoint"}

_RATE_JUMP = 1.2
"""A learning rate that changes by a fifth between two rows has jumped."""

_SETTLED = 3
"""Rows without a new highest learning rate after which the warm-up is over."""


class Timeline:
    """rows: training rows so far. rate: newest learning rate, NaN before the first; peak_rate: the highest so far, 0 before.

    resumes, jumps, epochs: how often the run was resumed or went back, its rate jumped, and an epoch ended.
    """

    def __init__(self, max_steps: int | None) -> None:
        """Nothing seen yet. max_steps: planned steps, None where they are not known."""
        self.max_steps = max_steps if max_steps and max_steps > 0 else None
        self.rows = 0
        self.step: int | None = None
        self.rate = math.nan
        self.peak_rate = 0.0
        self._peak_row = 0
        self._epoch = math.nan
        self._marked: dict[Mark, int] = {}
        self.resumes = self.jumps = self.epochs = 0

    @classmethod
    def of_run(cls, context: RunContext) -> Timeline:
        """The timeline of a run; a new one where there is none yet."""
        found = context.shared.get("timeline")
        if not isinstance(found, cls):
            found = context.shared["timeline"] = cls(context.max_steps)
        return found

    def read(self, sample: Sample) -> None:
        """Takes a row. Samples of the machine, which have no step, and rows of other ranks or of one's own keys say nothing here."""
        step, signals = sample.step, sample.signals
        if step is None or not signals:
            return
        if self.step is not None and step < self.step:
            self._mark("resume")
        self.step = step
        if "eval_loss" in signals:
            self._mark("eval")
            return
        self.rows += 1
        rate = signals.get("learning_rate")
        if rate is not None and rate - rate == 0.0:
            self._take_rate(rate)
        epoch = signals.get("epoch")
        if epoch is not None and epoch - epoch == 0.0:
            if math.floor(epoch) != math.floor(self._epoch if self._epoch == self._epoch else epoch):
                self._mark("epoch")
            self._epoch = epoch

    def happen(self, happening: Happening) -> None:
        """Takes an event."""
        kind = happening.kind
        mark = _BY_EVENT.get(kind)
        if mark is not None:
            self._mark(mark)
        elif kind == "trainer":
            steps = happening.data.get("max_steps")
            if isinstance(steps, int | float) and steps > 0:
                self.max_steps = int(steps)

    def since(self, *marks: Mark) -> float:
        """Rows since the newest of these events, infinite where there was none."""
        newest = -math.inf
        for mark in marks:
            newest = max(newest, self._marked.get(mark, -math.inf))
        return self.rows - newest

    @property
    def epoch(self) -> float:
        """Passes over the data, NaN where they are not logged."""
        return self._epoch

    @property
    def progress(self) -> float | None:
        """Share of the planned steps that is done, None where their number is not known."""
        return None if self.max_steps is None or self.step is None else self.step / self.max_steps

    @property
    def warming_up(self) -> bool:
        """True while the learning rate still reaches new heights."""
        return self.peak_rate > 0.0 and self.rate >= self.peak_rate and self.rows - self._peak_row < _SETTLED

    def _mark(self, mark: Mark) -> None:
        self._marked[mark] = self.rows
        self.resumes += mark == "resume"
        self.jumps += mark == "rate"
        self.epochs += mark == "epoch"

    def _take_rate(self, rate: float) -> None:
        before, self.rate = self.rate, rate
        if rate > self.peak_rate:
            self.peak_rate = rate
            self._peak_row = self.rows
        if before == before and before != rate and not before / _RATE_JUMP <= rate <= before * _RATE_JUMP:
            self._mark("rate")
