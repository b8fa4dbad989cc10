"""The re-implemented baselines against what their published definitions say of small series."""

from __future__ import annotations

import math
import statistics

import pytest

from runvitals.diagnostics.scoring.doctors import PostTrainingToolkit, Rlwatch
from runvitals.diagnostics.scoring.judges import MeterJudge
from runvitals.diagnostics.scoring.outliers import OlmoSkipStep, WandbAutomation, ZClip
from runvitals.diagnostics.scoring.sagemaker import (
    ExplodingTensor,
    LossNotDecreasing,
    Overfit,
    StalledTraining,
    VanishingGradient,
)
from runvitals.diagnostics.scoring.types import LabelledRun, Meter
from runvitals.diagnostics.types import Row

WAVE = [1.0 + 0.1 * ((7 * place) % 5 - 2) for place in range(400)]
"""Values around 1 that repeat every five: mean 1.0, standard deviation 0.1414."""


def run_of(kind: str, rows: list[dict[str, float | None]], *, gap_s: float = 1.0, every: int = 1) -> LabelledRun:
    """A run of these rows at steps 0, `every`, …"""
    items = tuple(Row(time_s=gap_s * place, step=every * place, values=row) for place, row in enumerate(rows))
    return LabelledRun(name="run", source="run", kind=kind, severity="none", items=items, timed=True)


def fired(meter: Meter, run: LabelledRun) -> list[tuple[str, int | None]]:
    """Rule and step of each firing."""
    return [(firing.rule, firing.step) for firing in MeterJudge(meter).firings(run)]


def loss_run(*losses: float, every: int = 1) -> LabelledRun:
    """A supervised run that logs losses alone."""
    return run_of("sft", [{"loss": loss} for loss in losses], every=every)


def test_loss_must_fall_between_checks_ten_steps_apart() -> None:
    assert fired(LossNotDecreasing(), loss_run(3.0, 2.0, 1.0, every=10)) == []
    assert fired(LossNotDecreasing(), loss_run(3.0, 3.0, 1.0, every=10)) == [("LossNotDecreasing", 10)]
    assert fired(LossNotDecreasing(), loss_run(*[1.0] * 10)) == []
    assert fired(LossNotDecreasing(), loss_run(*[1.0] * 11)) == [("LossNotDecreasing", 10)]


def test_overfit_is_a_validation_loss_a_tenth_above_the_mean_training_loss() -> None:
    rows: list[dict[str, float | None]] = [{"loss": 1.0}, {"loss": 2.0}, {"eval_loss": 1.64}]
    assert fired(Overfit(), run_of("sft", rows)) == []
    assert fired(Overfit(), run_of("sft", [*rows[:2], {"eval_loss": 1.66}])) == [("Overfit", 2)]


def test_stall_is_half_an_hour_of_silence_and_needs_times() -> None:
    slow = run_of("sft", [{"loss": 1.0}] * 3, gap_s=1801.0)
    assert fired(StalledTraining(), slow) == [("StalledTraining", 1)]
    assert fired(StalledTraining(), run_of("sft", [{"loss": 1.0}] * 3, gap_s=1799.0)) == []
    untimed = LabelledRun(name="x", source="x", kind="sft", severity="none", items=slow.items)
    assert fired(StalledTraining(), untimed) == []


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_exploding_tensor_is_any_value_that_is_not_finite(value: float) -> None:
    rows: list[dict[str, float | None]] = [{"loss": 1.0, "x": 1.0}, {"loss": 1.0, "x": value}, {"loss": None}]
    assert fired(ExplodingTensor(), run_of("sft", rows)) == [("ExplodingTensor", 1)]


def test_vanishing_gradient_is_below_a_ten_millionth() -> None:
    norms = [1.0, 2e-7, 9e-8, 0.0, 1.0, 0.0, math.nan]
    found = fired(VanishingGradient(), run_of("sft", [{"grad_norm": norm} for norm in norms]))
    assert found == [("VanishingGradient", 2), ("VanishingGradient", 5)]


def test_wandb_z_score_is_over_the_thirty_values_before() -> None:
    past = WAVE[:30]
    edge = statistics.mean(past) + 3 * statistics.pstdev(past)
    assert fired(WandbAutomation(), loss_run(*past, edge * 1.001)) == [("z-score", 30)]
    assert fired(WandbAutomation(), loss_run(*past, edge * 0.999)) == []
    assert fired(WandbAutomation(), loss_run(*past[1:], edge * 10)) == []
    assert fired(WandbAutomation(), loss_run(*past, 2 * statistics.mean(past) - edge * 1.001)) == [("z-score", 30)]


def test_wandb_reads_the_reward_in_reinforcement_learning() -> None:
    rows: list[dict[str, float | None]] = [{"loss": 0.0, "reward": value} for value in WAVE[:30]]
    assert fired(WandbAutomation(), run_of("grpo", [*rows, {"loss": 0.0, "reward": 9.0}])) == [("z-score", 30)]


def test_olmo_skips_six_sigma_upwards_from_the_64th_value_on() -> None:
    past = WAVE[:63]
    edge = statistics.mean(past) + 6 * statistics.stdev(past)
    assert fired(OlmoSkipStep(), loss_run(*past, edge * 1.001)) == [("loss", 63)]
    assert fired(OlmoSkipStep(), loss_run(*past, edge * 0.999)) == []
    assert fired(OlmoSkipStep(), loss_run(*past[1:], edge * 9)) == []
    assert fired(OlmoSkipStep(), loss_run(*past, -edge)) == []
    assert fired(OlmoSkipStep(), loss_run(*past, math.nan)) == [("loss", 63)]


def test_zclip_acts_on_spikes_after_25_values_and_is_blind_after_nan() -> None:
    def norms(*values: float) -> LabelledRun:
        return run_of("sft", [{"grad_norm": value} for value in values])

    assert fired(ZClip(), norms(*WAVE[:25], 1.3)) == []
    assert fired(ZClip(), norms(*WAVE[:25], 1.5)) == [("grad_norm", 25)]
    assert fired(ZClip(), norms(*WAVE[:24], 9.0)) == []
    assert fired(ZClip(), norms(*WAVE[:25], math.nan, 50.0)) == []


def test_zclip_takes_a_spike_into_its_average_only_as_far_as_it_was_clipped() -> None:
    spikes = run_of("sft", [{"grad_norm": value} for value in [*WAVE[:25], *[100.0, 1.0] * 5]])
    assert len(fired(ZClip(), spikes)) == 5


def test_rlwatch_wants_25_rows_of_entropy_below_one_and_judges_policies_only() -> None:
    rows: list[dict[str, float | None]] = [{"entropy": 0.5}] * 60
    assert fired(Rlwatch(), run_of("grpo", rows)) == [("entropy_collapse", 43)]
    assert fired(Rlwatch(), run_of("sft", rows)) == []
    assert fired(Rlwatch(), run_of("grpo", [{"entropy": 1.1}] * 60)) == []


def test_rlwatch_compares_the_gradient_norm_with_the_first_hundred() -> None:
    rows: list[dict[str, float | None]] = [{"grad_norm": value} for value in [*WAVE[:100], *[1.6] * 20]]
    assert fired(Rlwatch(), run_of("grpo", rows)) == [("gradient_norm_spike", 100)]


def test_rlwatch_compares_reward_variance_with_the_first_twenty_after_fifty_rows() -> None:
    rows: list[dict[str, float | None]] = [{"reward_std": 1.0}] * 60 + [{"reward_std": 1.8}]
    assert fired(Rlwatch(), run_of("grpo", rows)) == [("reward_hacking", 60)]
    assert fired(Rlwatch(), run_of("grpo", [*rows[:20], {"reward_std": 9.0}])) == []


def test_toolkit_reads_margins_below_a_tenth_after_row_thirty() -> None:
    rows: list[dict[str, float | None]] = [{"rewards/margins": 0.05}] * 40
    assert fired(PostTrainingToolkit(), run_of("dpo", rows)) == [("margin_collapse", 29)]
    assert fired(PostTrainingToolkit(), run_of("dpo", [{"rewards/margins": 0.2}] * 40)) == []
    assert fired(PostTrainingToolkit(), run_of("sft", rows)) == []


def test_toolkit_calls_a_dpo_loss_at_ln_2_random() -> None:
    assert fired(PostTrainingToolkit(), run_of("dpo", [{"loss": 0.693}] * 30)) == [("dpo_loss_random", 29)]
    assert fired(PostTrainingToolkit(), run_of("dpo", [{"loss": 0.66}] * 30)) == []


def test_toolkit_reads_kl_reward_spread_and_entropy_of_policies() -> None:
    assert fired(PostTrainingToolkit(), run_of("grpo", [{"kl": 0.4}] * 30)) == [("kl_divergence_high", 29)]
    assert fired(PostTrainingToolkit(), run_of("grpo", [{"reward_std": 0.0}] * 40)) == [("group_reward_collapse", 39)]
    falling: list[dict[str, float | None]] = [{"entropy": 1.0}] * 30 + [{"entropy": 0.4}] * 30
    assert fired(PostTrainingToolkit(), run_of("ppo", falling)) == [("entropy_collapse", 55)]
