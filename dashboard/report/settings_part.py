"""A run's settings and surroundings in a report: what matters first, secrets hidden."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from runvitals.dashboard.report.document import Block, Code, Heading, Paragraph, Piece, Pieces, Quiet, Table
from runvitals.dashboard.report.plain import HIDDEN, is_secret_name, without_secret_values
from runvitals.store.types import RunInfo

FIRST = (
    *("trainer", "recipe", "model", "model_name_or_path", "dataset", "dataset_name", "injected_fault"),
    *("learning_rate", "lr", "beta", "kl_coef", "loss_type", "epsilon", "num_generations", "temperature"),
    *("per_device_train_batch_size", "gradient_accumulation_steps", "num_processes", "max_steps", "num_train_epochs"),
    *("lr_scheduler_type", "warmup_steps", "warmup_ratio", "max_grad_norm", "weight_decay", "optim"),
    *("bf16", "fp16", "gradient_checkpointing", "max_length", "max_prompt_length", "max_completion_length", "seed"),
)
"""Settings that explain the most, in this order; what lies inside one of them (`model.name`) goes with it."""

_SURROUNDINGS = ("host", "platform", "python", "gpus", "cuda", "world_size", "git_commit", "argv", "cwd", "user", "pid")
MOST_SETTINGS = 600


def settings_part(run: RunInfo) -> list[Block]:
    """All settings, the most telling first, then by name."""
    flat = dict(_flat(run.config))
    if not flat:
        return [Heading(2, ["Settings"]), Paragraph(["The run was started without any."])]
    named = sorted(flat, key=_place)
    rows = [[[Code(name)], _value(name, flat[name])] for name in named[:MOST_SETTINGS]]
    first = sum(_place(name)[0] < len(FIRST) for name in named)
    blocks: list[Block] = [Heading(2, ["Settings"])]
    if first:
        blocks.append(Table(("What matters first", "Value"), rows[:first]))
    if rows[first:]:
        blocks.append(Table(("All others, by name", "Value"), rows[first:]))
    left = len(named) - len(rows)
    return [*blocks, Paragraph([Quiet(f"{left} more are left out.")])] if left else blocks


def surroundings_part(run: RunInfo) -> list[Block]:
    """The machine, the versions and the command."""
    info = dict(run.info)
    if isinstance(info.get("argv"), (list, tuple)):
        info["argv"] = " ".join(without_secret_values([str(word) for word in info["argv"]]))
    flat = dict(_flat(info))
    order = {name: at for at, name in enumerate(_SURROUNDINGS)}
    names = sorted(flat, key=lambda name: (order.get(name.split(".")[0], len(order)), name))
    rows = [[[Code(name)], _value(name, flat[name])] for name in names[:MOST_SETTINGS]]
    return [Heading(2, ["Surroundings and versions"]), Table(("What", "Value"), rows)] if rows else []


def _place(name: str) -> tuple[int, str]:
    for place, word in enumerate(FIRST):
        if name == word or name.startswith(f"{word}."):
            return place, name
    return len(FIRST), name


def _flat(config: Mapping[str, Any], above: str = "", *, secret: bool = False) -> Iterator[tuple[str, Any]]:
    """Settings by their name, those inside a setting with a dotted one; all that lies under a secret's name is secret too."""
    for name, value in config.items():
        hidden = secret or is_secret_name(str(name))
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{name}.", secret=hidden)
        else:
            yield f"{above}{name}", HIDDEN if hidden and value not in (None, "", False) else value


def _value(name: str, value: Any) -> Pieces:
    if value is None:
        return [Quiet("none")]
    if isinstance(value, str):
        piece: Piece = Code(value) if value else Quiet("empty")
        return [piece]
    return [Code(json.dumps(value, default=str, ensure_ascii=False))]
