"""Synthetic runs with a known fault at a known step: rows as a trainer would log them, seeded."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from runvitals.diagnostics.types import Row

SECONDS_A_ROW = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Faulty:
    """A run that falls ill at row `onset`, the rule that must say so within `delay` rows, and the trainer it is."""

    rule: str
    trainer: str
    rows: tuple[Row, ...]
    onset: int
    delay: int


def row(step: int, **values: float | None) -> Row:
    """One row at a step; underscores that stand for a slash are written as `__`."""
    return Row(
        time_s=1e9 + SECONDS_A_ROW * step,
        step=step,
        values={key.replace("__", "/"): value for key, value in values.items()},
    )


def supervised(count: int, seed: int, *, start: float = 4.0, noise: float = 0.04) -> list[dict[str, float | None]]:
    """Values of a healthy supervised run: a loss that falls by a power law, a gradient norm that falls with it."""
    draw = random.Random(seed)
    values: list[dict[str, float | None]] = []
    for place in range(count):
        loss = start * (1 + place / 10) ** -0.3 * math.exp(draw.gauss(0, noise))
        norm = 2.0 * (1 + place / 5) ** -0.3 * math.exp(draw.gauss(0, 0.15))
        values.append({"loss": loss, "grad_norm": norm, "learning_rate": 1e-4})
    return values


def reinforced(count: int, seed: int) -> list[dict[str, float | None]]:
    """Values of a healthy GRPO run: reward climbs, KL creeps up, entropy falls a little, few groups have no spread."""
    draw = random.Random(seed)
    return [
        {
            "loss": draw.gauss(0, 1e-3),
            "grad_norm": 0.5 * math.exp(draw.gauss(0, 0.3)),
            "reward": 1 - math.exp(-place / 80) + draw.gauss(0, 0.1),
            "reward_std": 0.4,
            "frac_reward_zero_std": draw.choice((0.0, 0.0, 0.25, 0.5)),
            "kl": 0.1 * (1 - math.exp(-place / 60)) * math.exp(draw.gauss(0, 0.3)),
            "entropy": 0.6 + 0.4 * math.exp(-place / 100) + draw.gauss(0, 0.02),
        }
        for place in range(count)
    ]


def to_rows(values: list[dict[str, float | None]]) -> tuple[Row, ...]:
    """The values as rows at steps 1, 2, …"""
    return tuple(Row(time_s=1e9 + SECONDS_A_ROW * step, step=step, values=each) for step, each in enumerate(values, 1))


def _changed(
    values: list[dict[str, float | None]],
    onset: int,
    change: Callable[[dict[str, float | None], int], dict[str, float | None]],
) -> tuple[Row, ...]:
    changed = [each if place < onset else {**each, **change(each, place - onset)} for place, each in enumerate(values)]
    return to_rows(changed)


def _times(value: float | None, factor: float) -> float:
    return (value or 0.0) * factor


def faulty_runs(seed: int) -> Iterator[Faulty]:
    """One run for each fault."""
    onset = 60
    plain = supervised(160, seed)
    policy = reinforced(160, seed)
    yield Faulty(
        rule="non_finite", trainer="sft", onset=onset, delay=0,
        rows=_changed(plain, onset, lambda _, since: {"loss": math.nan, "grad_norm": math.nan}),
    )  # fmt: skip
    yield Faulty(
        rule="masked_nan", trainer="sft", onset=onset, delay=2,
        rows=_changed(plain, onset, lambda _, since: {"loss": 0.0, "grad_norm": math.nan}),
    )  # fmt: skip
    yield Faulty(
        rule="loss_spike", trainer="sft", onset=onset, delay=0,
        rows=_changed(plain, onset, lambda v, since: {"loss": _times(v["loss"], 3.0 if since == 0 else 1.0)}),
    )  # fmt: skip
    yield Faulty(
        rule="loss_divergence", trainer="sft", onset=onset, delay=25,
        rows=_changed(plain, onset, lambda v, since: {"loss": _times(v["loss"], 1.03**since)}),
    )  # fmt: skip
    yield Faulty(
        rule="grad_norm_explosion", trainer="sft", onset=onset, delay=15,
        rows=_changed(plain, onset, lambda v, since: {"grad_norm": _times(v["grad_norm"], 1.3**since)}),
    )  # fmt: skip
    yield Faulty(
        rule="kl_blowup", trainer="grpo", onset=onset, delay=45,
        rows=_changed(policy, onset, lambda v, since: {"kl": _times(v["kl"], 1.15**since)}),
    )  # fmt: skip
    yield Faulty(
        rule="entropy_collapse", trainer="grpo", onset=onset, delay=40,
        rows=_changed(policy, onset, lambda v, since: {"entropy": _times(v["entropy"], 0.9**since), "reward": 0.5}),
    )  # fmt: skip
    yield Faulty(
        rule="zero_advantage_groups", trainer="grpo", onset=onset, delay=25,
        rows=_changed(policy, onset, lambda _, since: {"frac_reward_zero_std": 1.0, "reward": 0.0}),
    )  # fmt: skip
