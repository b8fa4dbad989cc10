"""The margin's verdict: every state, its numbers, and that both forms of it agree."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence

import pytest

from runvitals.diagnostics.margin import MarginCourse, MarginSettings, MarginTracker, MarginVerdict, verdict
from runvitals.diagnostics.margin_history import (
    MOST_BLOCKS,
    RING,
    MarginHistory,
    MarginPoint,
    estimate,
    looks_like_sampling,
    trend,
)

DPO = MarginSettings(trainer="dpo", beta=0.1, pairs=16, max_steps=200)

Course = Callable[[float, random.Random], float]


def rows(
    course: Course, *, accuracy: Course | None = None, count: int = 100, every: int = 2, **others: float
) -> list[dict[str, float]]:
    """Rows with a margin that follows `course` (share of the run done, noise)."""
    noise = random.Random(7)
    made = []
    for index in range(1, count + 1):
        row = {"step": float(index * every), "reward_margin": course(index / count, noise), **others}
        if accuracy is not None:
            row["reward_accuracy"] = accuracy(index / count, noise)
        made.append(row)
    return made


def judged(made: Sequence[Mapping[str, float]], settings: MarginSettings = DPO) -> MarginVerdict:
    course = MarginCourse(settings)
    for row in made:
        course.add(int(row["step"]), row)
    return course.verdict()


def coin(_: float, noise: random.Random) -> float:
    return sum(noise.random() < 0.5 for _ in range(16)) / 16


def winning(_: float, noise: random.Random) -> float:
    return sum(noise.random() < 0.8 for _ in range(16)) / 16


def test_few_margins_are_not_judged_and_the_verdict_says_what_is_missing() -> None:
    found = judged(rows(lambda share, noise: 0.0, count=7))
    assert (found.state, found.severity) == ("start", None)
    assert found.sentence == "needs 20 logged margins, has 7"


def test_no_margin_at_all_is_a_start() -> None:
    assert judged([]).state == "start"


def test_growing_margin_rises() -> None:
    found = judged(rows(lambda share, noise: share + noise.gauss(0, 0.05), accuracy=winning))
    assert (found.state, found.severity) == ("rising", None)


def test_margin_that_rose_and_is_flat_has_levelled_off() -> None:
    found = judged(rows(lambda share, noise: min(share * 5, 1.0) + noise.gauss(0, 0.05), accuracy=winning))
    assert (found.state, found.severity) == ("levelled_off", None)


def test_low_margin_that_settled_without_telling_pairs_apart_has_not_levelled_off() -> None:
    def barely(_: float, noise: random.Random) -> float:
        return sum(noise.random() < 0.535 for _ in range(32)) / 32

    many_pairs = MarginSettings(trainer="dpo", beta=0.1, pairs=32, max_steps=300)
    for seed_like in range(20):  # each longer by one row, so that the noise differs at the end
        made = rows(lambda share, noise: 0.014 + noise.gauss(0, 0.03), accuracy=barely, count=300 + seed_like, every=1)
        assert judged(made, many_pairs).state == "stagnant"


def test_flat_margin_whose_accuracy_leaves_it_open_is_neither_good_nor_a_fault() -> None:
    made = rows(lambda share, noise: 0.03 + noise.gauss(0, 0.05), accuracy=lambda share, noise: noise.gauss(0.6, 0.1))
    found = judged(made)
    assert (found.state, found.severity) == ("start", None)
    assert "chosen wins over 60 %" in found.sentence


def test_large_margin_has_levelled_off_however_noisy_its_labels_are() -> None:
    made = rows(lambda share, noise: 0.4 + noise.gauss(0, 0.1), accuracy=lambda share, noise: noise.gauss(0.58, 0.05))
    assert judged(made).state == "levelled_off"


def test_ipo_margin_is_measured_by_the_spread_of_its_pairs() -> None:
    ipo = MarginSettings.of_run("dpo", {"loss_type": "ipo", "per_device_train_batch_size": 16}, 200)
    assert judged(rows(lambda share, noise: 2.0 + noise.gauss(0, 0.5)), ipo).state == "levelled_off"
    assert judged(rows(lambda share, noise: 0.2 + noise.gauss(0, 0.5)), ipo).state != "levelled_off"


def test_flat_margin_at_nothing_is_stagnant_and_critical_when_late() -> None:
    shuffled = rows(lambda share, noise: noise.gauss(0, 0.008), accuracy=coin, loss=math.log(2))
    early = judged(shuffled[:25])
    late = judged(shuffled[:60])
    assert (early.state, early.severity) == ("stagnant", "warning")
    assert (late.state, late.severity) == ("stagnant", "critical")
    assert "which holds 0" in late.sentence
    assert "a coin wins 50 %" in late.sentence
    assert "above +0.0100" in late.finding


def test_margin_that_grows_by_next_to_nothing_is_too_small_although_chosen_always_wins() -> None:
    found = judged(rows(lambda share, noise: 1e-5 * share, accuracy=lambda share, noise: 1.0))
    assert (found.state, found.severity) == ("too_small", "warning")


def test_small_margin_is_no_fault_before_a_fifth_of_the_run() -> None:
    long_run = MarginSettings(trainer="dpo", beta=0.1, pairs=16, max_steps=2000)
    assert judged(rows(lambda share, noise: noise.gauss(0, 0.008), accuracy=coin), long_run).state == "start"


def test_small_margin_is_no_fault_while_the_learning_rate_warms_up() -> None:
    made = rows(lambda share, noise: noise.gauss(0, 0.008), accuracy=coin, count=60)
    for index, row in enumerate(made):
        row["learning_rate"] = 1e-6 * (index + 1)
    assert judged(made).state == "start"


def test_small_batches_need_more_points_before_a_small_margin_is_a_fault() -> None:
    few_pairs = MarginSettings(trainer="dpo", beta=0.1, pairs=2, max_steps=200)
    assert judged(rows(lambda share, noise: noise.gauss(0, 0.008), accuracy=coin), few_pairs).state == "start"


def test_negative_margin_with_losing_accuracy_is_inverted() -> None:
    found = judged(rows(lambda share, noise: -0.3 + noise.gauss(0, 0.1), accuracy=lambda share, noise: 0.2))
    assert (found.state, found.severity) == ("inverted", "critical")


def test_negative_margin_that_recovers_is_not_inverted() -> None:
    found = judged(rows(lambda share, noise: -0.6 + 0.5 * share + noise.gauss(0, 0.002), accuracy=lambda s, n: 0.2))
    assert found.state != "inverted"


def test_flipped_labels_show_on_held_out_pairs_only() -> None:
    made = rows(lambda share, noise: 5 * share, accuracy=lambda share, noise: 1.0)
    for row in made[9::10]:
        row |= {"eval_reward_margin": -5 * row["step"] / 200, "eval_reward_accuracy": 0.0}
    found = judged(made[:20])
    assert (found.state, found.severity) == ("inverted", "critical")
    assert "held-out" in found.finding
    assert "training pairs" in found.finding


def test_probe_stands_in_for_missing_evaluations() -> None:
    made = rows(lambda share, noise: 5 * share, accuracy=lambda share, noise: 1.0)
    for row in made[9::10]:
        row |= {"probe_margin": -1.0, "probe_accuracy": 0.0, "probe_margin_se": 0.01}
    assert judged(made).state == "inverted"


def test_held_out_margin_within_its_error_is_not_inverted() -> None:
    made = rows(lambda share, noise: 5 * share, accuracy=lambda share, noise: 1.0)
    for row in made[9::10]:
        row |= {"probe_margin": -0.2, "probe_accuracy": 0.3, "probe_margin_se": 0.1}
    assert judged(made).state == "rising"


def test_swings_that_grow_and_hang_together_are_fluctuating() -> None:
    def course(share: float, noise: random.Random) -> float:
        swing = 0.02 if share < 0.7 else 0.8
        return 0.3 + swing * math.sin(share * 300) + noise.gauss(0, 0.02)

    found = judged(rows(course, accuracy=winning, count=160, every=1))
    assert (found.state, found.severity) == ("fluctuating", "warning")


def test_scatter_of_small_batches_is_not_fluctuating() -> None:
    def course(share: float, noise: random.Random) -> float:
        return 0.3 + noise.gauss(0, 0.02 if share < 0.7 else 0.8)

    assert judged(rows(course, accuracy=winning, count=160, every=1)).state != "fluctuating"


def test_every_training_pair_won_without_held_out_pairs_is_saturated() -> None:
    made = rows(lambda share, noise: 5 + share, accuracy=lambda share, noise: 1.0, loss=0.01)
    assert judged(made).state == "saturated"
    for row in made[9::10]:
        row |= {"eval_reward_margin": 4.0, "eval_reward_accuracy": 1.0}
    assert judged(made).state == "rising"


def test_chosen_answers_far_below_the_reference_and_falling_are_displaced() -> None:
    made = rows(lambda share, noise: share, accuracy=winning)
    for row in made:
        row["reward_chosen"] = -20.0 * row["step"] / 200
    assert judged(made).state == "displaced"


def test_margin_that_loses_what_it_had_is_falling() -> None:
    def course(share: float, noise: random.Random) -> float:
        return 1 - abs(share - 0.5) * 1.6 + noise.gauss(0, 0.02)

    losing = judged(rows(course, accuracy=lambda share, noise: 0.5 + 0.4 * course(share, noise)))
    assert (losing.state, losing.severity) == ("falling", "warning")
    holding = judged(rows(course, accuracy=winning))
    assert (holding.state, holding.severity) == ("falling", None)


def test_flat_held_out_margin_is_no_fault_where_training_does_not_optimise_it() -> None:
    ppo = MarginSettings(trainer="ppo", max_steps=200)
    made = [
        {"step": float(step), "probe_margin": 0.0, "probe_accuracy": 0.5, "probe_margin_se": 0.01}
        for step in range(1, 100)
    ]
    found = judged(made, ppo)
    assert (found.state, found.severity) == ("stagnant", "info")


def test_held_out_margin_of_ppo_that_gets_worse_is_inverted_but_only_a_warning() -> None:
    ppo = MarginSettings(trainer="ppo", max_steps=200)
    made = [
        {"step": float(step), "probe_margin": -0.02 * step, "probe_accuracy": 0.2, "probe_margin_se": 0.01}
        for step in range(1, 9)
    ]
    found = judged(made, ppo)
    assert (found.state, found.severity) == ("inverted", "warning")


def test_scale_follows_beta_and_is_free_under_other_losses() -> None:
    settings = MarginSettings.of_run(
        "dpo", {"beta": 0.5, "loss_type": ["sigmoid"], "per_device_train_batch_size": 4}, 100
    )
    assert settings.smallest == pytest.approx(0.05)
    assert settings.pairs == 4.0
    assert MarginSettings.of_run("dpo", {"beta": 0.5, "loss_type": "ipo"}, 100).smallest == 0.0
    assert MarginSettings.of_run("grpo", {"beta": 0.0}, 100).smallest == pytest.approx(0.01)


def test_pairs_behind_a_point_count_accumulation_and_logging_interval() -> None:
    config = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4, "logging_steps": 10, "world_size": 2}
    assert MarginSettings.of_run("dpo", config, 100).pairs == 160


def test_verdict_on_series_is_the_verdict_row_by_row() -> None:
    made = rows(lambda share, noise: noise.gauss(0, 0.008), accuracy=coin)
    steps = [int(row["step"]) for row in made]
    series = {name: (steps, [row[name] for row in made]) for name in ("reward_margin", "reward_accuracy")}
    assert verdict(series, settings=DPO) == judged(made)


def test_numbers_carry_the_interval_of_a_second_computation() -> None:
    made = rows(lambda share, noise: noise.gauss(0, 0.008), accuracy=coin)
    window = [row["reward_margin"] for row in made[50:]]
    mean = sum(window) / len(window)
    numbers = {number.label: number.value for number in judged(made).numbers}
    assert numbers["margin, mean"] == pytest.approx(mean)
    assert numbers["margin, 95 % low"] < mean < numbers["margin, 95 % high"]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
def test_margins_that_are_no_numbers_are_counted_and_left_out(value: float | None) -> None:
    course = MarginCourse(DPO)
    course.add(1, {"reward_margin": value})
    assert (course.tracker.lost, course.tracker.history.count) == (1, 0)
    assert course.verdict().state == "start"


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, 1e30, -1e30, 1e300])
def test_constant_and_huge_margins_are_judged_without_error(value: float) -> None:
    assert judged(rows(lambda share, noise: value)).finding


def test_memory_is_bounded_and_nothing_is_lost() -> None:
    history = MarginHistory()
    for step in range(10_000):
        history.add(MarginPoint(step=step, margin=float(step)))
    assert len(history.blocks) <= MOST_BLOCKS
    assert len(history.newest) == RING
    assert sum(block.margin.count for block in history.blocks) == 10_000
    assert sum(block.margin.total for block in history.blocks) == pytest.approx(sum(range(10_000)))


def test_a_run_that_goes_back_forgets_what_came_after() -> None:
    tracker = MarginTracker(DPO)
    for row in rows(lambda share, noise: share, accuracy=winning):
        tracker.add(int(row["step"]), row)
    tracker.rewind(101)
    assert tracker.history.count == 50
    assert tracker.history.newest[-1].step == 100


def test_error_of_a_mean_covers_the_truth_as_often_as_it_says() -> None:
    noise = random.Random(3)
    inside = 0
    for _ in range(400):
        found = estimate(noise.gauss(1.0, 2.0) for _ in range(40))
        inside += found.low <= 1.0 <= found.high
    assert 0.90 <= inside / 400 <= 0.98


def test_trend_of_noise_has_no_direction_and_that_of_a_line_has() -> None:
    noise = random.Random(3)
    flat = sum(trend([noise.gauss(0, 1) for _ in range(50)]).direction != 0 for _ in range(300))
    assert flat <= 6
    assert trend([0.1 * index + noise.gauss(0, 0.5) for index in range(50)]).direction == 1
    assert trend([-0.1 * index + noise.gauss(0, 0.5) for index in range(50)]).direction == -1


def test_independent_draws_look_like_sampling_and_waves_do_not() -> None:
    noise = random.Random(3)
    draws = sum(looks_like_sampling([noise.gauss(0, 1) for _ in range(50)]) for _ in range(200))
    assert draws >= 190
    assert not looks_like_sampling([math.sin(index / 2) for index in range(50)])
