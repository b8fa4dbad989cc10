"""A model of 0.1 million parameters, its tokenizer and a made-up world of preferences, all made in code, for real trainings in seconds."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    PreTrainedTokenizerFast,
    set_seed,
)

THINGS = ("apple", "bread", "cloud", "drum", "earth", "fire", "grass", "house")
NICE = ("good", "kind", "warm", "calm")
NASTY = ("bad", "rude", "cold", "loud")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    words = ["<pad>", "<eos>", "<unk>", "say:", "is", *THINGS, *NICE, *NASTY]
    core = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split("<eos>", "isolated")]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", padding_side="left"
    )
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m['content'] }} {% endfor %}{% if add_generation_prompt %}say: {% endif %}"
    )
    return tokenizer


def shape(**extra: Any) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=24,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=64,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=None,
        **extra,
    )


@dataclass
class Tiny:
    """What the trainings of the tests are made of; models with the same seed are the same."""

    tokenizer: PreTrainedTokenizerFast = field(default_factory=tiny_tokenizer)

    def policy(self, seed: int = 0, **extra: Any) -> LlamaForCausalLM:
        torch.manual_seed(seed)
        return LlamaForCausalLM(shape(**extra))

    def judge(self, seed: int = 1) -> LlamaForSequenceClassification:
        torch.manual_seed(seed)
        return LlamaForSequenceClassification(shape(num_labels=1))

    def pairs(self, count: int, seed: int = 3) -> list[dict[str, str]]:
        made = random.Random(seed)
        rows = []
        for _ in range(count):
            thing = made.choice(THINGS)
            nice = " ".join(made.choices(NICE, k=made.randint(1, 4)))
            nasty = " ".join(made.choices(NASTY, k=made.randint(1, 4)))
            rows.append({"prompt": f"say: {thing} is", "chosen": f" {nice}", "rejected": f" {nasty}"})
        return rows


@pytest.fixture
def tiny() -> Tiny:
    return Tiny()


class FakeRun:
    """A run that keeps what it is told, in order: ("log", values, step), ("event", kind, data, step), ("phase", name), ("finish", status)."""

    id = "fake"

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def log(self, values: dict[str, Any], step: int | None = None) -> None:
        self.told.append(("log", dict(values), step))

    def event(self, kind: str, data: dict[str, Any], step: int | None = None) -> None:
        self.told.append(("event", kind, dict(data), step))

    def phase(self, name: str) -> None:
        self.told.append(("phase", name))

    def finish(self, status: str = "finished") -> None:
        self.told.append(("finish", status))

    def note_exception(self, error: BaseException) -> None:
        self.told.append(("exception", error))

    def rows(self, key: str) -> list[tuple[int, dict[str, Any]]]:
        return [(entry[2], entry[1]) for entry in self.told if entry[0] == "log" and key in entry[1]]

    def values(self, key: str) -> list[Any]:
        return [row[key] for _, row in self.rows(key)]

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [entry[2] for entry in self.told if entry[0] == "event" and entry[1] == kind]

    def phases(self) -> list[str]:
        return [entry[1] for entry in self.told if entry[0] == "phase"]


@pytest.fixture
def fake_run() -> FakeRun:
    return FakeRun()


def common(folder: Any, **changes: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "output_dir": str(folder),
        "max_steps": 6,
        "per_device_train_batch_size": 4,
        "logging_steps": 2,
        "report_to": "none",
        "use_cpu": True,
        "bf16": False,
        "disable_tqdm": True,
        "save_strategy": "no",
        "seed": 0,
        "learning_rate": 3e-3,
        "dataloader_pin_memory": False,
    }
    return {**settings, **changes}


class Trainings:
    """Builds trainers of each kind over the tiny world; equal arguments build equal trainers."""

    def __init__(self, folder: Any, tiny: Tiny) -> None:
        self.folder, self.tiny = folder, tiny

    def build(self, kind: str, callback: Any, **changes: Any) -> Any:
        set_seed(0)  # TRL's PPO shuffles by numpy and seeds only torch
        return getattr(self, kind)([callback] if callback is not None else [], common(self.folder, **changes))

    def _pairs(self) -> Any:
        from datasets import Dataset

        return Dataset.from_list(self.tiny.pairs(32))

    def pretrain(self, callbacks: list[Any], settings: dict[str, Any]) -> Any:
        from transformers import Trainer, TrainingArguments

        rows = []
        for pair in self.tiny.pairs(32):
            ids = self.tiny.tokenizer(pair["prompt"] + pair["chosen"], padding="max_length", max_length=8)["input_ids"]
            rows.append({"input_ids": ids, "labels": ids})
        return Trainer(
            self.tiny.policy(),
            TrainingArguments(**settings),
            train_dataset=rows,
            eval_dataset=rows[:8],
            callbacks=callbacks,
        )

    def sft(self, callbacks: list[Any], settings: dict[str, Any]) -> Any:
        from trl import SFTConfig, SFTTrainer

        rows = self._pairs().map(lambda pair: {"completion": pair["chosen"]}, remove_columns=["chosen", "rejected"])
        return SFTTrainer(
            self.tiny.policy(attention_dropout=0.1),
            args=SFTConfig(**settings),
            train_dataset=rows,
            eval_dataset=rows.select(range(8)),
            processing_class=self.tiny.tokenizer,
            callbacks=callbacks,
        )

    def sft_lora(self, callbacks: list[Any], settings: dict[str, Any]) -> Any:
        from peft import LoraConfig
        from trl import SFTConfig, SFTTrainer

        rows = self._pairs().map(lambda pair: {"completion": pair["chosen"]}, remove_columns=["chosen", "rejected"])
        torch.manual_seed(5)
        return SFTTrainer(
            self.tiny.policy(),
            args=SFTConfig(**settings),
            train_dataset=rows,
            processing_class=self.tiny.tokenizer,
            peft_config=LoraConfig(r=4, lora_dropout=0.1, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"),
            callbacks=callbacks,
        )

    def dpo(self, callbacks: list[Any], settings: dict[str, Any]) -> Any:
        from datasets import Dataset
        from trl import DPOConfig, DPOTrainer

        return DPOTrainer(
            self.tiny.policy(),
            ref_model=self.tiny.policy(),
            args=DPOConfig(**settings),
            train_dataset=self._pairs(),
            eval_dataset=Dataset.from_list(self.tiny.pairs(16, seed=9)),
            processing_class=self.tiny.tokenizer,
            callbacks=callbacks,
        )

    def reward(self, callbacks: list[Any], settings: dict[str, Any]) -> Any:
        from trl import RewardConfig, RewardTrainer

        return RewardTrainer(
            self.tiny.judge(),
            args=RewardConfig(**settings),
            train_dataset=self._pairs(),
            processing_class=self.tiny.tokenizer,
            callbacks=callbacks,
        )

    def grpo(self, callbacks: list[Any], settings: dict[str, Any]) -> Any:
        from trl import GRPOConfig, GRPOTrainer

        def length(completions: list[str], **_: Any) -> list[float]:
            return [float(len(completion)) for completion in completions]

        arguments = GRPOConfig(**settings, num_generations=4, max_completion_length=8, temperature=1.0)
        return GRPOTrainer(
            self.tiny.policy(),
            reward_funcs=length,
            args=arguments,
            train_dataset=self._pairs().select_columns(["prompt"]),
            processing_class=self.tiny.tokenizer,
            callbacks=callbacks,
        )

    def ppo(self, callbacks: list[Any], settings: dict[str, Any]) -> Any:
        experimental = pytest.importorskip("trl.experimental.ppo", reason="PPO left TRL with 1.13")
        steps = settings.pop("max_steps")
        arguments = experimental.PPOConfig(
            **{"gradient_accumulation_steps": 2, "num_mini_batches": 2, "num_ppo_epochs": 2, **settings},
            total_episodes=8 * steps,
            response_length=8,
            num_sample_generations=0,
            stop_token="eos",
        )
        ids = [{"input_ids": self.tiny.tokenizer(pair["prompt"])["input_ids"]} for pair in self.tiny.pairs(32)]
        from datasets import Dataset

        rows = Dataset.from_list(ids)
        return experimental.PPOTrainer(
            args=arguments,
            processing_class=self.tiny.tokenizer,
            model=self.tiny.policy(),
            ref_model=self.tiny.policy(),
            reward_model=self.tiny.judge(),
            value_model=self.tiny.judge(2),
            train_dataset=rows,
            eval_dataset=rows,
            callbacks=callbacks,
        )


@pytest.fixture
def trainings(tmp_path: Any, tiny: Tiny) -> Trainings:
    return Trainings(tmp_path / "output", tiny)
