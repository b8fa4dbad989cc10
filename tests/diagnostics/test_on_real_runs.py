"""The catalogue on real logs: quiet on healthy runs, and each broken run that scalars can show is caught."""

from __future__ import annotations

from pathlib import Path

import pytest

from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.scoring.types import LabelledRun
from runvitals.diagnostics.types import Alert, Happening, Pulse, RunContext
from runvitals.labelled_runs import read_labelled_runs

CAUGHT_BY = {
    "divergence_adam_clip": {"loss_divergence", "grad_norm_explosion"},
    "divergence_lr_ramp_noclip": {"loss_divergence", "grad_norm_explosion"},
    "nan_loss_filtered": {"masked_nan", "non_finite"},
    "grpo_zero_std": {"zero_advantage_groups"},
    "grpo_entropy_collapse": {"entropy_collapse"},
    "ppo_repetition_hack": {"kl_blowup"},
    "dpo_shuffled_labels": {"margin_stagnant", "margin_too_small", "margin_fluctuating"},
    "dpo_collapse_hugelr_tinybeta": {"likelihood_displacement"},
    "dpo_stagnation": {"margin_stagnant", "margin_too_small"},
    "slow_dataloader": {"throughput_drop"},
}
"""Made runs and the rules of which at least one must call them a warning or worse."""


def judged(run: LabelledRun) -> Engine:
    """The engine after all rows of a run; how it ended is left to each test."""
    engine = Engine(default_rules(), RunContext(run_id="run", trainer=run.kind, max_steps=run.max_steps))
    for row in run.rows:
        engine.feed(row)
    assert [state for state in engine.states() if state.error] == []
    return engine


def ended(run: LabelledRun) -> Engine:
    """The engine after all rows and the end of a run."""
    engine = judged(run)
    for item in run.items:
        if isinstance(item, Happening):
            engine.happen(item)
        elif isinstance(item, Pulse):
            engine.pulse(item)
    return engine


def grave(engine: Engine) -> list[Alert]:
    """The alerts that are a warning or worse."""
    return [alert for alert in engine.alerts() if alert.severity != "info"]


@pytest.fixture(scope="module")
def made(labelled_runs: Path) -> dict[str, LabelledRun]:
    """The made runs by name."""
    return {run.name: run for run in read_labelled_runs(labelled_runs / "made")[0]}


@pytest.fixture(scope="module")
def public(labelled_runs: Path) -> list[LabelledRun]:
    """The published ones."""
    return read_labelled_runs(labelled_runs / "public")[0]


@pytest.mark.slow
def test_healthy_runs_raise_no_warning(made: dict[str, LabelledRun], public: list[LabelledRun]) -> None:
    runs = [run for run in (*made.values(), *public) if run.severity == "none"]
    assert len(runs) >= 20
    warned = {run.name: [alert.sentence for alert in grave(judged(run))] for run in runs}
    assert {name: sentences for name, sentences in warned.items() if sentences} == {}


@pytest.mark.slow
def test_flat_runs_raise_information_at_most(public: list[LabelledRun]) -> None:
    flat = [run for run in public if run.severity == "flat"]
    assert flat
    assert [alert.sentence for run in flat for alert in grave(judged(run))] == []


@pytest.mark.slow
def test_broken_public_runs_are_caught(public: list[LabelledRun]) -> None:
    broken = [run for run in public if run.severity == "broken"]
    assert len(broken) >= 4
    assert [run.name for run in broken if not grave(judged(run))] == []


@pytest.mark.parametrize("name", sorted(CAUGHT_BY))
def test_broken_made_run_is_caught_by_a_rule_about_its_fault(made: dict[str, LabelledRun], name: str) -> None:
    assert {alert.rule for alert in grave(judged(made[name]))} & CAUGHT_BY[name]


def test_every_made_run_is_accounted_for(made: dict[str, LabelledRun]) -> None:
    broken = {name for name, run in made.items() if run.severity == "broken"}
    assert broken == {*CAUGHT_BY, "crash", "kill9"}


def test_divergence_is_seen_within_40_steps_of_the_ramp_and_gradients_lead(made: dict[str, LabelledRun]) -> None:
    alerts = {alert.rule: alert for alert in reversed(grave(judged(made["divergence_lr_ramp_noclip"])))}
    assert 80 <= (alerts["grad_norm_explosion"].fired_step or 0) <= 110
    assert (alerts["loss_divergence"].fired_step or 0) <= 120


def test_lying_loss_is_dated_to_the_first_nan(made: dict[str, LabelledRun]) -> None:
    alert = next(alert for alert in judged(made["nan_loss_filtered"]).alerts() if alert.rule == "masked_nan")
    assert alert.onset_step == 62


def test_kl_is_called_before_the_reward_jumps(made: dict[str, LabelledRun]) -> None:
    alert = next(alert for alert in judged(made["ppo_repetition_hack"]).alerts() if alert.rule == "kl_blowup")
    assert (alert.fired_step or 999) < 28


def test_reward_without_spread_is_called_from_the_start(made: dict[str, LabelledRun]) -> None:
    alert = judged(made["grpo_zero_std"]).alerts()[0]
    assert (alert.rule, alert.fired_step) == ("zero_advantage_groups", 18)


@pytest.mark.parametrize("name", ["crash", "kill9"])
def test_exception_and_a_killed_process_make_a_crash(made: dict[str, LabelledRun], name: str) -> None:
    assert [alert.rule for alert in grave(ended(made[name]))] == ["run_crashed"]


def test_silence_of_a_live_process_is_a_stall(made: dict[str, LabelledRun]) -> None:
    run = made["sft_healthy"]
    engine = judged(run)
    last_s = run.rows[-1].time_s
    for seconds in (1.0, 61.0, 121.0):
        engine.pulse(Pulse(now_s=last_s + seconds, beat_s=last_s + seconds, phase="train", alive=True))
    assert [(alert.rule, alert.severity) for alert in grave(engine)] == [("progress_stalled", "critical")]
