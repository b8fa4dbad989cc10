"""Faults come in by their cause: each cause on its own, on real torch objects."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from runvitals.trainers.recipes.faults import Fault  # noqa: E402
from runvitals.trainers.recipes.injection import (  # noqa: E402
    RAMP_PER_STEP,
    FaultCallback,
    FaultyCollator,
    PaceCallback,
    break_weight,
    ramp_schedule,
    spoil_pairs,
    spoil_settings,
)
from runvitals.trainers.recipes.toy_reward import TokenReward  # noqa: E402

pytestmark = pytest.mark.slow  # importing transformers takes seconds

ROWS = [{"prompt": str(number), "chosen": "good", "rejected": "bad"} for number in range(400)]


def state(step: int, *, of: int = 10) -> Any:
    return SimpleNamespace(global_step=step, max_steps=of)


def begun(fault: Fault) -> FaultCallback:
    clock = FaultCallback(fault)
    clock.on_train_begin(None, state(0), None)
    for step in range(1, 5):
        clock.on_step_end(None, state(step), None, model=None)
    return clock


def test_flipped_labels_swap_every_pair_and_shuffled_labels_half_of_them() -> None:
    assert all(row["chosen"] == "bad" for row in spoil_pairs(ROWS, Fault.FLIPPED_LABELS, seed=1))
    swapped = sum(row["chosen"] == "bad" for row in spoil_pairs(ROWS, Fault.SHUFFLED_LABELS, seed=1))
    assert 0.4 < swapped / len(ROWS) < 0.6
    assert spoil_pairs(ROWS, None, seed=1) == ROWS


def test_the_ramp_leaves_the_schedule_alone_up_to_its_onset_and_multiplies_it_after() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / 20)
    ramp_schedule(SimpleNamespace(scheduler=schedule), onset_step=4)
    rates = []
    for _ in range(8):
        optimizer.step()
        schedule.step()
        rates.append(schedule.get_last_lr()[0])
    assert rates[:4] == pytest.approx([0.95, 0.9, 0.85, 0.8])
    assert rates[4:] == pytest.approx([0.8 * RAMP_PER_STEP**step for step in range(1, 5)])


def test_one_broken_weight_makes_every_output_of_a_last_layer_non_finite() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.LayerNorm(2))
    break_weight(model)
    assert sum(int(torch.isnan(parameter).sum()) for parameter in model.parameters()) == 1
    assert not torch.isfinite(model(torch.ones(1, 2)).sum())


def test_settings_that_are_the_fault_are_changed_and_no_others() -> None:
    def settings() -> Any:
        return SimpleNamespace(learning_rate=1e-3, max_grad_norm=1.0, kl_coef=0.1)

    changed = {}
    for fault in Fault:
        after = settings()
        spoil_settings(after, fault)
        changed[fault] = {key: value for key, value in vars(after).items() if value != getattr(settings(), key)}
    assert changed.pop(Fault.ZERO_LR) == {"learning_rate": 0.0}
    assert changed.pop(Fault.LR_RAMP) == {"max_grad_norm": 0.0}
    assert changed.pop(Fault.REWARD_HACK) == {"kl_coef": 0.0}
    assert not any(changed.values())


def test_a_loader_fault_begins_at_forty_percent_of_the_run() -> None:
    clock = FaultCallback(Fault.CRASH)
    collate = FaultyCollator(len, clock)
    clock.on_train_begin(None, state(0), None)
    for step in range(1, 4):
        clock.on_step_end(None, state(step), None)
        assert collate([1, 2]) == 2
    clock.on_step_end(None, state(4), None)
    with pytest.raises(ValueError, match="injected crash"):
        collate([1, 2])


def test_other_faults_leave_the_loader_as_it_is() -> None:
    assert FaultyCollator(len, begun(Fault.ZERO_LR))([1, 2, 3]) == 3


def test_a_weight_breaks_once_at_the_onset() -> None:
    model = torch.nn.Linear(1, 1)
    clock = FaultCallback(Fault.NAN)
    clock.on_train_begin(None, state(0), None)
    clock.on_step_end(None, state(3), None, model=model)
    assert torch.isfinite(model.bias).all()
    clock.on_step_end(None, state(4), None, model=model)
    assert torch.isnan(model.bias).all()


def test_the_pace_makes_short_steps_last_and_does_not_catch_up_after_a_long_one() -> None:
    sleeps: list[float] = []
    now_s = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now_s
        sleeps.append(seconds)
        now_s += seconds

    pace = PaceCallback(1.0, clock=lambda: now_s, sleep=sleep)
    pace.on_train_begin(None, state(0), None)
    for took_s in (0.25, 3.0, 0.25):
        now_s += took_s
        pace.on_step_end(None, state(1), None)
    assert sleeps == pytest.approx([0.75, 0.75])


def test_an_evaluation_between_two_steps_does_not_make_the_next_one_look_fast() -> None:
    sleeps: list[float] = []
    now_s = 0.0
    pace = PaceCallback(1.0, clock=lambda: now_s, sleep=sleeps.append)
    pace.on_train_begin(None, state(0), None)
    now_s += 5.0  # an evaluation
    pace.on_step_begin(None, state(1), None)
    now_s += 0.25
    pace.on_step_end(None, state(1), None)
    assert sleeps == pytest.approx([0.75])


def test_the_hacked_reward_counts_the_paid_token_and_the_constant_one_counts_nothing() -> None:
    ids = torch.tensor([[5, 3, 3, 1, 3]])
    paid = TokenReward(paid_token=3)
    assert paid.score(paid.backbone(input_ids=ids).hidden_states[-1]).squeeze().tolist() == [0, 1, 2, 2, 3]
    constant = TokenReward(paid_token=None, constant=1.0)
    assert constant.score(constant.backbone(input_ids=ids).hidden_states[-1]).squeeze().tolist() == [1] * 5
