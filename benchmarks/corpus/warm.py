"""Imports what every run of the corpus needs, before the nursery forks: nothing here is used by name."""

from __future__ import annotations

import peft  # noqa: F401
import torch
from transformers import DataCollatorForLanguageModeling, Trainer  # noqa: F401
from trl import (  # noqa: F401
    DPOConfig,
    DPOTrainer,
    GRPOConfig,
    GRPOTrainer,
    ModelConfig,
    RewardConfig,
    RewardTrainer,
    ScriptArguments,
    SFTConfig,
    SFTTrainer,
    TrlParser,
)
from trl.experimental.ppo import PPOConfig, PPOTrainer  # noqa: F401

from runvitals.collectors import run as _run  # noqa: F401
from runvitals.trainers import callback  # noqa: F401
from runvitals.trainers.recipes import dpo, grpo, ppo, pretrain, reward, sft  # noqa: F401

torch.set_num_threads(1)  # before the fork: threads of a parent are not in its children
