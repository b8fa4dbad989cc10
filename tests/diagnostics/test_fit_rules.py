"""Dead gradients, clipping, flat losses, fit, data and telemetry: what fires and what must not."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.types import Alert, Happening, RunContext
from tests.diagnostics.faults import supervised, to_rows

Values = dict[str, float | None]
SEEDS = range(5)


def alerts(
    values: list[Values],
    rule: str = "",
    *,
    trainer: str = "sft",
    config: Mapping[str, Any] | None = None,
    max_steps: int | None = 0,
) -> list[Alert]:
    """The alerts of one rule of the catalogue, or of all, over rows at steps 1, 2, …; the length is that of the rows unless told."""
    context = RunContext(run_id="run", trainer=trainer, config=config or {}, max_steps=max_steps or len(values))
    engine = Engine(default_rules(), context)
    for row in to_rows(values):
        engine.feed(row)
    assert [state for state in engine.states() if state.error] == []
    return [alert for alert in engine.alerts() if rule in ("", alert.rule)]


def severities(values: list[Values], rule: str, **more: Any) -> set[str]:
    return {alert.severity for alert in alerts(values, rule, **more)}


def changed(seed: int = 1, count: int = 200, **change: Callable[[int, random.Random], float]) -> list[Values]:
    """A healthy supervised run with these signals put in, each a function of the row and a source of noise."""
    draw = random.Random(seed)
    return [
        {**row, **{name: course(place, draw) for name, course in change.items()}}
        for place, row in enumerate(supervised(count, seed))
    ]


def test_zero_gradients_under_a_loss_are_a_warning_then_critical() -> None:
    dead = changed(grad_norm=lambda place, draw: 0.0 if place >= 60 else 1.0)
    assert severities(dead, "grad_norm_vanishing") == {"critical"}
    assert alerts(dead, "grad_norm_vanishing")[0].fired_step == 65
    few = changed(grad_norm=lambda place, draw: 0.0 if place % 9 < 3 else 1.0)
    assert severities(few, "grad_norm_vanishing") == set()


def test_dead_gradient_hides_what_a_flat_margin_would_say() -> None:
    values: list[Values] = [
        {"loss": 0.693, "grad_norm": 0.0, "learning_rate": 1e-5, "rewards/margins": 0.0, "rewards/accuracies": 0.0}
        for _ in range(120)
    ]
    shown = [alert.rule for alert in alerts(values, trainer="dpo") if not alert.inhibited_by]
    assert shown == ["grad_norm_vanishing"]


def test_gradient_that_fades_under_a_loss_is_a_warning_and_with_the_loss_it_is_none() -> None:
    fading = changed(count=300, grad_norm=lambda place, draw: 2.0 * 0.96**place)
    assert severities(fading, "grad_norm_vanishing") == {"warning"}
    learned = changed(count=300, grad_norm=lambda place, draw: 2.0 * 0.96**place, loss=lambda p, d: 4.0 * 0.96**p)
    assert severities(learned, "grad_norm_vanishing") == set()
    ending = changed(
        count=300,
        grad_norm=lambda p, d: 2.0 * 0.96**p,
        learning_rate=lambda p, d: 1e-4 * (1 - p / 60) if p < 60 else 0.0,
    )
    assert severities(ending, "grad_norm_vanishing") == set()


def test_clipping_of_most_gradients_is_information_where_the_limit_is_known() -> None:
    values = changed(count=400, grad_norm=lambda place, draw: draw.uniform(1.0, 3.0))
    assert severities(values, "clip_saturation", config={"max_grad_norm": 0.5}) == {"info"}
    assert severities(values, "clip_saturation", config={"max_grad_norm": 5.0}) == set()
    assert severities(values, "clip_saturation") == set()


def test_limit_of_clipping_may_come_later() -> None:
    engine = Engine(default_rules(), RunContext(run_id="run", trainer="sft", max_steps=400))
    for place, row in enumerate(to_rows(changed(count=400, grad_norm=lambda p, d: 2.0))):
        if place == 3:
            engine.happen(Happening(time_s=row.time_s, step=3, kind="config", data={"max_grad_norm": 1.0}))
        engine.feed(row)
    assert "clip_saturation" in {alert.rule for alert in engine.alerts()}


@pytest.mark.parametrize("seed", SEEDS)
def test_loss_that_stays_at_the_start_is_a_warning(seed: int) -> None:
    stuck = changed(seed, 800, loss=lambda place, draw: 6.93 * (1 + draw.gauss(0, 0.01)))
    assert severities(stuck, "not_learning", trainer="pretrain") == {"warning"}
    assert severities(stuck, "not_learning") == {"warning"}


def test_loss_without_a_digit_of_change_is_a_warning() -> None:
    assert severities(changed(loss=lambda p, d: 4.0 if p < 40 else 10.3735), "not_learning") == {"warning"}


def flat_loss(place: int, draw: random.Random) -> float:
    return 4.0 + draw.gauss(0, 0.05)


@pytest.mark.parametrize("trainer", ["pretrain", "reward", "dpo", "grpo"])
def test_rate_of_zero_from_the_start_is_critical_whatever_is_trained(trainer: str) -> None:
    values = changed(learning_rate=lambda place, draw: 0.0, loss=flat_loss)
    (found,) = alerts(values, "learning_rate_zero", trainer=trainer)
    assert (found.severity, found.onset_step) == ("critical", 1)
    assert (found.fired_step or 0) <= 52


def test_rate_of_zero_with_the_run_yet_to_come_is_a_warning_and_at_the_end_none() -> None:
    ended = changed(learning_rate=lambda place, draw: 1e-4 if place < 50 else 0.0)
    (found,) = alerts(ended, "learning_rate_zero", max_steps=400)
    assert found.severity == "warning" and found.onset_step == 51
    late = changed(learning_rate=lambda place, draw: 1e-4 if place < 186 else 0.0)
    assert severities(late, "learning_rate_zero", max_steps=200) == set()


def test_rate_of_zero_that_is_only_logged_so_or_only_at_the_start_is_none() -> None:
    assert severities(changed(learning_rate=lambda place, draw: 0.0), "learning_rate_zero") == set()
    scaler = changed(learning_rate=lambda place, draw: 0.0 if place < 20 else 1e-4, loss=flat_loss)
    assert severities(scaler, "learning_rate_zero") == set()


@pytest.mark.parametrize("seed", range(10))
def test_slow_but_real_progress_and_noise_that_hides_it_are_not_called_standstill(seed: int) -> None:
    slow = changed(seed, 600, loss=lambda place, draw: 1.1 * (1 - 0.08 * place / 600) * (1 + draw.gauss(0, 0.03)))
    assert severities(slow, "not_learning") <= {"info"}
    noisy = changed(seed, 200, loss=lambda place, draw: 1.0 + draw.gauss(0, 0.3))
    assert severities(noisy, "not_learning") == set()
    early = changed(seed, 300, loss=lambda place, draw: (2.0 if place < 20 else 1.0) * (1 + draw.gauss(0, 0.02)))
    assert severities(early, "not_learning") == set()


def test_levelled_off_loss_is_information_in_the_middle_of_a_run_only() -> None:
    flat = changed(count=1200, loss=lambda p, d: 2.0 + 2.0 * 0.97**p + d.gauss(0, 0.02))
    assert severities(flat, "loss_plateau", max_steps=1600) == {"info"}
    assert severities(changed(count=1200), "loss_plateau", max_steps=1600) == set()
    assert severities(flat[:150], "loss_plateau") == set()


def evaluated(
    held_out: Callable[[int], float], *, falling: bool = True, **more: Callable[[int], float]
) -> list[Values]:
    """A run whose training loss falls, or stays, evaluated every 20 rows."""
    draw = random.Random(3)
    made: list[Values] = []
    for place in range(240):
        made.append(
            {"loss": (2.0 * 0.99**place if falling else 2.0) * (1 + draw.gauss(0, 0.02)), "learning_rate": 1e-4}
        )
        if place % 20 == 19:
            made.append({"eval_loss": held_out(place // 20), **{k: course(place // 20) for k, course in more.items()}})
    return made


def test_evaluation_that_climbs_while_training_falls_is_overfitting() -> None:
    def climbs(by: float) -> Callable[[int], float]:
        return lambda n: 1.5 - 0.1 * n if n < 5 else 1.1 * (1 + by * (n - 4))

    found = alerts(evaluated(climbs(0.02)), "overfit")
    assert found[0].severity in ("warning", "critical") and found[0].onset_step is not None
    assert severities(evaluated(climbs(0.1)), "overfit") == {"critical"}
    assert severities(evaluated(climbs(0.004)), "overfit") <= {"info"}
    assert severities(evaluated(climbs(0.02), falling=False), "overfit") == set()


@pytest.mark.parametrize("seed", range(10))
def test_evaluations_that_fall_level_off_or_scatter_are_no_overfitting(seed: int) -> None:
    draw = random.Random(seed)
    for held_out in (lambda n: 1.5 * 0.95**n, lambda n: 1.0, lambda n: 1.0 + draw.gauss(0, 0.015)):
        assert severities(evaluated(held_out), "overfit") <= {"info"}


def test_training_loss_that_only_scatters_lower_is_no_overfitting() -> None:
    def course(falls: float, scatter: float, seed: int = 1) -> list[Values]:
        draw = random.Random(seed)
        return [
            {"loss": (1.0 - falls * (place > 119)) * (1 + draw.gauss(0, scatter))}
            if place % 21
            else {"eval_loss": {2: 1.0, 3: 0.9}.get(place // 21, 1.05)}
            for place in range(1, 200)
        ]

    assert severities(course(0.3, 0.02), "overfit")
    assert not any(severities(course(0.05, 0.3, seed), "overfit") for seed in range(10))


def test_preference_loss_may_climb_while_accuracy_holds() -> None:
    course = evaluated(lambda n: 0.5 + 0.05 * n, **{"eval_rewards/accuracies": lambda n: 0.7})
    assert severities(course, "overfit", trainer="dpo") == set()
    lost = evaluated(lambda n: 0.5 + 0.05 * n, **{"eval_rewards/accuracies": lambda n: 0.8 - 0.03 * n})
    assert "critical" in severities(lost, "overfit", trainer="dpo")


def test_epoch_that_brings_nothing_is_information() -> None:
    flat = changed(loss=lambda p, d: 1.5 + d.gauss(0, 0.02), epoch=lambda p, d: p / 100)
    assert severities(flat, "underfit") == {"info"}
    assert severities(changed(epoch=lambda p, d: p / 100), "underfit") == set()


def test_stairs_at_epoch_edges_are_information_and_a_smooth_fall_is_none() -> None:
    stairs = changed(
        count=300, loss=lambda p, d: (1.5, 1.0, 0.6)[p // 100] + d.gauss(0, 0.03), epoch=lambda p, d: p / 100
    )
    found = alerts(stairs, "epoch_staircase")
    assert {alert.severity for alert in found} == {"info"} and found[0].onset_step == 101
    assert severities(changed(count=300, epoch=lambda p, d: p / 100), "epoch_staircase") == set()


def test_large_spike_is_told_from_eight_neighbours_and_a_small_one_waits_for_twenty() -> None:
    def at_row_12(times: float) -> list[Values]:
        return changed(count=25, loss=lambda p, d: 2.0 * 0.97**p * (times if p == 12 else 1.0) * (1 + d.gauss(0, 0.01)))

    (found,) = alerts(at_row_12(9.0), "loss_spike")
    assert (found.severity, found.fired_step) == ("info", 13)
    assert alerts(at_row_12(1.8), "loss_spike") == []
    assert alerts(at_row_12(1.0), "loss_spike") == []
    steep = changed(
        count=25, loss=lambda p, d: 4.8 * 0.8 ** min(p, 6) * (9.0 if p == 12 else 1.0) * (1 + d.gauss(0, 0.01))
    )
    assert {alert.severity for alert in alerts(steep, "loss_spike")} == {"info"}


def test_spikes_at_a_fixed_period_point_to_one_part_of_the_data() -> None:
    periodic = changed(count=400, loss=lambda p, d: 6.0 if p > 50 and p % 60 == 0 else 2.0 + d.gauss(0, 0.03))
    found = alerts(periodic, "loss_spike")
    last = next(alert for alert in found if alert.severity == "warning")
    assert "every 60 rows" in last.sentence and last.causes[0].likelihood == "likely"
    places = {70, 90, 155, 301}
    irregular = changed(count=400, loss=lambda p, d: 6.0 if p in places else 2.0 + d.gauss(0, 0.03))
    assert not any("every" in alert.sentence for alert in alerts(irregular, "loss_spike"))


@pytest.mark.parametrize(("accuracy", "said"), [(0.5, {"warning"}), (0.62, set()), (0.8, set())])
def test_reward_model_that_guesses_is_a_warning(accuracy: float, said: set[str]) -> None:
    draw = random.Random(4)
    values: list[Values] = [
        {"loss": 0.69, "accuracy": sum(draw.random() < accuracy for _ in range(32)) / 32} for _ in range(200)
    ]
    assert severities(values, "reward_model_at_chance", trainer="reward") == said


@pytest.mark.parametrize(
    ("train", "held_out", "won", "said"),
    [
        (0.001, 2.6, 0.64, {"warning"}),  # 24 pairs, again and again
        (0.001, 0.6, 0.8, set()),  # learned by heart, and held-out pairs are no worse off
        (0.3, 0.95, 0.6, set()),  # held-out pairs of another kind, and nothing is learned by heart
        (0.001, 1.0, 0.97, set()),  # a few held-out pairs that are surely wrong
    ],
)
def test_pairs_known_by_heart_are_told_where_held_out_ones_fare_worse_than_by_chance(
    train: float, held_out: float, won: float, said: set[str]
) -> None:
    values: list[Values] = []
    for place in range(100):
        values.append({"loss": max(train, 0.69 * 0.8**place), "accuracy": 1.0})
        if place % 20 == 19:
            values.append({"eval_loss": held_out, "eval_accuracy": won})
    assert severities(values, "pairs_memorised", trainer="reward") == said
    other_scale = [
        {**row, "loss": row["loss"] if place else 1.0} if "loss" in row else row for place, row in enumerate(values)
    ]
    assert severities(other_scale, "pairs_memorised", trainer="reward") == set()


def known_by_heart(*, epochs: float, train: float, won: float, held_out: float = 0.185) -> list[Values]:
    """The course of a DPO run of 250 rows on 24 pairs again and again, with five evaluations; the last training loss and accuracy differ."""
    values: list[Values] = []
    for place in range(1, 251):
        loss = max(train, 0.69 * 0.97**place)
        values.append({"loss": loss, "rewards/accuracies": 1.0, "epoch": epochs * place / 250})
        if place % 50 == 0:
            values.append({"eval_loss": held_out + 0.35 * 0.96**place, "eval_rewards/accuracies": won})
    return values


@pytest.mark.parametrize(
    ("epochs", "train", "won", "said"),
    [
        (0.8, 0.006, 0.91, {"warning"}),
        (1.6, 0.006, 0.91, {"warning"}),  # it began in the first epoch, and went on
        (4.0, 0.006, 0.91, set()),  # what one epoch has shown may be known in the next
        (0.8, 0.006, 0.99, set()),  # pairs so easy that the held-out ones are won as well
        (0.8, 0.06, 0.91, set()),
    ],
)
def test_pairs_known_by_heart_in_the_first_epoch_were_seen_before(
    epochs: float, train: float, won: float, said: set[str]
) -> None:
    assert severities(known_by_heart(epochs=epochs, train=train, won=won), "pairs_memorised", trainer="dpo") == said


def test_reward_model_whose_zero_runs_away_is_information() -> None:
    def scored(shift: float) -> list[Values]:
        return [{"loss": 0.5, "mean_reward": shift * n, "min_reward": shift * n - 1, "max_reward": shift * n + 1, "margin": 0.5} for n in range(100)]  # fmt: skip

    assert severities(scored(0.2), "reward_scale_drift", trainer="reward") == {"info"}
    assert severities(scored(0.01), "reward_scale_drift", trainer="reward") == set()


def test_value_that_is_no_longer_logged_is_told() -> None:
    values = changed(count=300)
    for row in values[100:]:
        del row["grad_norm"]
    found = alerts(values, "telemetry_fault")
    assert found[0].severity == "info" and "grad_norm" in found[0].sentence
    sparse = changed(count=300)
    for place, row in enumerate(sparse):
        if place % 8:
            del row["grad_norm"]
    assert alerts(sparse, "telemetry_fault") == []


def test_steps_that_go_back_again_and_again_are_told_and_resumes_are_not() -> None:
    rows = to_rows(changed(count=100))
    engine = Engine(default_rules(), RunContext(run_id="run", trainer="sft"))
    for row in (*rows, *rows, *rows[:60], *rows[:60]):
        engine.feed(row)
    assert "telemetry_fault" in {alert.rule for alert in engine.alerts()}
    engine = Engine(default_rules(), RunContext(run_id="run", trainer="sft"))
    for part in (rows, rows, rows[:60], rows[:60]):
        engine.happen(Happening(time_s=1e9, step=1, kind="resume", data={"from_step": 1}))
        for row in part:
            engine.feed(row)
    assert "telemetry_fault" not in {alert.rule for alert in engine.alerts()}


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("trainer", ["sft", "pretrain", "custom"])
def test_healthy_runs_with_evaluations_and_epochs_are_quiet(seed: int, trainer: str) -> None:
    values: list[Values] = []
    for place, row in enumerate(changed(seed, 400, epoch=lambda p, d: p / 150)):
        values.append(row)
        if place % 40 == 39:
            values.append({"eval_loss": (row["loss"] or 1.0) * math.exp(random.Random(place).gauss(0.05, 0.01))})
    for max_steps in (None, 400):
        assert [a for a in alerts(values, trainer=trainer, max_steps=max_steps) if a.severity != "info"] == []
