"""How long the forward passes of a step take in this process: what it spends itself before it waits for the others in the reduction of gradients."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import torch

from runvitals.trainers.guard import Guard
from runvitals.trainers.unwrap import sharding

MOST_PASSES = 256
"""Passes of one step that a device's events are kept for; a step of more is not timed."""

STEPS_UNDER_WAY = 8
"""Steps that a device may be behind; the times of older ones are forgotten."""


class Watch(Protocol):
    """A stopwatch for the passes of a step."""

    def begin(self) -> None: ...
    def end(self) -> None: ...
    def take(self) -> float | None: ...


class ClockWatch:
    """For models on the CPU, where a pass is done when its call returns."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._begun_s = 0.0
        self._spent_s: float | None = None

    def begin(self) -> None:
        """A pass begins."""
        self._begun_s = self._clock()

    def end(self) -> None:
        """It has ended."""
        self._spent_s = (self._spent_s or 0.0) + self._clock() - self._begun_s

    def take(self) -> float | None:
        """Seconds since the last taking; None where no pass was seen."""
        spent_s, self._spent_s = self._spent_s, None
        return spent_s


class DeviceWatch:
    """For models on a GPU: events in the device's own queue, read when they have come to pass. Nothing waits for them.

    event: makes an event with timing, as torch.cuda.Event.
    """

    def __init__(self, event: Callable[[], Any]) -> None:
        self._event = event
        self._begun: Any = None
        self._passes: list[tuple[Any, Any]] = []
        self._steps: deque[list[tuple[Any, Any]]] = deque(maxlen=STEPS_UNDER_WAY)
        self._seen = 0

    def begin(self) -> None:
        """A pass is put into the queue."""
        self._seen += 1
        if self._seen <= MOST_PASSES:
            self._begun = self._event()
            self._begun.record()

    def end(self) -> None:
        """All of it is in the queue."""
        if self._begun is not None:
            ended = self._event()
            ended.record()
            self._passes.append((self._begun, ended))
            self._begun = None

    def take(self) -> float | None:
        """Seconds of the newest step that the device has done, which may be an earlier one than that which ends now; None where none is new."""
        self._steps.append(self._passes if self._seen <= MOST_PASSES else [])
        self._passes, self._begun, self._seen = [], None, 0
        newest: float | None = None
        while self._steps and all(ended.query() for _, ended in self._steps[0]):
            passes = self._steps.popleft()
            if passes:
                newest = sum(begun.elapsed_time(ended) for begun, ended in passes) / 1000
        return newest


class ForwardClock:
    """Times the forward passes that a model learns from, by hooks of its own; evaluation, generation and our probe are left out.

    guard: whatever fails in a hook is its business. remove() takes the hooks away.
    """

    def __init__(self, model: Any, watch: Watch, guard: Guard) -> None:
        self._watch, self._guard = watch, guard
        self._handles = (
            model.register_forward_pre_hook(_Hook(partial(self._note, watch.begin))),
            model.register_forward_hook(_Hook(partial(self._note, watch.end))),
        )

    def take(self) -> float | None:
        """Seconds that the forward passes of a step took; None where it is not known."""
        taken: float | None = self._guard.call("forward", self._watch.take)
        return taken

    def remove(self) -> None:
        """Takes the hooks away; may be called again."""
        for handle in self._handles:
            handle.remove()

    def _note(self, what: Callable[[], None], model: Any) -> None:
        if model.training and torch.is_grad_enabled():
            self._guard.call("forward", what)


class _Hook:
    """A hook that a copy of the model does not take along: it may be copied and pickled with it, and the copy's does nothing."""

    def __init__(self, call: Callable[[Any], None]) -> None:
        self._call = call

    def __call__(self, model: Any, *_: Any) -> None:
        self._call(model)

    def __reduce__(self) -> tuple[Any, ...]:
        return _Hook, (nothing,)


def nothing(model: Any) -> None:
    """What the hooks of a copy do."""


def forward_clock(
    model: Any, guard: Guard, *, compiles: bool = False, clock: Callable[[], float] = time.perf_counter
) -> ForwardClock | None:
    """A clock for the model's forward passes; None where they say nothing of this process alone, or where a hook would be in the way.

    Sharded weights are fetched from the others within the pass; torch.compile would trace our hooks. compiles: whether the trainer compiles it.
    """
    if compiles or hasattr(model, "_orig_mod") or getattr(model, "_compiled_call_impl", None) is not None:
        return None
    first = next(model.parameters(), None)
    if first is None or sharding(model) is not None:
        return None
    if first.device.type == "cpu":
        return ForwardClock(model, ClockWatch(clock), guard)
    if first.device.type == "cuda":
        return ForwardClock(model, DeviceWatch(partial(torch.cuda.Event, enable_timing=True)), guard)
    return None
