from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from runvitals.trainers.corrections import corrected, ppo_factor
from runvitals.trainers.logs import is_evaluation, is_summary, samples_per_step, tokens_so_far, with_learning_rate


def optimizer(rate: float) -> Any:
    return SimpleNamespace(param_groups=[{"lr": rate}])


def test_a_rate_that_a_callback_changed_is_told_as_the_optimizer_has_it() -> None:
    assert with_learning_rate({"learning_rate": 1e-3}, optimizer(9.5)) == {"learning_rate": 9.5}


def test_the_same_rate_with_another_rounding_stays_as_it_was_logged() -> None:
    logged = {"learning_rate": 0.1 + 0.2}
    assert with_learning_rate(logged, optimizer(0.3)) == logged


def test_a_rate_is_added_where_the_trainer_has_another_name_for_it() -> None:
    assert with_learning_rate({"lr": 0.5}, optimizer(0.5)) == {"lr": 0.5, "learning_rate": 0.5}


def test_none_stays_none() -> None:
    assert with_learning_rate({"reward": None}, None) == {"reward": None}


def test_the_summary_is_known_by_its_loss_and_not_by_its_runtime() -> None:
    assert is_summary({"train_loss": 1.0, "train_runtime": 2.0})
    assert not is_summary({"loss": 1.0, "train_runtime": 2.0})


def test_an_evaluation_is_known_by_its_prefix() -> None:
    assert is_evaluation({"eval_loss": 1.0, "epoch": 1})
    assert not is_evaluation({"loss": 1.0, "epoch": 1})


@pytest.mark.parametrize(
    ("logs", "state", "tokens"),
    [
        ({"num_tokens": 12.0}, {"num_input_tokens_seen": 7}, 12.0),
        ({}, {"num_input_tokens_seen": 7}, 7.0),
        ({}, {"total_flos": 600.0}, 100.0),
        ({}, {"total_flos": 0.0}, None),
    ],
)
def test_tokens_come_from_the_best_source_there_is(logs: Any, state: Any, tokens: float | None) -> None:
    assert tokens_so_far(logs, SimpleNamespace(**state), 6.0) == tokens


def test_samples_of_a_step_count_all_processes() -> None:
    arguments = SimpleNamespace(train_batch_size=4, gradient_accumulation_steps=2, world_size=8, batch_size=99)
    assert samples_per_step(arguments, "sft") == 64
    assert samples_per_step(arguments, "ppo") == 99


@pytest.mark.parametrize(
    ("slots", "minibatch", "micro_batch", "factor"),
    [(2, 4, 4, 2.0), (4, 4, 4, 4.0), (8, 16, 4, 2.0), (1, 2, 4, 1.0), (2, 8, 4, 1.0)],
)
def test_the_factor_is_the_empty_share_of_trls_table(
    slots: int, minibatch: int, micro_batch: int, factor: float
) -> None:
    arguments = SimpleNamespace(
        gradient_accumulation_steps=slots, local_mini_batch_size=minibatch, per_device_train_batch_size=micro_batch
    )
    assert ppo_factor(arguments) == factor


def test_raw_values_stay_and_corrected_ones_stand_beside_them() -> None:
    logs = {"val/ratio": 0.5, "val/ratio_var": 0.25, "objective/kl": 1.0}
    assert corrected(logs, 2.0) == {"corrected/val/ratio": 1.0}
    assert corrected(logs, 1.0) == {}
