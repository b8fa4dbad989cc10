"""How long steps take and how fast samples and tokens go by, from the moments at which a trainer fires its events."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTime:
    """One step. step_time_s: wait and work together. data_wait_s: the wait for its batch; None where the trainer does not show it."""

    step_time_s: float
    data_wait_s: float | None


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
        self.training_s = 0.0
        self.last: StepTime | None = None

    def start(self, now_s: float) -> None:
        """Training begins; the first step's wait counts from here."""
        self._mark_s, self._begin_s = now_s, None

    def pause(self, now_s: float) -> None:
        """Something that is not training ended now."""
        if self._begin_s is None:
            self._mark_s = now_s

    def begin(self, now_s: float) -> None:
        """A step's batch is there and its work begins."""
        self._begin_s = now_s

    def end(self, now_s: float) -> StepTime | None:
        """The step that ends now; None before `start`."""
        if self._mark_s is None:
            return None
        wait_s = None if self._begin_s is None else self._begin_s - self._mark_s
        self.last = StepTime(step_time_s=now_s - self._mark_s, data_wait_s=wait_s)
        self.training_s += self.last.step_time_s
        self._mark_s, self._begin_s = now_s, None
        return self.last


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
