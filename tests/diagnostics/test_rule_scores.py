"""How well each rule does on runs with a known fault, and how quiet all are on healthy ones."""

from __future__ import annotations

import math
import random

import pytest

from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.types import Row, RunContext, Transition
from tests.diagnostics.faults import faulty_runs, reinforced, supervised, to_rows

SEEDS = range(10)


def transitions(rows: tuple[Row, ...], trainer: str) -> list[Transition]:
    """All transitions of the catalogue over rows."""
    engine = Engine(default_rules(), RunContext(run_id="run", trainer=trainer))
    return [change for row in rows for change in engine.feed(row)]


@pytest.mark.parametrize("place", range(len(list(faulty_runs(0)))))
def test_each_fault_is_found_in_time_on_every_seed(place: int) -> None:
    for seed in SEEDS:
        fault = list(faulty_runs(seed))[place]
        fired = [
            change.step - 1 - fault.onset
            for change in transitions(fault.rows, fault.trainer)
            if change.alert.rule == fault.rule and change.before != "firing" and change.step is not None
        ]
        assert fired, f"{fault.rule} missed seed {seed}"
        assert 0 <= fired[0] <= fault.delay, f"{fault.rule}: {fired[0]} rows after the onset, seed {seed}"


@pytest.mark.parametrize(("make", "trainer"), [(supervised, "sft"), (supervised, "pretrain"), (reinforced, "grpo")])
def test_healthy_runs_raise_no_warning(make, trainer: str) -> None:  # type: ignore[no-untyped-def]
    for seed in SEEDS:
        warned = [
            change.alert.sentence
            for change in transitions(to_rows(make(600, seed)), trainer)
            if change.alert.severity != "info"
        ]
        assert warned == []


def test_nan_is_reported_at_the_row_where_it_comes_and_is_critical_at_the_next() -> None:
    fault = next(fault for fault in faulty_runs(3) if fault.rule == "non_finite")
    found = [
        (change.step, change.alert.severity)
        for change in transitions(fault.rows, "sft")
        if change.alert.rule == "non_finite" and not change.alert.inhibited_by
    ]
    assert found[:2] == [(61, "warning"), (62, "critical")]


def test_one_nan_gradient_norm_that_recovers_is_information_only() -> None:
    values = supervised(100, seed=8)
    values[50]["grad_norm"] = float("nan")
    severities = {change.alert.severity for change in transitions(to_rows(values), "sft")}
    assert severities == {"info"}


def test_masked_nan_hides_the_symptoms_behind_itself() -> None:
    fault = next(fault for fault in faulty_runs(3) if fault.rule == "masked_nan")
    engine = Engine(default_rules(), RunContext(run_id="run", trainer="sft"))
    for row in fault.rows:
        engine.feed(row)
    shown = [alert.rule for alert in engine.alerts() if alert.state == "firing" and not alert.inhibited_by]
    assert shown == ["masked_nan"]


def test_dead_gradient_is_a_lying_loss_in_sft_and_lack_of_advantage_in_grpo() -> None:
    dead = [{"loss": 0.0, "grad_norm": 0.0} for _ in range(30)]
    assert {change.alert.rule for change in transitions(to_rows(dead), "sft")} == {"masked_nan"}  # type: ignore[arg-type]
    assert {change.alert.rule for change in transitions(to_rows(dead), "grpo")} == {"zero_advantage_groups"}  # type: ignore[arg-type]


def test_rising_learning_rate_is_named_as_the_likely_cause_of_divergence() -> None:
    values = supervised(140, seed=9)
    for since, row in enumerate(values[70:]):
        row["loss"] = (row["loss"] or 0) * 1.04**since
        row["learning_rate"] = 1e-4 * 1.08**since
    found = [change for change in transitions(to_rows(values), "sft") if change.alert.rule == "loss_divergence"]
    assert found[0].alert.causes[0].likelihood == "likely"
    assert "learning rate rose from" in found[0].alert.causes[0].because


def test_loss_that_blows_up_in_its_second_step_is_told_whatever_it_does_then() -> None:
    losses = [2.9, 2591.4, 244.6, 2462.5, 154.1, 1337.6, 658.2, 1010.4, *(900.0 * 0.93**place for place in range(92))]
    values: list[dict[str, float | None]] = [{"loss": loss} for loss in losses]
    found = [change for change in transitions(to_rows(values), "sft") if change.alert.rule == "loss_divergence"]
    assert (found[0].alert.severity, found[0].step) == ("critical", 4)
    rough = [{**row, "loss": 2.9 + (index == 1) * 2000.0} for index, row in enumerate(values)]
    assert "loss_divergence" not in {change.alert.rule for change in transitions(to_rows(rough), "sft")}


def test_reward_that_never_changes_points_to_the_reward_function() -> None:
    values = reinforced(40, seed=1)
    for row in values:
        row.update({"reward": 1.0, "reward_std": 0.0, "frac_reward_zero_std": 1.0, "grad_norm": 0.0})
    found = [change for change in transitions(to_rows(values), "grpo") if change.alert.rule == "zero_advantage_groups"]
    assert found[-1].alert.severity == "critical"
    assert found[-1].alert.causes[0].likelihood == "likely"
    assert "reward function" in found[-1].alert.causes[0].text


def test_groups_without_spread_are_information_where_the_prompts_are_learned() -> None:
    values = reinforced(120, seed=4)
    for row in values[90:]:
        row.update({"reward": 1.8, "reward_std": 0.0, "frac_reward_zero_std": 1.0})
    found = [change for change in transitions(to_rows(values), "grpo") if change.alert.rule == "zero_advantage_groups"]
    assert {change.alert.severity for change in found} == {"info"}
    assert "these prompts are learned" in found[0].alert.sentence


def test_infinite_norms_of_a_scaler_that_finds_its_scale_are_information() -> None:
    values = supervised(100, seed=6)
    for row in values[:4]:
        row["grad_norm"] = float("inf")
    assert {change.alert.severity for change in transitions(to_rows(values), "sft")} == {"info"}


def test_batches_without_chosen_answers_are_no_fault_in_kto() -> None:
    values = [
        {**row, "rewards/rejected": float("nan") if place % 3 else -0.1} for place, row in enumerate(supervised(90, 1))
    ]
    assert {change.alert.severity for change in transitions(to_rows(values), "kto")} <= {"info"}
    assert "warning" in {change.alert.severity for change in transitions(to_rows(values), "dpo")}


def test_kl_that_rises_with_the_reward_waits_for_more_than_in_a_flat_run() -> None:
    def first_fire(rewards: list[float]) -> int:
        values = reinforced(200, seed=5)
        for place, row in enumerate(values):
            row.update({"reward": rewards[place], "kl": 0.05 * 1.03**place})
        found = [change for change in transitions(to_rows(values), "grpo") if change.alert.rule == "kl_blowup"]
        return found[0].step or 0

    assert first_fire([0.5] * 200) < first_fire([0.01 * place for place in range(200)])


def test_preference_loss_whose_noise_grows_with_its_margins_does_not_diverge() -> None:
    draw = random.Random(12)
    growing = [0.69 * math.exp(draw.gauss(0, 0.05)) for _ in range(12)] + [
        0.4 * math.exp(draw.gauss(0, 0.4)) for _ in range(250)
    ]
    values: list[dict[str, float | None]] = [{"loss": loss} for loss in growing]
    assert {change.alert.severity for change in transitions(to_rows(values), "reward")} <= {"info"}
    for since, row in enumerate(values[150:]):
        row["loss"] = (row["loss"] or 0) * 1.02**since
    assert "loss_divergence" in {change.alert.rule for change in transitions(to_rows(values), "reward")}
