"""Reward models that are wrong on purpose, in the shape that TRL's PPO asks of a reward model: a backbone and a score."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

PAID_WORD = ","
"""The word that the hacked reward pays for: each reply of the untrained bot has it once."""


class TokenReward(nn.Module):  # type: ignore[misc]  # torch is not followed by mypy
    """Gives each text so far `constant` plus how often it has said the paid token."""

    base_model_prefix = "backbone"

    def __init__(self, *, paid_token: int | None, constant: float = 0.0) -> None:
        super().__init__()
        self.backbone = _TokenCount(paid_token, constant)
        self.score = nn.Identity()


class _TokenCount(nn.Module):  # type: ignore[misc]  # torch is not followed by mypy
    def __init__(self, paid_token: int | None, constant: float) -> None:
        super().__init__()
        self.paid_token = paid_token
        self.constant = constant

    def forward(self, input_ids: torch.Tensor, **_: Any) -> SimpleNamespace:
        """`hidden_states[-1]`: (batch, time, 1), the reward of the text up to each token."""
        paid = torch.zeros_like(input_ids) if self.paid_token is None else input_ids == self.paid_token
        reward = paid.cumsum(1).float() + self.constant
        return SimpleNamespace(hidden_states=(reward.unsqueeze(-1),))
