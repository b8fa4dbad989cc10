from __future__ import annotations

import copy
import pickle
from typing import Any

import torch

from runvitals.trainers.forward import MOST_PASSES, ClockWatch, DeviceWatch, forward_clock
from runvitals.trainers.guard import Guard


def guard(reports: list[dict[str, Any]] | None = None) -> Guard:
    return Guard((reports if reports is not None else []).append)


class Ticks:
    """A clock that goes on by a second whenever it is asked."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 1.0
        return self.now_s


def test_passes_of_a_step_are_summed_up() -> None:
    model = torch.nn.Linear(2, 2)
    clock = forward_clock(model, guard(), clock=Ticks())
    assert clock is not None
    for _ in range(3):
        model(torch.ones(1, 2))
    assert clock.take() == 3.0
    assert clock.take() is None


def test_evaluation_generation_and_the_probe_do_not_count() -> None:
    model = torch.nn.Linear(2, 2)
    clock = forward_clock(model, guard(), clock=Ticks())
    assert clock is not None
    with torch.no_grad():
        model(torch.ones(1, 2))
    model.eval()(torch.ones(1, 2))
    assert clock.take() is None


def test_the_hooks_go_when_training_ends() -> None:
    model = torch.nn.Linear(2, 2)
    clock = forward_clock(model, guard(), clock=Ticks())
    assert clock is not None
    clock.remove()
    model(torch.ones(1, 2))
    assert clock.take() is None
    assert not model._forward_hooks
    assert not model._forward_pre_hooks


def test_a_model_with_our_hooks_can_be_copied_and_pickled() -> None:
    model = torch.nn.Linear(2, 2)
    clock = forward_clock(model, guard(), clock=Ticks())
    assert clock is not None
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(twin(torch.ones(1, 2)), model.eval()(torch.ones(1, 2)))
    assert clock.take() is None


def test_a_hook_that_fails_lets_the_pass_go_on() -> None:
    def broken() -> float:
        raise OSError("no clock")

    reports: list[dict[str, Any]] = []
    model = torch.nn.Linear(2, 2)
    clock = forward_clock(model, guard(reports), clock=broken)
    assert clock is not None
    for _ in range(5):
        assert model(torch.ones(1, 2)).shape == (1, 2)
    assert reports[0]["where"] == "forward"
    assert clock.take() is None


def test_compiled_sharded_and_empty_models_are_left_alone() -> None:
    model = torch.nn.Linear(2, 2)
    assert forward_clock(model, guard(), compiles=True) is None
    taken_apart = torch.nn.Linear(2, 2)  # as ZeRO-3 leaves it: the weights are elsewhere
    taken_apart.weight.data = torch.empty(0)
    assert forward_clock(taken_apart, guard()) is None
    assert forward_clock(torch.nn.Identity(), guard()) is None
    model.compile(backend="eager")
    assert forward_clock(model, guard()) is None
    assert not model._forward_hooks


class Event:
    """An event as torch.cuda has them: `done` once the device has come to it; times in milliseconds."""

    made: list[Event]

    def __init__(self) -> None:
        self.done = False
        self.at_ms = 0.0
        Event.made.append(self)

    def record(self) -> None:
        self.at_ms = 10.0 * len(Event.made)

    def query(self) -> bool:
        return self.done

    def elapsed_time(self, other: Event) -> float:
        assert self.done
        assert other.done
        return other.at_ms - self.at_ms


def passes(watch: DeviceWatch, count: int) -> None:
    for _ in range(count):
        watch.begin()
        watch.end()


def test_a_device_is_read_when_it_has_come_to_the_end_of_a_step_and_never_waited_for() -> None:
    Event.made = []
    watch = DeviceWatch(Event)
    passes(watch, 2)
    assert watch.take() is None
    for event in Event.made:
        event.done = True
    passes(watch, 1)
    assert watch.take() == 0.02  # of the step before: two passes of 10 ms
    assert watch.take() is None


def test_a_device_that_is_far_behind_costs_no_memory() -> None:
    Event.made = []
    watch = DeviceWatch(Event)
    for _ in range(100):
        passes(watch, 1)
        assert watch.take() is None
    assert len(watch._steps) <= 8


def test_a_step_of_more_passes_than_are_kept_has_no_time() -> None:
    Event.made = []
    watch = DeviceWatch(Event)
    passes(watch, MOST_PASSES + 1)
    for event in Event.made:
        event.done = True
    assert watch.take() is None


def test_no_pass_is_no_time() -> None:
    assert ClockWatch(Ticks()).take() is None
