"""The margin probe in real trainings: it tells what DPOTrainer tells, and training cannot tell that it is there."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from runvitals.trainers.callback import Callback

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::FutureWarning:(trl|transformers|torch|accelerate|peft|datasets).*"),
    pytest.mark.filterwarnings("ignore::UserWarning:(trl|transformers|torch|accelerate|peft|datasets).*"),
]


def always(run: Any, pairs: list[dict[str, str]]) -> Callback:
    """A callback that reads the margin at every step, whatever it costs."""
    callback = Callback(run=run, pairs=pairs)
    callback._budget = 1e9
    return callback


def weights(trainer: Any) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trainer.model.state_dict().items()}


@pytest.mark.parametrize("kind", ["sft", "sft_lora", "dpo", "grpo", "ppo"])
def test_training_is_bit_identical_with_and_without_the_probe(
    trainings: Any, tiny: Any, fake_run: Any, kind: str
) -> None:
    with_probe = trainings.build(kind, always(fake_run, tiny.pairs(12, seed=9)))
    with_probe.train()
    without = trainings.build(kind, None)
    without.train()

    assert [step for step, _ in fake_run.rows("probe/margin")] == [0, 1, 2, 3, 4, 5, 6]
    assert fake_run.events("fault") == []
    found, expected = weights(with_probe), weights(without)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    logged = [[row.get("loss") for row in trainer.state.log_history] for trainer in (with_probe, without)]
    assert logged[0] == logged[1]


def test_the_weights_do_move_so_that_identity_means_something(trainings: Any) -> None:
    trainer = trainings.build("sft", None)
    before = weights(trainer)
    trainer.train()

    assert any(not torch.equal(before[name], value) for name, value in weights(trainer).items())


def test_the_margin_is_what_dpo_trainer_evaluates_on_the_same_pairs(trainings: Any, tiny: Any, fake_run: Any) -> None:
    callback = always(fake_run, tiny.pairs(16, seed=9))
    trainings.build("dpo", callback, eval_strategy="steps", eval_steps=2, learning_rate=1e-2).train()

    probed = dict(fake_run.rows("probe/margin"))
    for step, row in fake_run.rows("eval_rewards/margins"):
        assert probed[step]["probe/margin"] == pytest.approx(row["eval_rewards/margins"], abs=1e-5)
        assert probed[step]["probe/chosen"] == pytest.approx(row["eval_rewards/chosen"], abs=1e-5)
        assert probed[step]["probe/rejected"] == pytest.approx(row["eval_rewards/rejected"], abs=1e-5)
        assert probed[step]["probe/accuracy"] == pytest.approx(row["eval_rewards/accuracies"])
    assert abs(probed[6]["probe/margin"]) > 0.05


def test_an_adapter_is_measured_against_its_base_model(trainings: Any, tiny: Any, fake_run: Any) -> None:
    trainings.build("sft_lora", always(fake_run, tiny.pairs(8, seed=9)), learning_rate=3e-2).train()

    assert fake_run.events("config")[2]["probe"]["reference"] == "adapters off"
    margins = fake_run.values("probe/margin")
    assert margins[0] == 0.0
    assert margins[-1] != 0.0


def test_a_resumed_run_keeps_the_reference_of_its_beginning(
    trainings: Any, tiny: Any, fake_run: Any, tmp_path: Any
) -> None:
    saving = {"save_strategy": "steps", "save_steps": 3}
    pairs = tiny.pairs(8, seed=9)
    trainings.build("sft", always(fake_run, pairs), **saving).train()
    whole = dict(fake_run.rows("probe/margin"))
    fake_run.told.clear()
    trainings.build("sft", always(fake_run, pairs), **saving).train(
        resume_from_checkpoint=str(tmp_path / "output" / "checkpoint-3")
    )

    assert fake_run.events("resume") == [{"from_step": 3}]
    assert fake_run.events("config")[2]["probe"]["reference"] == "checkpoint"
    resumed = dict(fake_run.rows("probe/margin"))
    assert sorted(resumed) == [3, 4, 5, 6]
    for step, row in resumed.items():
        assert row["probe/margin"] == pytest.approx(whole[step]["probe/margin"], abs=1e-6)


def test_a_resumed_run_without_the_reference_says_so_and_shows_no_margin(
    trainings: Any, tiny: Any, fake_run: Any, tmp_path: Any
) -> None:
    saving = {"save_strategy": "steps", "save_steps": 3}
    trainings.build("sft", None, **saving).train()
    trainings.build("sft", always(fake_run, tiny.pairs(8)), **saving).train(
        resume_from_checkpoint=str(tmp_path / "output" / "checkpoint-3")
    )

    assert fake_run.rows("probe/margin") == []
    assert "no reference" in fake_run.events("absent")[0]["why"]


def test_the_probe_keeps_to_its_share_of_the_training_time(trainings: Any, tiny: Any, fake_run: Any) -> None:
    trainings.build("sft", Callback(run=fake_run, pairs=tiny.pairs(16), probe_budget=0.05), max_steps=60).train()

    costs = fake_run.values("probe/cost_s")
    trained_s = sum(fake_run.values("perf/step_time_s"))
    assert 2 <= len(costs) < 30
    first, last = costs[0], costs[-1]
    assert sum(costs) - first - last <= 0.05 * trained_s


def test_a_reward_model_has_no_policy_to_probe(trainings: Any, tiny: Any, fake_run: Any) -> None:
    trainings.build("reward", Callback(run=fake_run, pairs=tiny.pairs(4))).train()

    assert fake_run.rows("probe/margin") == []
    assert fake_run.events("absent")[0]["what"] == "margin probe"


def test_out_of_memory_switches_the_probe_off_and_training_goes_on(trainings: Any, tiny: Any, fake_run: Any) -> None:
    class Starved(Callback):
        """Makes every forward pass of an evaluating model fail as a full GPU does."""

        def on_train_begin(self, args: Any, state: Any, control: Any, **found: Any) -> None:
            super().on_train_begin(args, state, control, **found)

            def refuse(module: Any, inputs: Any) -> None:
                if not module.training:
                    raise torch.OutOfMemoryError("CUDA out of memory")

            found["model"].register_forward_pre_hook(refuse)

    callback = Starved(run=fake_run, pairs=tiny.pairs(8))
    callback._budget = 1e9
    trainer = trainings.build("sft", callback)
    trainer.train()

    assert trainer.state.global_step == 6
    assert trainer.model.training
    faults = fake_run.events("fault")
    assert [(fault["where"], fault["disabled"]) for fault in faults] == [("probe", True), ("completions", True)]
    assert "out of memory" in faults[0]["message"]
    assert len(fake_run.rows("probe/margin")) == 1  # the one at the beginning
    assert len(fake_run.rows("loss")) == 3


def test_a_broken_model_gives_a_nan_margin_and_no_accuracy(trainings: Any, tiny: Any, fake_run: Any) -> None:
    trainer = trainings.build("sft", always(fake_run, tiny.pairs(8)), max_steps=2)
    with torch.no_grad():
        trainer.model.lm_head.weight[5, 5] = math.nan
    trainer.train()

    assert math.isnan(fake_run.values("probe/margin")[-1])
    assert math.isnan(fake_run.values("probe/accuracy")[-1])
