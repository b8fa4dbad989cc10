"""The policy inside what a trainer hands to its callbacks, and a way to look at it that leaves no trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


def unwrap_model(model: Any) -> Any:
    """The model itself, out of DistributedDataParallel, FSDP, DeepSpeed and torch.compile."""
    while True:
        inner = getattr(model, "_orig_mod", None) or getattr(model, "module", None)
        if not isinstance(inner, torch.nn.Module):
            return model
        model = inner


def unwrap_policy(model: Any) -> Any:
    """The policy that is trained, also out of the pair of policy and value model that TRL's PPO trains together."""
    model = unwrap_model(model)
    if hasattr(model, "policy") and hasattr(model, "value_model"):
        model = unwrap_model(model.policy)
    return model


def unwrap_optimizer(optimizer: Any) -> Any:
    """The torch optimizer inside accelerate's wrapper, or the optimizer itself."""
    inner = getattr(optimizer, "optimizer", None)
    return optimizer if inner is None else inner


@contextmanager
def untouched(model: Any) -> Iterator[None]:
    """Inside, the model is in evaluation mode without gradients; afterwards nothing tells that anyone looked.

    Kept: random numbers of the CPU and of every CUDA device in use, each module's own training flag, each parameter's
    `requires_grad` (PEFT sets it when adapters are switched off and on). `no_grad` and not `inference_mode`, whose tensors may stay
    in a model's caches and cannot be trained with afterwards.
    """
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    training = [(module, module.training) for module in model.modules()]
    trainable = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        with torch.random.fork_rng(devices=devices), torch.no_grad():
            model.eval()
            yield
    finally:
        for module, flag in training:
            module.training = flag
        for parameter, flag in trainable:
            parameter.requires_grad_(flag)


def sharding(model: Any) -> str | None:
    """How the model's weights are spread over processes, in words; None where each process has them all."""
    if any(type(module).__name__ == "FullyShardedDataParallel" for module in model.modules()):
        return "FSDP"
    if any(parameter.numel() == 0 or hasattr(parameter, "device_mesh") for parameter in model.parameters()):
        return "ZeRO-3, FSDP2 or tensor parallel"
    return None


def has_adapters(model: Any) -> bool:
    """True for a PEFT model, whose reference is the same model with its adapters switched off."""
    return hasattr(model, "disable_adapter") and hasattr(model, "peft_config")


@contextmanager
def adapters_off(model: Any) -> Iterator[None]:
    """Inside, a PEFT model is its own reference.

    Where DPO continues a trained adapter, TRL keeps a copy of it named "ref", and that is the reference; else it is the base model.
    To be used inside `untouched`, which restores what PEFT changes on the way.
    """
    if "ref" not in model.peft_config:
        with model.disable_adapter():
            yield
        return
    active = model.active_adapter
    model.set_adapter("ref")
    try:
        yield
    finally:
        model.set_adapter(active)
