"""One training as a process sees it that is not the first: how long its steps take, and nothing that the first one tells already."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from runvitals.trainers.forward import ForwardClock
from runvitals.trainers.timing import StepTimer


class RankSession:
    """Turns a trainer's events into the times of one rank. It takes the events that `Session` takes.

    No losses, which are the same everywhere or gathered by the first rank; no config, no events, no probe. Heartbeats, samples of the machine, a
    failure and the end are the run's own doing.
    """

    def __init__(
        self, run: Any, state: Any, forward: ForwardClock | None, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.run, self._forward, self._clock = run, forward, clock
        self._timer = StepTimer()
        self._ended_step: int = state.global_step

    def begin(self) -> None:
        """Training starts now."""
        self._timer.start(self._clock())

    def step_begin(self) -> None:
        """A batch is there."""
        self._timer.begin(self._clock())

    def optimizer_begin(self) -> None:
        """The gradient is there, and clipped; the optimiser steps."""
        self._timer.optimizer_begin(self._clock())

    def optimizer_end(self) -> None:
        """The optimiser has stepped."""
        self._timer.optimizer_end(self._clock())

    def step_end(self, state: Any, control: Any, model: Any) -> None:
        """A step is done: its times are logged."""
        self._ended_step = state.global_step
        took = self._timer.end(self._clock())
        if took is not None and self._forward is not None:
            took = replace(took, forward_time_s=self._forward.take())
        if took is not None:
            self.run.log(took.times(), step=state.global_step)
        self._pause()

    def log(self, state: Any, logs: Mapping[str, Any]) -> None:
        """The trainer logged something, which the first rank tells."""
        if state.global_step == self._ended_step:
            self._pause()

    def evaluating(self) -> None:
        """An evaluation is under way."""

    def evaluated(self, state: Any, control: Any) -> None:
        """An evaluation has ended."""
        self._pause()

    def saved(self, state: Any) -> None:
        """A checkpoint has been written."""
        self._pause()

    def resumed(self, *, saving: bool) -> None:
        """Training goes on."""
        self._pause()

    def end(self, state: Any, model: Any) -> None:
        """Training has ended well."""
        self.close()

    def close(self) -> None:
        """Takes our hooks away."""
        if self._forward is not None:
            self._forward.remove()

    def _pause(self) -> None:
        self._timer.pause(self._clock())
