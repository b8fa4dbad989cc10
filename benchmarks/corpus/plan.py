"""What the corpus holds: settings × seeds, healthy, and broken by cause; which half each belongs to. Needs no torch.

A setting (recipe, learning rate, batch, logging interval, schedule) is wholly in the fit half or wholly in the test half, healthy and
broken runs alike, by a hash of its name: nobody chooses, and no run of the test half has a twin in the fit half.

Once a test half has been looked at, it is one more half to fit on. So there are parts drawn later, each of settings and seeds that none
before it has: `fresh`; `last`, whose runs are all healthy and so tell of false warnings alone; and `closing`, scored once at the end.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Literal

from runvitals.trainers.recipes.faults import FACTS, RecipeName

Half = Literal["fit", "test", "fresh", "last", "closing"]

Setting = tuple[float, int, int, str]
"""Factor of the learning rate, batch, logging interval, schedule."""

STEPS: dict[RecipeName, int] = {"pretrain": 250, "sft": 250, "reward": 250, "dpo": 250, "ppo": 120, "grpo": 150}
RATES: dict[RecipeName, float] = {"pretrain": 3e-3, "sft": 1e-3, "reward": 1e-3, "dpo": 3e-4, "ppo": 5e-4, "grpo": 5e-4}
BATCHES: dict[RecipeName, tuple[int, int]] = {
    "pretrain": (4, 8), "sft": (8, 16), "reward": (16, 32), "dpo": (16, 32), "ppo": (16, 32), "grpo": (16, 32),
}  # fmt: skip
FACTORS = (0.3, 1.0, 1.7)
LOGGING = (1, 5, 10)
SCHEDULES = ("cosine", "linear", "constant_with_warmup")

SETTINGS = 12
"""Settings of a recipe."""
SEEDS = (1, 2)
BROKEN_SETTINGS = 4
"""Settings of a recipe that each cause is tried on: about half of them end in each half."""
LATER: tuple[tuple[Half, int, tuple[int, int], int], ...] = (
    ("fresh", 6, (3, 4), 2),
    ("last", 6, (5, 6), 0),
    ("closing", 4, (7, 8), 1),
)
"""Parts drawn later: name, settings of a recipe, seeds, and how many of the settings each cause is tried on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """A way to break a run. fits: recipes. fault: the rule family that is about it, or families. arguments: for the recipe's command line.

    is_sure: the run is broken by definition; else its label waits for the outcome, which is compared with its healthy twin.
    late: it begins at 40 % of the run. is_harmless: nothing is wrong with it, and a warning is a false one.
    """

    name: str
    fits: tuple[RecipeName, ...]
    fault: str
    arguments: tuple[str, ...] = ()
    rate: float = 1.0
    is_sure: bool = True
    late: bool = False
    is_harmless: bool = False


_ALL: tuple[RecipeName, ...] = ("pretrain", "sft", "reward", "dpo", "ppo", "grpo")
_LOSS: tuple[RecipeName, ...] = ("pretrain", "sft", "reward", "dpo")
_PAIRS: tuple[RecipeName, ...] = ("reward", "dpo")
_FAMILIES = {
    "lr_ramp": "divergence/policy", "shuffled_labels": "preference", "flipped_labels": "preference", "zero_lr": "stall",
    "constant_reward": "policy", "reward_hack": "policy", "nan": "divergence", "slow_loader": "stall/resource", "hang": "stall",
    "crash": "stall",
}  # fmt: skip
_LATE = frozenset({"lr_ramp", "nan", "slow_loader", "hang", "crash"})

_SAVED = ("--save_strategy", "steps", "--save_steps", "100", "--save_total_limit", "1")
_SAVED_REPEATING = (*_SAVED, "--ignore_data_skip", "true")

CAUSES: tuple[Cause, ...] = (
    *(
        Cause(
            name=fault.value,
            fits=facts.fits,
            fault=_FAMILIES[fault.value],
            arguments=("--inject", fault.value),
            late=fault.value in _LATE,
        )
        for fault, facts in FACTS.items()
    ),
    Cause(name="lr_x10", fits=_ALL, fault="divergence/policy", rate=10.0, is_sure=False),
    Cause(name="lr_x30", fits=_ALL, fault="divergence/policy", rate=30.0, is_sure=False),
    Cause(
        name="no_warmup", fits=_LOSS, fault="divergence", arguments=("--warmup_steps", "0"), rate=10.0, is_sure=False
    ),
    Cause(name="flips_10", fits=_PAIRS, fault="preference", is_sure=False),
    Cause(name="flips_30", fits=_PAIRS, fault="preference", is_sure=False),
    Cause(name="duplicated_rows", fits=("sft", *_PAIRS), fault="fit", is_sure=False),
    Cause(name="beta_tiny", fits=("dpo",), fault="preference", arguments=("--beta", "0.001"), is_sure=False),
    Cause(name="beta_huge", fits=("dpo",), fault="preference", arguments=("--beta", "20"), is_sure=False),
    Cause(name="masked_labels", fits=("pretrain", "sft"), fault="divergence"),
    Cause(name="corrupt_shard", fits=("pretrain", "sft"), fault="divergence", is_sure=False, late=True),
    Cause(name="length_reward", fits=("grpo",), fault="policy"),
    Cause(name="memory_leak", fits=_LOSS, fault="resource", late=True),
    Cause(name="kill", fits=_ALL, fault="stall", late=True),
    Cause(name="fp16", fits=_LOSS, fault="divergence", is_sure=False),
    Cause(name="repeated_on_resume", fits=_LOSS, fault="meta", arguments=_SAVED_REPEATING, is_sure=False, late=True),
    Cause(name="resumed", fits=_LOSS, fault="meta", arguments=_SAVED, late=True, is_harmless=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One run to make. `control`: the healthy run with the same setting and seed, for causes whose outcome decides the label."""

    name: str
    recipe: RecipeName
    setting: str
    seed: int
    half: Half
    steps: int
    cause: Cause | None = None
    control: str = ""
    arguments: tuple[str, ...] = field(default=())


def plan() -> list[Planned]:
    """Every run, healthy ones of a setting before the broken ones; always the same."""
    return [run for recipe in STEPS for run in (*_of_recipe(recipe), *_later_of_recipe(recipe))]


def half_of(setting: str) -> Half:
    """The half of a setting of those drawn first: the parity of the first byte of its SHA-256."""
    return "fit" if hashlib.sha256(setting.encode()).digest()[0] % 2 else "test"


def _settings(recipe: RecipeName) -> list[Setting]:
    return list(product(FACTORS, BATCHES[recipe], LOGGING, SCHEDULES))


def _of_recipe(recipe: RecipeName) -> Iterator[Planned]:
    chosen = random.Random(recipe).sample(_settings(recipe), SETTINGS)
    yield from _drawn(recipe, chosen, SEEDS, BROKEN_SETTINGS)


def _later_of_recipe(recipe: RecipeName) -> Iterator[Planned]:
    known = random.Random(recipe).sample(_settings(recipe), SETTINGS)
    for part, settings, seeds, broken in LATER:
        others = [setting for setting in _settings(recipe) if setting not in known]
        chosen = random.Random(f"{part} {recipe}").sample(others, settings)
        known += chosen
        for run in _drawn(recipe, chosen, seeds, broken):
            yield replace(run, half=part)


def _drawn(recipe: RecipeName, chosen: list[Setting], seeds: tuple[int, ...], broken: int) -> Iterator[Planned]:
    """The healthy runs of the settings with all seeds, and the broken ones of the first `broken` settings with the first seed."""
    for setting in chosen:
        for seed in seeds:
            yield _planned(recipe, setting, seed, None)
    for setting in chosen[:broken]:
        for cause in CAUSES:
            if recipe in cause.fits:
                yield _planned(recipe, setting, seeds[0], cause)


def _planned(recipe: RecipeName, setting: Setting, seed: int, cause: Cause | None) -> Planned:
    factor, batch, logging, schedule = setting
    label = f"{recipe}-lr{factor}-b{batch}-log{logging}-{schedule.split('_')[0]}"
    control = f"{label}-s{seed}"
    rate = RATES[recipe] * factor * (cause.rate if cause else 1.0)
    length = (
        ("--total_episodes", str(STEPS[recipe] * batch)) if recipe == "ppo" else ("--max_steps", str(STEPS[recipe]))
    )
    interval = () if recipe == "ppo" else ("--logging_steps", str(logging))  # PPO logs each update whatever it is told
    return Planned(
        name=control if cause is None else f"{control}-{cause.name}",
        recipe=recipe,
        setting=label,
        seed=seed,
        half=half_of(label),
        steps=STEPS[recipe],
        cause=cause,
        control=control,
        arguments=(
            *("--learning_rate", str(rate), "--per_device_train_batch_size", str(batch), "--seed", str(seed)),
            *("--lr_scheduler_type", schedule, "--disable_tqdm", "true", *length, *interval),
            *(("--local_rollout_forward_batch_size", str(batch)) if recipe == "ppo" else ()),
            *(cause.arguments if cause else ()),
        ),
    )
