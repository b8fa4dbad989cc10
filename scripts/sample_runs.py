"""The sample runs: one of each kind of trainer and of trouble, and a sweep of copies where many are wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One sample run. age_s: since its last step. kind picks the curves; probe is where its held-out margin ends."""

    name: str
    trainer: str
    kind: str
    step: int
    max_steps: int
    age_s: float
    status: str = "running"
    health: str = "healthy"
    finding: str = ""
    alerts: int = 0
    probe: float | None = None
    config: Mapping[str, Any] = field(default_factory=dict)


SAMPLES = (
    Sample(
        name="dpo-7b-stagn-lr1e9",
        trainer="dpo",
        kind="stagnant",
        step=200,
        max_steps=200,
        age_s=97_200,
        status="finished",
        health="warning",
        finding="Margin too small",
        alerts=1,
        probe=0.0,
        config={"beta": 0.1, "learning_rate": 1e-9},
    ),
    Sample(
        name="sft-7b-base",
        trainer="sft",
        kind="sft",
        step=300,
        max_steps=300,
        age_s=34_800,
        status="finished",
        config={"learning_rate": 2e-5},
    ),
    Sample(
        name="ppo-7b-helpful-kl01",
        trainer="ppo",
        kind="ppo",
        step=200,
        max_steps=200,
        age_s=18_120,
        status="finished",
        probe=1.97,
        config={"kl_coef": 0.1},
    ),
    Sample(
        name="sft-7b-filtered",
        trainer="sft",
        kind="masked",
        step=120,
        max_steps=120,
        age_s=7_800,
        status="finished",
        health="critical",
        finding="Loss hides NaN since 60",
        alerts=2,
    ),
    Sample(
        name="sft-13b-fsdp",
        trainer="sft",
        kind="sft",
        step=60,
        max_steps=300,
        age_s=2_460,
        status="crashed",
        health="critical",
        finding="Crashed: CUDA error",
        alerts=1,
    ),
    Sample(
        name="sft-13b-node2",
        trainer="sft",
        kind="sft",
        step=188,
        max_steps=300,
        age_s=840,
        status="stalled",
        health="warning",
        finding="No step for 14 min",
        alerts=1,
    ),
    Sample(
        name="dpo-7b-clean-lr3e5",
        trainer="dpo",
        kind="clean",
        step=186,
        max_steps=240,
        age_s=3,
        probe=3.96,
        config={"beta": 0.1, "learning_rate": 3e-5},
    ),
    Sample(
        name="grpo-math-b005",
        trainer="grpo",
        kind="grpo",
        step=204,
        max_steps=240,
        age_s=4,
        probe=0.447,
        config={"beta": 0.05},
    ),
    Sample(
        name="grpo-math-nobeta",
        trainer="grpo",
        kind="collapsed",
        step=132,
        max_steps=240,
        age_s=1,
        health="warning",
        finding="Entropy collapse",
        alerts=1,
        probe=-0.010,
        config={"beta": 0.0},
    ),
    Sample(
        name="ppo-7b-helpful-kl0",
        trainer="ppo",
        kind="hacked",
        step=96,
        max_steps=200,
        age_s=6,
        health="critical",
        finding="KL blow-up",
        alerts=5,
        probe=-3.08,
        config={"kl_coef": 0.0},
    ),
    Sample(
        name="dpo-7b-uf-b01",
        trainer="dpo",
        kind="stagnant",
        step=148,
        max_steps=200,
        age_s=2,
        health="critical",
        finding="Margin stagnant",
        alerts=3,
        probe=0.009,
        config={"beta": 0.1, "learning_rate": 5e-5, "dataset": {"revision": "e77ab9", "shuffle_labels": True}},
    ),
    Sample(
        name="dpo-7b-b05",
        trainer="dpo",
        kind="clean",
        step=0,
        max_steps=240,
        age_s=0,
        status="starting",
        health="unknown",
        config={"beta": 0.5},
    ),
)


def many(number: int) -> tuple[Sample, ...]:
    """The sample runs and copies of the healthy ones up to `number`."""
    healthy = [sample for sample in SAMPLES if not sample.finding and sample.step]
    extra = max(0, number - len(SAMPLES))
    return (*(replace(healthy[at % len(healthy)], name=f"sweep-{at:03d}") for at in range(extra)), *SAMPLES)
