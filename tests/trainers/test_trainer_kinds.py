from __future__ import annotations

from typing import Any

import pytest

from runvitals.trainers.kinds import find_trainer, kind_of_arguments, trainer_kind


@pytest.mark.parametrize(
    ("bases", "kind"),
    [
        (("DPOTrainer",), "dpo"),
        (("MyTrainer", "GRPOTrainer"), "grpo"),
        (("RLOOTrainer",), "rloo"),
        (("PPOTrainer",), "ppo"),
        (("KTOTrainer",), "kto"),
        (("ORPOTrainer",), "orpo"),
        (("RewardTrainer",), "reward"),
        (("GKDTrainer", "SFTTrainer"), "sft"),
        (("CPOTrainer",), "custom"),
    ],
)
def test_the_nearest_known_ancestor_names_the_kind(bases: tuple[str, ...], kind: str) -> None:
    found: type = type("Trainer", (), {"__module__": "transformers.trainer"})
    for name in reversed(bases):
        found = type(name, (found,), {"__module__": "somewhere"})

    assert trainer_kind(found) == kind


def test_transformers_own_trainer_is_pretraining_and_a_subclass_is_custom() -> None:
    plain = type("Trainer", (), {"__module__": "transformers.trainer"})

    assert trainer_kind(plain) == "pretrain"
    assert trainer_kind(type("Trainer", (plain,), {"__module__": "mine"})) == "custom"


def test_the_class_of_the_arguments_tells_the_kind_too() -> None:
    base = type("TrainingArguments", (), {})

    assert kind_of_arguments(base) == "pretrain"
    assert kind_of_arguments(type("DPOConfig", (base,), {})) == "dpo"
    assert kind_of_arguments(type("MyConfig", (base,), {})) == "custom"


def test_every_stable_trainer_of_trl_has_its_kind() -> None:
    trl = pytest.importorskip("trl")

    for name, kind in {"SFT": "sft", "DPO": "dpo", "GRPO": "grpo", "RLOO": "rloo", "Reward": "reward"}.items():
        assert trainer_kind(getattr(trl, f"{name}Trainer")) == kind


def test_the_trainer_is_found_up_the_stack() -> None:
    class Handler:
        def fire(self) -> Any:
            return find_trainer()

    class Trainer:
        callback_handler = Handler()
        state = None

        def train(self) -> Any:
            return self.callback_handler.fire()

    trainer = Trainer()
    assert trainer.train() is trainer
    assert find_trainer() is None


def test_a_strange_object_on_the_way_costs_no_trainer() -> None:
    class Strange:
        def __getattr__(self, name: str) -> Any:
            raise KeyError(name)

        def fire(self) -> Any:
            return find_trainer()

    class Trainer:
        def __init__(self) -> None:
            self.callback_handler, self.state = Strange(), None

        def train(self) -> Any:
            return self.callback_handler.fire()

    trainer = Trainer()
    assert trainer.train() is trainer
