from __future__ import annotations

import gc
import math
from typing import Any

import pytest
import torch
from torch.optim.optimizer import _global_optimizer_pre_hooks

from runvitals.trainers.gradients import GradientWatch
from runvitals.trainers.guard import Guard


class Clock:
    """Time that passes only when it is told to."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.each_asking_s = 0.0

    def __call__(self) -> float:
        self.now_s += self.each_asking_s
        return self.now_s


def optimizer_with(*gradients: float) -> torch.optim.Optimizer:
    parameters = [torch.nn.Parameter(torch.zeros(1)) for _ in gradients]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = torch.tensor([gradient])
    return torch.optim.SGD(parameters, lr=0.0)


def watch(optimizer: Any, clock: Clock | None = None, guard: Guard | None = None) -> GradientWatch:
    return GradientWatch(optimizer, guard or Guard(lambda _: None), stepping=lambda: None, clock=clock or Clock())


def test_the_norm_is_over_all_gradients_and_the_mean_over_steps() -> None:
    optimizer = optimizer_with(3.0, 4.0)
    watching = watch(optimizer)
    optimizer.step()
    optimizer.param_groups[0]["params"][0].grad = torch.tensor([0.0])
    optimizer.step()

    assert watching.take() == pytest.approx(4.5)
    assert watching.take() is None
    watching.remove()


def test_other_optimizers_of_the_process_are_left_alone() -> None:
    mine, other = optimizer_with(1.0), optimizer_with(100.0)
    watching = watch(mine)
    other.step()
    mine.step()

    assert watching.take() == pytest.approx(1.0)
    watching.remove()


def test_nan_is_told_as_nan() -> None:
    optimizer = optimizer_with(math.nan, 1.0)
    watching = watch(optimizer)
    optimizer.step()

    norm = watching.take()
    assert norm is not None
    assert math.isnan(norm)
    watching.remove()


def test_steps_are_skipped_where_measuring_them_costs_too_much() -> None:
    clock = Clock()
    optimizer = optimizer_with(1.0)
    watching = watch(optimizer, clock)
    clock.each_asking_s = 0.001
    for _ in range(1000):
        clock.now_s += 0.05
        optimizer.step()

    assert watching.seen == 1000
    assert 100 < watching.measured < 300  # 1 ms of 50 ms is four times the share of 0.5 %
    watching.remove()


def test_the_hook_goes_with_its_optimizer() -> None:
    before = len(_global_optimizer_pre_hooks)
    optimizer = optimizer_with(1.0)
    watching = watch(optimizer)
    assert len(_global_optimizer_pre_hooks) == before + 1
    del optimizer
    gc.collect()

    assert len(_global_optimizer_pre_hooks) == before
    watching.remove()


def test_a_failure_inside_the_hook_does_not_reach_the_optimizer() -> None:
    guard = Guard(lambda _: None)
    optimizer = optimizer_with(1.0)
    watching = watch(optimizer, guard=guard)
    optimizer.param_groups[0]["params"].append("not a tensor")
    watching._before_step(optimizer, (), {})

    assert guard.counts["gradients"] == 1
    watching.remove()
