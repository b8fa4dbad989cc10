"""The gradient norm of trainers that log none (TRL's PPO), through torch's hook before every optimizer step."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from runvitals.trainers.guard import Guard
from runvitals.trainers.unwrap import unwrap_optimizer

COST_SHARE = 0.005
"""Share of the time since the watch began that measuring norms may take; beyond it optimizer steps are skipped."""


class GradientWatch:
    """Measures the 2-norm over all gradients of one optimizer before its steps, as often as its cost allows.

    PPO does not clip, so this is the norm that training sees. The hook is torch's global one, because accelerate's wrapper has none;
    it looks only at `optimizer` and leaves those of other trainers in the process alone. It holds the optimizer weakly and removes
    itself when that is gone, because no event fires when training ends by an exception.

    stepping: called before each step of the optimizer, measured or not.
    """

    def __init__(
        self,
        optimizer: Any,
        guard: Guard,
        *,
        stepping: Callable[[], None],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._guard, self._stepping, self._clock = guard, stepping, clock
        self._norms: list[torch.Tensor] = []
        self._started_s = clock()
        self._spent_s = self._cost_s = 0.0
        self.measured = self.seen = 0
        self._handle = register_optimizer_step_pre_hook(self._before_step)
        self._target = weakref.ref(unwrap_optimizer(optimizer), lambda _: self.remove())

    def remove(self) -> None:
        """Takes the hook away; may be called again."""
        self._handle.remove()

    def take(self) -> float | None:
        """Mean of the norms since the last taking; None where no step was measured. One of them NaN makes it NaN."""
        if not self._norms:
            return None
        norms, self._norms = self._norms, []
        return float(torch.stack(norms).mean().item())

    def _before_step(self, optimizer: Any, arguments: Any, named: Any) -> None:
        if optimizer is self._target():
            self._guard.call("gradients", partial(self._measure, optimizer))

    def _measure(self, optimizer: Any) -> None:
        self.seen += 1
        self._stepping()
        now_s = self._clock()
        if self.measured and self._spent_s + self._cost_s > COST_SHARE * (now_s - self._started_s):
            return
        self._norms.append(gradient_norm(optimizer))
        self.measured += 1
        self._cost_s = self._clock() - now_s
        self._spent_s += self._cost_s


def gradient_norm(optimizer: Any) -> torch.Tensor:
    """The 2-norm over all gradients of an optimizer, a scalar that stays on its device so that nothing waits for it."""
    gradients = [
        parameter.grad
        for group in optimizer.param_groups
        for parameter in group["params"]
        if parameter.grad is not None
    ]
    return torch.nn.utils.get_total_norm(gradients).detach()
