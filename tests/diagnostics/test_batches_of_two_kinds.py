"""Small batches with a few bad labels: a loss of several levels is healthy; one that leaves all its levels is not."""

from __future__ import annotations

import math
import random

import pytest

from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.types import Alert, RunContext
from tests.diagnostics.faults import row

ROWS = 250
SEEDS = range(8)


def losses(seed: int, *, start: float, floor: float, batch: int, bad_share: float, each: float) -> list[float]:
    """A loss that falls from `start` to `floor`, and lies `each` higher, once that is reached, for every bad label of its batch."""
    draw = random.Random(seed)
    found = []
    for place in range(ROWS):
        learnt = 1.0 - math.exp(-place / 25)
        bad = sum(draw.random() < bad_share for _ in range(batch))
        found.append((start + (floor + each * bad - start) * learnt) * draw.gauss(1.0, 0.02))
    return found


def alerts(values: list[float], trainer: str) -> list[Alert]:
    """What the rules about the course of a loss say, information left out."""
    rules = [rule for rule in default_rules() if rule.spec.name in ("loss_divergence", "loss_spike")]
    engine = Engine(rules, RunContext(run_id="run", trainer=trainer, max_steps=ROWS))
    for step, loss in enumerate(values, 1):
        engine.feed(row(step, loss=loss))
    return [alert for alert in engine.alerts() if alert.severity != "info"]


def answers(seed: int, batch: int) -> list[float]:
    """Fine-tuning on short answers, one in ten of them noise."""
    return losses(seed, start=3.6, floor=0.4, batch=batch, bad_share=0.1, each=1.8 / batch)


def pairs(seed: int, batch: int) -> list[float]:
    """DPO with one label in twenty flipped."""
    return losses(seed, start=0.693, floor=0.13, batch=batch, bad_share=0.05, each=2.0 / batch)


@pytest.mark.parametrize("batch", (4, 8, 16))
@pytest.mark.parametrize("seed", SEEDS)
def test_a_loss_of_several_levels_is_neither_divergence_nor_spikes(seed: int, batch: int) -> None:
    assert alerts(answers(seed, batch), "sft") == []
    assert alerts(pairs(seed, batch), "dpo") == []


@pytest.mark.parametrize("seed", SEEDS)
def test_a_loss_that_leaves_all_its_levels_has_diverged(seed: int) -> None:
    values = [
        loss * math.exp(max(0, place - 150) / 20) for place, loss in enumerate(answers(seed, batch=8))
    ]  # times e every 20 rows
    (found,) = [alert for alert in alerts(values, "sft") if alert.rule == "loss_divergence"]
    assert found.severity == "critical"
    assert found.fired_step is not None and 150 < found.fired_step < 220


def test_rare_spikes_that_return_are_a_warning_though_batches_differ() -> None:
    values = answers(1, batch=8)
    for place in (120, 145, 190, 230):
        values[place] = 60.0
    (found,) = alerts(values, "sft")
    assert (found.rule, found.severity, found.fired_step) == ("loss_spike", "warning", 231)


def test_the_limit_that_is_shown_is_the_one_that_was_passed() -> None:
    values = [loss * (3.0 if place > 150 else 1.0) for place, loss in enumerate(answers(3, batch=16))]
    (found,) = [alert for alert in alerts(values, "sft") if alert.rule == "loss_divergence"]
    now, best, noise, *_ = found.evidence.numbers
    limit = float(now.expected.removeprefix("at most "))
    assert limit == pytest.approx(best.value * math.exp(max(math.log(1.1), 3 * noise.value / 100)), rel=0.01)
    assert best.value < limit < now.value
