"""What a run's config says of its trainer, its arguments and its model, without secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import metadata
from typing import Any

_SECRET_NAME = re.compile(
    r"(^|_)(token|secret|password|passphrase|credentials?|(api|access|private|auth|secret)_?key)$"
)
_NOT_SECRET = frozenset({"eos_token", "bos_token", "pad_token", "unk_token", "stop_token"})
_SECRET_VALUE = re.compile(r"^(hf_|sk-|ghp_|github_pat_)[A-Za-z0-9_-]{16,}$|://[^/@\s]*:[^/@\s]+@")

MODEL_FIELDS = (
    "model_type",
    "_name_or_path",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "vocab_size",
    "max_position_embeddings",
)
ADAPTER_FIELDS = ("peft_type", "r", "lora_alpha", "lora_dropout", "target_modules", "use_rslora", "bias")
LIBRARIES = ("torch", "transformers", "trl", "accelerate", "peft", "datasets")


def plain(value: Any) -> Any:
    """The value as JSON can hold it, with every entry left out that is, or by its name may be, a secret."""
    if isinstance(value, Mapping):
        kept = {str(key): entry for key, entry in value.items() if not _secret(str(key), entry)}
        return {key: plain(entry) for key, entry in kept.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        entries = sorted(value, key=str) if isinstance(value, (set, frozenset)) else value
        return [plain(entry) for entry in entries if not _secret("", entry)]
    if value is None or type(value) in (bool, int, float, str):
        return value
    inner = getattr(value, "value", None)
    return inner if isinstance(inner, (str, int)) else str(value)


def _secret(name: str, value: Any) -> bool:
    if _SECRET_NAME.search(name.lower()) and name.lower() not in _NOT_SECRET:
        return True
    return isinstance(value, str) and bool(_SECRET_VALUE.search(value))


def describe_arguments(arguments: Any) -> dict[str, Any]:
    """The training arguments as a flat config."""
    described = plain(arguments.to_dict())
    return described if isinstance(described, dict) else {}


def describe_model(policy: Any) -> dict[str, Any]:
    """The essentials of a model: its shape, its number of parameters, its precision and its adapters."""
    settings = getattr(policy, "config", None)
    described = {name.lstrip("_"): plain(getattr(settings, name)) for name in MODEL_FIELDS if hasattr(settings, name)}
    parameters = list(policy.parameters())
    described["class"] = type(policy).__name__
    described["parameters"] = sum(parameter.numel() for parameter in parameters)
    described["trainable_parameters"] = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
    if parameters:
        described["dtype"] = str(parameters[0].dtype).removeprefix("torch.")
        described["device"] = str(parameters[0].device)
    adapters = getattr(policy, "peft_config", None)
    if isinstance(adapters, Mapping):
        described["adapters"] = {
            name: {field: plain(getattr(adapter, field)) for field in ADAPTER_FIELDS if hasattr(adapter, field)}
            for name, adapter in adapters.items()
        }
    return described


def versions() -> dict[str, str]:
    """Versions of the training libraries that are installed."""
    found = {}
    for library in LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return found
