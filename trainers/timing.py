"""How long steps take and how fast samples and tokens go by, from the moments at which a trainer fires its events."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTime:
    """One step. step_time_s: wait and work together. Its parts, each None where the trainer does not show it:

    data_wait_s: the wait for its batch. optimizer_time_s: the optimiser's own step. generation_time_s: all before the first step of the
    optimiser, where an update consists of many. forward_time_s: the forward passes, where several processes train; see `forward`.
    """

    step_time_s: float
    data_wait_s: float | None
    optimizer_time_s: float | None = None
    generation_time_s: float | None = None
    forward_time_s: float | None = None

    def times(self) -> dict[str, float]:
        """What is known of it, as it is logged."""
        parts = {
            "perf/step_time_s": self.step_time_s,
            "perf/data_wait_s": self.data_wait_s,
            "perf/optimizer_time_s": self.optimizer_time_s,
            "perf/generation_time_s": self.generation_time_s,
            "perf/forward_time_s": self.forward_time_s,
        }
        return {key: value for key, value in parts.items() if value is not None}

    def row(self, samples: float) -> dict[str, float]:
        """The same with the samples a second; samples: how many a step trains on, over all processes."""
        rate = {"perf/samples_per_s": samples / self.step_time_s} if self.step_time_s > 0 else {}
        return {**self.times(), **rate}


class StepTimer:
    """Times steps; every method takes the moment from a monotonic clock, in seconds.

    A step runs from the end of the one before to its own end, less what lay between and was no training: logging, evaluation,
    saving and our own probe, each of which ends in a `pause`. transformers.Trainer fetches batches before it fires `begin`, so the gap before
    `begin` is the wait for data; TRL's PPO never fires `begin`, and only the whole is known.

    On a GPU kernels are queued: a single step's time is the time to queue it, and only the mean over the steps between two
    synchronisations (the trainer's own logging is one) is exact. We do not synchronise, because that would slow training.
    """

    def __init__(self) -> None:
        self._mark_s: float | None = None
        self._begin_s: float | None = None
        self._optimizer_s: float | None = None
        self._optimizing_since_s: float | None = None
        self._generated_s: float | None = None
        self.training_s = 0.0
        self.last: StepTime | None = None

    def start(self, now_s: float) -> None:
        """Training begins; the first step's wait counts from here."""
        self._restart(now_s)

    def pause(self, now_s: float) -> float:
        """Something that is not training ended now; how many seconds it took, 0 within a step or before `start`."""
        if self._begin_s is not None or self._mark_s is None:
            return 0.0
        took_s, self._mark_s = now_s - self._mark_s, now_s
        return took_s

    def begin(self, now_s: float) -> None:
        """A step's batch is there and its work begins."""
        self._begin_s = now_s

    def optimizer_begin(self, now_s: float) -> None:
        """The optimiser steps."""
        self._optimizing_since_s = now_s

    def optimizer_end(self, now_s: float) -> None:
        """The optimiser has stepped."""
        if self._optimizing_since_s is not None:
            self._optimizer_s = (self._optimizer_s or 0.0) + now_s - self._optimizing_since_s
            self._optimizing_since_s = None

    def generated(self, now_s: float) -> None:
        """All that comes before an update's first step of the optimiser is done; later calls within the update change nothing."""
        if self._generated_s is None and self._mark_s is not None:
            self._generated_s = now_s - self._mark_s

    def end(self, now_s: float) -> StepTime | None:
        """The step that ends now; None before `start`."""
        if self._mark_s is None:
            return None
        wait_s = None if self._begin_s is None else self._begin_s - self._mark_s
        self.last = StepTime(
            step_time_s=now_s - self._mark_s,
            data_wait_s=wait_s,
            optimizer_time_s=self._optimizer_s,
            generation_time_s=self._generated_s,
        )
        self.training_s += self.last.step_time_s
        self._restart(now_s)
        return self.last

    def _restart(self, now_s: float) -> None:
        self._mark_s, self._begin_s = now_s, None
        self._optimizer_s = self._optimizing_since_s = self._generated_s = None


class Rate:
    """How fast a counter rises per second of training, from one asking to the next."""

    def __init__(self) -> None:
        self._count: float | None = None
        self._at_s = 0.0

    def per_s(self, count: float | None, training_s: float) -> float | None:
        """Rise per second since the last asking; None on the first, without a count, without time in between, or after a fall."""
        before, before_s = self._count, self._at_s
        if count is None:
            return None
        self._count, self._at_s = count, training_s
        if before is None or training_s <= before_s or count < before:
            return None
        return (count - before) / (training_s - before_s)
