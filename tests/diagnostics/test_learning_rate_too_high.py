"""A loss that falls with the learning rate, and hardly before, was kept from falling by it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.types import Alert, RunContext
from tests.diagnostics.faults import to_rows

ROWS = 200


def linear(done: float) -> float:
    """A schedule that falls to 0, as a share of the peak."""
    return min(1.0, 20 * done) * (1 - done)


def held_then_decayed(done: float) -> float:
    """A schedule that decays in the last fifth only."""
    return min(1.0, 20 * done, 5 * (1 - done))


def power_law(done: float) -> float:
    """A healthy loss."""
    return 2.0 + 4.0 * (1 + 40 * done) ** -1.0


def stuck_until_the_rate_falls(done: float) -> float:
    """What thirty times the rate made of a pre-training run: 2.0 at half of the run, 1.1 at its end."""
    return 2.2 - 0.2 * done if done < 0.5 else 2.1 - 2.0 * (done - 0.5)


def told(
    loss: Callable[[float], float],
    schedule: Callable[[float], float] = linear,
    *,
    trainer: str = "pretrain",
    rows: int = ROWS,
    seed: int = 1,
    noise: float = 0.03,
) -> list[Alert]:
    """The alerts of the rule over a run; loss and schedule are functions of the share that is done."""
    draw = random.Random(seed)
    values: list[dict[str, float | None]] = [
        {"loss": loss(place / rows) * math.exp(draw.gauss(0, noise)), "learning_rate": 0.1 * schedule(place / rows)}
        for place in range(1, rows + 1)
    ]
    engine = Engine(default_rules(), RunContext(run_id="run", trainer=trainer, max_steps=rows))
    for row in to_rows(values):
        engine.feed(row)
    assert not [state.error for state in engine.states() if state.error]
    return [alert for alert in engine.alerts() if alert.rule == "learning_rate_too_high"]


@pytest.mark.parametrize("rows", [25, 50, 200, 2_000])
def test_loss_that_falls_with_the_rate_is_a_warning(rows: int) -> None:
    (alert,) = told(stuck_until_the_rate_falls, rows=rows)
    assert alert.severity == "warning"
    assert 0.5 * rows <= (alert.onset_step or 0) < (alert.fired_step or 0) <= 0.92 * rows


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("schedule", [linear, held_then_decayed])
def test_healthy_losses_say_nothing(schedule: Callable[[float], float], seed: int) -> None:
    assert told(power_law, schedule, seed=seed) == []
    assert told(lambda done: 2.0 + 4.0 * math.exp(-3 * done), schedule, seed=seed) == []  # a slow learner


def test_what_a_decay_brings_to_a_healthy_run_is_none() -> None:
    assert told(lambda done: power_law(done) * (1 - 0.45 * max(0.0, done - 0.8)), held_then_decayed) == []


def test_loss_that_rose_before_the_decay_only_comes_back() -> None:
    assert told(lambda done: 3.0 if 0.3 < done < 0.6 else 2.0) == []


def test_noise_as_large_as_the_fall_says_nothing() -> None:
    assert told(lambda done: 2.0 if done < 0.5 else 1.6, noise=0.3) == []


def test_fine_tuning_and_constant_rates_are_not_judged() -> None:
    assert told(stuck_until_the_rate_falls, trainer="sft") == []
    assert told(stuck_until_the_rate_falls, lambda done: 1.0) == []
