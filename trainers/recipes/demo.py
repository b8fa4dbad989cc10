"""The fleet that `make demo` shows: what healthy training looks like, and what goes wrong. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping

from runvitals.trainers.recipes.faults import RecipeName
from runvitals.trainers.recipes.fleet import Entry, Expected

SECONDS = 150
"""How long a run of the demo is made to last, so that all of them move together."""

STEPS: Mapping[RecipeName, int] = {"sft": 300, "dpo": 300, "ppo": 150, "grpo": 200}
HANG_STEPS = 100
"""A short run: it hangs early, so that its silence is over when the others are."""

PROJECT = "demo"


def _entry(name: str, recipe: RecipeName, *arguments: str, expect: Expected = "healthy", hangs: bool = False) -> Entry:
    pace_s = SECONDS / STEPS[recipe]
    paced = ("--project", PROJECT, "--pace_s", str(pace_s), *arguments)
    return Entry(name=name, recipe=recipe, arguments=paced, expect=expect, hangs=hangs)


DEMO = (
    _entry("sft-healthy", "sft"),
    _entry("dpo-healthy", "dpo"),
    _entry("ppo-healthy", "ppo"),
    _entry("grpo-healthy", "grpo"),
    _entry(
        "dpo-shuffled-labels",
        "dpo",
        "--inject",
        "shuffled_labels",
        expect=frozenset({"margin_too_small", "margin_stagnant"}),
    ),
    _entry(
        "ppo-no-kl-penalty",
        "ppo",
        "--inject",
        "reward_hack",
        expect=frozenset({"kl_blowup", "entropy_collapse"}),
    ),
    _entry(
        "sft-lr-ramp",
        "sft",
        "--inject",
        "lr_ramp",
        expect=frozenset({"loss_divergence", "grad_norm_explosion", "non_finite", "masked_nan"}),
    ),
    _entry(
        "sft-hang",
        "sft",
        "--inject",
        "hang",
        "--max_steps",
        str(HANG_STEPS),
        expect=frozenset({"progress_stalled", "heartbeat_lost"}),
        hangs=True,
    ),
)
