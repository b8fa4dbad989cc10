"""Margins that are saturated, displaced or falling: what fires and what must not."""

from __future__ import annotations

import random

import pytest

from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.rules import margin, margin_late
from runvitals.diagnostics.types import Alert, Row, RunContext

Values = dict[str, float | None]


def alerts(rows: list[Values], *, trainer: str = "dpo", **config: float) -> list[Alert]:
    """What the margin rules say of rows at steps 1, 2, …"""
    rules = (*margin.RULES, *margin_late.RULES)
    engine = Engine(rules, RunContext(run_id="run", trainer=trainer, config=config, max_steps=len(rows)))
    for step, values in enumerate(rows, 1):
        engine.feed(Row(time_s=float(step), step=step, values=values))
    assert [state for state in engine.states() if state.error] == []
    return engine.alerts()


def rising(count: int = 160, *, seed: int = 1, logps: float = -300.0, lost: float = 0.0) -> list[Values]:
    """A run whose margin rises to 2; chosen answers lose so many nats in all."""
    draw = random.Random(seed)
    return [
        {
            "loss": 0.5,
            "rewards/margins": 2 * step / count + draw.gauss(0, 0.05),
            "rewards/accuracies": 0.85 + draw.gauss(0, 0.03),
            "rewards/chosen": -0.1 * lost * step / count,
            "logps/chosen": logps - lost * step / count + draw.gauss(0, 3.0),
        }
        for step in range(count)
    ]


@pytest.mark.parametrize("seed", range(5))
def test_chosen_answers_that_become_impossible_are_a_warning_under_any_beta(seed: int) -> None:
    for config in ({}, {"beta": 0.1}, {"beta": 0.001}):
        found = alerts(rising(seed=seed, logps=-60.0, lost=900.0), **config)
        assert [(alert.rule, alert.severity) for alert in found] == [("likelihood_displacement", "warning")]
    assert "log-probability went from" in found[0].sentence


@pytest.mark.parametrize(("logps", "lost"), [(-300.0, 0.0), (-300.0, 90.0), (-7.0, 22.0), (-900.0, 300.0)])
def test_slow_falls_of_chosen_answers_are_benign(logps: float, lost: float) -> None:
    assert alerts(rising(logps=logps, lost=lost)) == []


def test_displacement_goes_on_where_it_levels_off_and_ends_where_it_is_undone() -> None:
    rows = rising(logps=-60.0, lost=900.0)
    flat = [{**rows[-1], "rewards/margins": 2.0 + 0.001 * n} for n in range(200)]
    assert [alert.state for alert in alerts(rows + flat)] == ["firing"]
    healed = [{**rows[-1], "logps/chosen": -60.0, "rewards/chosen": 0.0, "rewards/margins": 2.0} for _ in range(400)]
    assert alerts(rows + healed)[0].state == "resolved"


def won(count: int = 160) -> list[Values]:
    """A run that wins every training pair."""
    draw = random.Random(2)
    return [
        {"loss": 0.02, "rewards/margins": 4 + step / 40 + draw.gauss(0, 0.1), "rewards/accuracies": 1.0}
        for step in range(count)
    ]


def held_out(rows: list[Values], margins: list[float], accuracy: float) -> list[Values]:
    """The same with an evaluation at equal distances."""
    every = len(rows) // len(margins)
    made: list[Values] = []
    for place, row in enumerate(rows):
        made.append(row)
        if place % every == every - 1:
            made.append({"eval_rewards/margins": margins[place // every], "eval_rewards/accuracies": accuracy})
    return made


def test_all_pairs_won_is_information_without_held_out_pairs_and_nothing_where_they_are_won() -> None:
    assert [(alert.rule, alert.severity) for alert in alerts(won())] == [("margin_saturated", "info")]
    assert alerts(held_out(won(), [3.0 + n / 20 for n in range(20)], 0.97)) == []


def test_held_out_margin_that_is_lost_while_training_pairs_are_won_is_a_warning() -> None:
    found = alerts(held_out(won(), [3.0, 4.0, 2.0, 1.0], 0.8))
    assert ("margin_saturated", "warning") in {(alert.rule, alert.severity) for alert in found}


@pytest.mark.parametrize("seed", range(5))
def test_margin_that_loses_what_it_had_is_a_warning(seed: int) -> None:
    draw = random.Random(seed)
    rows: list[Values] = [
        {
            "loss": 0.4,
            "rewards/margins": min(step, 300 - step) / 100 + draw.gauss(0, 0.05),
            "rewards/accuracies": 0.5 + min(step, 300 - step) / 400 + draw.gauss(0, 0.05),
        }
        for step in range(300)
    ]
    assert ("margin_falling", "warning") in {(alert.rule, alert.severity) for alert in alerts(rows)}
    without = [{key: value for key, value in row.items() if key != "rewards/accuracies"} for row in rows]
    assert ("margin_falling", "warning") in {(alert.rule, alert.severity) for alert in alerts(without)}


@pytest.mark.parametrize("seed", range(5))
def test_margin_that_only_loses_scale_while_as_many_pairs_are_won_is_no_alert(seed: int) -> None:
    draw = random.Random(seed)
    rows: list[Values] = [
        {
            "loss": 0.5,
            "rewards/margins": (1.6 if 20 < step < 40 else 0.8) + draw.gauss(0, 0.2),
            "rewards/accuracies": 0.78 + draw.gauss(0, 0.07),
        }
        for step in range(250)
    ]
    assert [alert for alert in alerts(rows) if alert.rule == "margin_falling"] == []


@pytest.mark.parametrize("seed", range(10))
def test_margin_that_levels_off_with_noise_does_not_fall(seed: int) -> None:
    draw = random.Random(seed)
    rows: list[Values] = [
        {
            "loss": 0.4,
            "rewards/margins": 1.0 - 0.9 ** (step / 8) + draw.gauss(0, 0.3),
            "rewards/accuracies": 0.75 + draw.gauss(0, 0.1),
        }
        for step in range(500)
    ]
    assert [alert for alert in alerts(rows) if alert.rule == "margin_falling"] == []
