"""How faults get into a run: by their cause, in the data, the loader, the schedule or the weights, never in the logs."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from runvitals.trainers.recipes.faults import ONSET, Fault

RAMP_PER_STEP = 1.08
SLOW_BATCH_S = 0.5

Row = dict[str, Any]


def spoil_pairs(rows: Sequence[Row], fault: Fault | None, *, seed: int) -> list[Row]:
    """The rows with `chosen` and `rejected` swapped in all of them, in a random half, or in none."""
    rng = random.Random(seed)
    if fault is Fault.FLIPPED_LABELS:
        return [_swapped(row) for row in rows]
    if fault is Fault.SHUFFLED_LABELS:
        return [_swapped(row) if rng.random() < 0.5 else row for row in rows]
    return list(rows)


def _swapped(row: Row) -> Row:
    return {**row, "chosen": row["rejected"], "rejected": row["chosen"]}


def spoil_settings(arguments: TrainingArguments, fault: Fault | None) -> None:
    """Changes the settings that a fault is made of, before the trainer reads them."""
    if fault is Fault.ZERO_LR:
        arguments.learning_rate = 0.0
    if fault is Fault.LR_RAMP:
        arguments.max_grad_norm = 0.0
    if fault is Fault.REWARD_HACK:
        if hasattr(arguments, "kl_coef"):  # PPO
            arguments.kl_coef = 0.0
        else:
            arguments.beta = 0.0


class FaultCallback(TrainerCallback):  # type: ignore[misc]  # transformers is not followed by mypy
    """Knows whether the fault has begun, and brings in those that live in the schedule or the weights."""

    def __init__(self, fault: Fault | None) -> None:
        self.fault = fault
        self.onset_step: int | None = None
        self.has_begun = False

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.onset_step = max(1, round(ONSET * state.max_steps))
        if self.fault is Fault.LR_RAMP:
            ramp_schedule(kwargs["lr_scheduler"], onset_step=self.onset_step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        begins = not self.has_begun and self.onset_step is not None and state.global_step >= self.onset_step
        self.has_begun = self.has_begun or begins
        if begins and self.fault is Fault.NAN:
            break_weight(kwargs["model"])


def ramp_schedule(scheduler: Any, *, onset_step: int) -> None:
    """Makes the schedule grow by RAMP_PER_STEP a step from the onset on, from the value that it has there."""
    schedule = getattr(scheduler, "scheduler", scheduler)  # accelerate wraps it
    schedule.lr_lambdas = [_ramped(factor, onset_step) for factor in schedule.lr_lambdas]


def _ramped(factor: Callable[[int], float], onset_step: int) -> Callable[[int], float]:
    def ramped(step: int) -> float:
        return float(factor(min(step, onset_step)) * RAMP_PER_STEP ** max(0, step - onset_step))

    return ramped


def break_weight(model: torch.nn.Module) -> None:
    """Sets one trainable weight to NaN, as an overflow in half precision or a faulty chip does."""
    weight = [parameter for parameter in model.parameters() if parameter.requires_grad][-1]
    with torch.no_grad():
        weight.view(-1)[0] = torch.nan


class FaultyCollator:
    """A collator that is slow, hangs or raises once the fault has begun, and is the given collator until then."""

    def __init__(self, collate: Callable[[list[Any]], Any], clock: FaultCallback) -> None:
        self.collate = collate
        self.clock = clock

    def __call__(self, rows: list[Any]) -> Any:
        if self.clock.has_begun:
            if self.clock.fault is Fault.SLOW_LOADER:
                time.sleep(SLOW_BATCH_S)
            if self.clock.fault is Fault.HANG:
                threading.Event().wait()
            if self.clock.fault is Fault.CRASH:
                raise ValueError("injected crash: this row cannot be read")
        return self.collate(rows)


class PaceCallback(TrainerCallback):  # type: ignore[misc]  # transformers is not followed by mypy
    """Makes each step last at least `pace_s` seconds, so that a toy run can be watched while it moves.

    Counted from the step's begin where the trainer tells it, else from the end of the step before: what lies between two steps
    (an evaluation, a reading of the probe) must not make the next one look fast.
    """

    def __init__(
        self,
        pace_s: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.pace_s = pace_s
        self._clock = clock
        self._sleep = sleep
        self._began_s = 0.0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._began_s = self._clock()

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._began_s = self._clock()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        left_s = self._began_s + self.pace_s - self._clock()
        if left_s > 0:
            self._sleep(left_s)
        self._began_s = self._clock()
