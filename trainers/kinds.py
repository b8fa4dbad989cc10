"""Which trainer runs: its kind, and the trainer object behind a callback event."""

from __future__ import annotations

import inspect
import sys
from types import FrameType
from typing import Any, Literal

Kind = Literal["pretrain", "sft", "reward", "dpo", "kto", "orpo", "ppo", "grpo", "rloo", "custom"]

_KINDS: dict[str, Kind] = {
    "PPOTrainer": "ppo",
    "GRPOTrainer": "grpo",
    "RLOOTrainer": "rloo",
    "DPOTrainer": "dpo",
    "KTOTrainer": "kto",
    "ORPOTrainer": "orpo",
    "RewardTrainer": "reward",
    "SFTTrainer": "sft",
}

_CONFIGS: dict[str, Kind] = {name.replace("Trainer", "Config"): kind for name, kind in _KINDS.items()}


def trainer_kind(trainer_class: type) -> Kind:
    """The kind by class name, nearest ancestor first, so that a user's subclass of DPOTrainer is still "dpo".

    Names and not classes: the same trainer lives in other modules from one TRL release to the next, and PPO is gone from 1.13 on.
    Transformers' own Trainer is "pretrain"; a subclass of it that is none of TRL's is "custom".
    """
    for ancestor in trainer_class.__mro__:
        if ancestor.__name__ in _KINDS:
            return _KINDS[ancestor.__name__]
    plain = trainer_class.__name__ == "Trainer" and trainer_class.__module__.startswith("transformers.")
    return "pretrain" if plain else "custom"


def kind_of_arguments(arguments_class: type) -> Kind:
    """The kind by the class of the training arguments, for when the trainer itself was not found."""
    for ancestor in arguments_class.__mro__:
        if ancestor.__name__ in _CONFIGS:
            return _CONFIGS[ancestor.__name__]
    return "pretrain" if arguments_class.__name__ == "TrainingArguments" else "custom"


def find_trainer(callback_event: FrameType | None = None) -> Any | None:
    """The trainer that fired the callback event which is being handled, or None.

    No event carries it, so the stack is walked up to the first `self` that has a callback handler and a state. Looked up statically:
    a strange object on the way, whose `__getattr__` raises or works, is not asked.
    """
    frame = callback_event or sys._getframe(1)
    current: FrameType | None = frame
    while current is not None:
        candidate = current.f_locals.get("self")
        if candidate is not None and _has(candidate, "callback_handler") and _has(candidate, "state"):
            return candidate
        current = current.f_back
    return None


def _has(candidate: Any, name: str) -> bool:
    missing = object()
    return inspect.getattr_static(candidate, name, missing) is not missing


def class_name(trainer: Any | None) -> str | None:
    """The trainer's class with its module; None where the trainer was not found."""
    return None if trainer is None else f"{type(trainer).__module__}.{type(trainer).__qualname__}"
