"""A toy language model, its tokenizer and a toy reward model, made in code and kept in a cache.

The policy that DPO, PPO and GRPO start from is trained on the untrained bot's conversations for a second or two, once a
machine: it is cached under its recipe's hash, and written so that several runs may start at once.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    PreTrainedTokenizerFast,
)

from runvitals.trainers.recipes import toy_data

CACHE_VERSION = 1
"""Raised when the training below changes in a way that the fields of ToyTraining do not show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToyTraining:
    """How a cached toy model is trained; every field is part of its cache key."""

    steps: int
    batch: int = 64
    learning_rate: float = 3e-3
    seed: int = 7


BASE_TRAINING = ToyTraining(steps=80)
POLICY_TRAINING = ToyTraining(steps=300, learning_rate=6e-3)
REWARD_TRAINING = ToyTraining(steps=150, learning_rate=2e-3)


def make_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer with one token a word of the toy world; texts are split at spaces and joined with spaces."""
    words = ["<pad>", "<eos>", "<unk>", *toy_data.vocabulary()]
    core = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", padding_side="left"
    )


def model_config(tokenizer: PreTrainedTokenizerFast, **extra: Any) -> LlamaConfig:
    """The shape of every toy model: about 0.1 million parameters."""
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=128,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        tie_word_embeddings=True,
        initializer_range=0.1,  # the usual 0.02 makes a model this small learn four times slower
        **extra,
    )


def new_model(tokenizer: PreTrainedTokenizerFast, *, seed: int) -> LlamaForCausalLM:
    """A toy language model that knows nothing yet."""
    torch.manual_seed(seed)
    return LlamaForCausalLM(model_config(tokenizer))


def base(tokenizer: PreTrainedTokenizerFast, cache: Path) -> LlamaForCausalLM:
    """The toy base model: it has heard the toy language and does not speak it well yet."""
    return LlamaForCausalLM.from_pretrained(_cached_policy(tokenizer, cache, "base", BASE_TRAINING))


def policy(tokenizer: PreTrainedTokenizerFast, cache: Path) -> LlamaForCausalLM:
    """The toy policy: it speaks the toy language, half the time rudely, seven times in ten rightly."""
    return LlamaForCausalLM.from_pretrained(_cached_policy(tokenizer, cache, "policy", POLICY_TRAINING))


def _cached_policy(tokenizer: PreTrainedTokenizerFast, cache: Path, name: str, training: ToyTraining) -> Path:
    def train() -> LlamaForCausalLM:
        return _train_policy(tokenizer, training)

    return _cached(cache, name, training, train)


def new_classifier(tokenizer: PreTrainedTokenizerFast, cache: Path, *, seed: int) -> LlamaForSequenceClassification:
    """A model that gives a text one number: the toy policy with a head that knows nothing yet."""
    body = policy(tokenizer, cache).model
    torch.manual_seed(seed)
    model = LlamaForSequenceClassification(model_config(tokenizer, num_labels=1))
    model.model.load_state_dict(body.state_dict())
    return model


def reward_model(tokenizer: PreTrainedTokenizerFast, cache: Path) -> LlamaForSequenceClassification:
    """The toy reward model: trained on pairs, it gives a right and kind reply about 2 more than a flawed one."""

    def train() -> LlamaForSequenceClassification:
        return _train_reward_model(tokenizer, REWARD_TRAINING, cache)

    folder = _cached(cache, "reward", REWARD_TRAINING, train)
    return LlamaForSequenceClassification.from_pretrained(folder)


def _cached(cache: Path, name: str, training: ToyTraining, train: Callable[[], Any]) -> Path:
    """The folder of the trained model. Whoever comes first trains it; a rename makes it visible whole or not at all."""
    recipe = [CACHE_VERSION, torch.__version__, dataclasses.asdict(training), toy_data.vocabulary()]
    key = hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:16]
    folder = cache / f"{name}-{key}"
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=cache, prefix=f".{name}-"))
    train().save_pretrained(unfinished)
    try:
        unfinished.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
        shutil.rmtree(unfinished)  # another process was first; its model is the same
    return folder


def _train_policy(tokenizer: PreTrainedTokenizerFast, training: ToyTraining) -> LlamaForCausalLM:
    model = new_model(tokenizer, seed=training.seed)
    corpus = toy_data.texts(4000, seed=training.seed)

    def loss(rng: random.Random) -> torch.Tensor:
        batch = encode(tokenizer, rng.sample(corpus, training.batch))
        labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
        return model(**batch, labels=labels).loss

    _optimise(model, loss, training)
    return model


def _train_reward_model(
    tokenizer: PreTrainedTokenizerFast, training: ToyTraining, cache: Path
) -> LlamaForSequenceClassification:
    model = new_classifier(tokenizer, cache, seed=training.seed)
    pairs = toy_data.pairs(8000, seed=training.seed)

    def loss(rng: random.Random) -> torch.Tensor:
        rows = rng.sample(pairs, training.batch // 2)
        replies = [row["prompt"] + row[side] for side in ("chosen", "rejected") for row in rows]
        chosen, rejected = model(**encode(tokenizer, replies)).logits.squeeze(-1).chunk(2)
        return -torch.nn.functional.logsigmoid(chosen - rejected).mean()

    _optimise(model, loss, training)
    return model


def encode(tokenizer: PreTrainedTokenizerFast, lines: Sequence[str]) -> dict[str, torch.Tensor]:
    """The lines with an end token each, padded to one batch."""
    batch = tokenizer([line + " <eos>" for line in lines], padding=True, return_tensors="pt")
    return {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}


def _optimise(model: torch.nn.Module, loss: Callable[[random.Random], torch.Tensor], training: ToyTraining) -> None:
    """Trains with AdamW and a learning rate that falls to zero in a line."""
    rng = random.Random(training.seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=training.learning_rate)
    for step in range(training.steps):
        optimizer.param_groups[0]["lr"] = training.learning_rate * (1 - step / training.steps)
        value = loss(rng)
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
