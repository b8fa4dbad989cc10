"""The rules that run on every run unless told otherwise."""

from __future__ import annotations

from runvitals.diagnostics.rules import (
    bottleneck,
    entropy_collapse,
    gpu_throttled,
    gpu_underused,
    grad_norm_explosion,
    heartbeat_lost,
    kl_blowup,
    loss_divergence,
    loss_spike,
    margin,
    margin_late,
    masked_nan,
    memory_creep,
    non_finite,
    progress_stalled,
    rank_imbalance,
    run_crashed,
    throughput_drop,
    zero_advantage_groups,
)
from runvitals.diagnostics.types import Rule


def default_rules() -> tuple[Rule, ...]:
    """All rules, causes before symptoms."""
    return (
        run_crashed.RULE,
        heartbeat_lost.RULE,
        progress_stalled.RULE,
        non_finite.RULE,
        masked_nan.RULE,
        grad_norm_explosion.RULE,
        loss_spike.RULE,
        loss_divergence.RULE,
        *margin.RULES,
        *margin_late.RULES,
        kl_blowup.RULE,
        entropy_collapse.RULE,
        zero_advantage_groups.RULE,
        throughput_drop.RULE,
        gpu_underused.RULE,
        bottleneck.RULE,
        memory_creep.RULE,
        gpu_throttled.RULE,
        rank_imbalance.RULE,
    )
