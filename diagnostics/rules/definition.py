"""What the rules share: how one is put together, and how it says what it says."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from runvitals.diagnostics.types import (
    Cause,
    Detector,
    Evidence,
    Happening,
    Number,
    Pulse,
    Reading,
    RuleSpec,
    RunContext,
    Sample,
    Severity,
)

REINFORCED: tuple[str, ...] = ("ppo", "grpo", "rloo")
"""Trainers whose loss is no measure of progress."""

SUPERVISED: tuple[str, ...] = ("pretrain", "sft", "reward", "dpo", "kto", "orpo", "custom")
"""Trainers that bring a loss down. A custom run counts as one: its `loss` is the only thing it can be judged by."""

STATISTICAL: tuple[str, ...] = (
    "loss_spike", "loss_divergence", "grad_norm_explosion", "kl_blowup", "entropy_collapse", "zero_advantage_groups",
    "margin_too_small", "margin_inverted", "margin_fluctuating", "margin_stagnant", "margin_saturated", "margin_falling",
    "likelihood_displacement", "grad_norm_vanishing", "not_learning", "loss_plateau", "overfit", "underfit", "epoch_staircase",
    "entropy_explosion", "ratio_blowup", "clipping_excessive", "value_collapse", "reward_collapse", "reward_flat",
    "reward_overoptimisation", "reward_model_at_chance", "noisy_labels", "reward_constant",
    "pairs_memorised", "reward_scale_drift",
    "learning_rate_too_high",
)  # fmt: skip
"""Rules that only compare numbers with numbers, and so follow from any cause that spoils all numbers."""

OK = Reading(state="ok")
NEAR = Reading(state="ok", clear=False)
"""Neither bad nor below the lower line: a firing alert goes on."""


@dataclass(slots=True)
class Definition:
    """A rule: what it is, and what makes its detector for a run."""

    spec: RuleSpec
    make: Callable[[RunContext], Detector]

    def start(self, context: RunContext) -> Detector:
        """A detector that has seen nothing of this run."""
        return self.make(context)


class RowDetector:
    """A detector that reads rows only: events and time say nothing to it."""

    def update(self, sample: Sample) -> Reading | None:
        """Takes a row; see `Detector`."""
        raise NotImplementedError

    def happen(self, happening: Happening) -> Reading | None:
        """Events say nothing here."""
        return None

    def pulse(self, pulse: Pulse) -> Reading | None:
        """Time says nothing here."""
        return None


def bad(
    severity: Severity,
    sentence: str,
    numbers: Sequence[Number],
    *,
    since: int | None,
    step: int | None,
    causes: Sequence[Cause] = (),
) -> Reading:
    """The reading of a condition that began at step `since`."""
    return Reading(
        state="bad",
        severity=severity,
        sentence=sentence,
        evidence=Evidence(numbers=tuple(numbers), window=(since, step)),
        causes=tuple(causes),
        onset_step=since,
    )


def too_few(needed: int, have: int, what: str) -> Reading:
    """The reading of a detector that has not seen enough."""
    return Reading(state="unknown", reason=f"needs {counted(needed, 'point')} of {what}, has {have}")


def counted(number: float, word: str) -> str:
    """A finite number of things in words: 1 row, 20 rows, 1.5 rows."""
    return f"{number:,.0f} {word}{'' if number == 1 else 's'}" if number == int(number) else f"{short(number)} {word}s"


def is_finite(value: float | None) -> bool:
    """True for a number, false for None, NaN and Inf."""
    return value is not None and value - value == 0.0


def short(value: float) -> str:
    """A number in words, three digits and a real minus: 0.0512, −12.3, 8.81e+03, NaN. A zero has no sign."""
    if math.isnan(value):
        return "NaN"
    return f"{'−' if value < 0 else ''}{abs(value):.3g}"


def lasting(seconds: float) -> str:
    """A span of time as a sentence has it, in the two largest units that say something: 45 s, 20 min, 3 h 5 min, 2 days 4 h."""
    if not math.isfinite(seconds):
        return f"{short(seconds)} s"
    if seconds < 119.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} days {hours} h" if hours else f"{days} days"


def at(step: int | None) -> str:
    """Where in the run, in words."""
    return "at an unknown step" if step is None else f"at step {step:,}"
