"""The faults that a recipe can train with on purpose, and which recipes each of them fits. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal, get_args

from runvitals.errors import RecipeError

RecipeName = Literal["pretrain", "sft", "reward", "dpo", "ppo", "grpo"]
RECIPES: tuple[RecipeName, ...] = get_args(RecipeName)

ONSET = 0.4
"""The share of the run after which a fault that has a beginning begins: late enough for a healthy stretch to compare with."""


class Fault(Enum):
    """What `--inject` takes."""

    LR_RAMP = "lr_ramp"
    SHUFFLED_LABELS = "shuffled_labels"
    FLIPPED_LABELS = "flipped_labels"
    ZERO_LR = "zero_lr"
    CONSTANT_REWARD = "constant_reward"
    REWARD_HACK = "reward_hack"
    NAN = "nan"
    SLOW_LOADER = "slow_loader"
    HANG = "hang"
    CRASH = "crash"


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultFacts:
    """What a fault does and which recipes can have it."""

    does: str
    fits: tuple[RecipeName, ...]


_WITH_LOSS: tuple[RecipeName, ...] = ("pretrain", "sft", "reward", "dpo")
_WITH_PAIRS: tuple[RecipeName, ...] = ("reward", "dpo")
_WITH_REWARDS: tuple[RecipeName, ...] = ("ppo", "grpo")

FACTS: dict[Fault, FaultFacts] = {
    Fault.LR_RAMP: FaultFacts(
        does="from 40 % on the learning rate grows by 8 % a step and nothing is clipped: the run diverges", fits=RECIPES
    ),
    Fault.SHUFFLED_LABELS: FaultFacts(does="chosen and rejected are swapped in half of the pairs", fits=_WITH_PAIRS),
    Fault.FLIPPED_LABELS: FaultFacts(does="chosen and rejected are swapped in every pair", fits=_WITH_PAIRS),
    Fault.ZERO_LR: FaultFacts(does="the learning rate is zero: the run costs time and learns nothing", fits=RECIPES),
    Fault.CONSTANT_REWARD: FaultFacts(does="every reply earns the same reward", fits=_WITH_REWARDS),
    Fault.REWARD_HACK: FaultFacts(
        does="the reward pays for one word over and over, and no KL penalty holds the policy back: it blows up",
        fits=_WITH_REWARDS,
    ),
    Fault.NAN: FaultFacts(
        does="from 40 % on one weight is NaN; the trainer's NaN filter stays on and logs a loss of 0", fits=_WITH_LOSS
    ),
    Fault.SLOW_LOADER: FaultFacts(does="from 40 % on the data loader takes half a second a batch", fits=RECIPES),
    Fault.HANG: FaultFacts(does="at 40 % the data loader waits for ever; the process stays alive", fits=RECIPES),
    Fault.CRASH: FaultFacts(does="at 40 % the data loader meets a row that it cannot read, and raises", fits=RECIPES),
}

LOADER_FAULTS = frozenset({Fault.SLOW_LOADER, Fault.HANG, Fault.CRASH})


def check_fits(fault: Fault | None, recipe: RecipeName) -> None:
    """Raises RecipeError where this recipe cannot have this fault, naming those that can."""
    if fault is None or recipe in FACTS[fault].fits:
        return
    fitting = ", ".join(FACTS[fault].fits)
    raise RecipeError(f"--inject {fault.value} does not fit the recipe {recipe}: it fits {fitting}")


def listing(recipe: RecipeName) -> str:
    """One line a fault that fits the recipe, for its `--help`."""
    width = max(len(fault.value) for fault in Fault)
    return "\n".join(
        f"  {fault.value:<{width}}  {facts.does}" for fault, facts in FACTS.items() if recipe in facts.fits
    )
