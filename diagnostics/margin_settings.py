"""What must be known of a run to judge its margin, as far as its config tells it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runvitals.diagnostics.margin_limits import MarginLimits

DEFAULT_BETA = 0.1
"""TRL's default for DPO, KTO, ORPO and our probe. A margin acts on a sigmoid loss as it is, so 0.1 times it is small under any beta."""

OPTIMISES_MARGIN = frozenset({"dpo", "kto", "orpo", "reward", "custom"})
"""Trainers that bring the margin up. For all others it is measured by the probe, and a flat one is no fault."""

_SCALE_FREE_LOSSES = frozenset({"ipo", "hinge", "sppo_hard", "aot", "aot_unpaired", "aot_pair"})

_NEGLIGIBLE = 0.2
"""Of the smallest margin that tells anything apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginSettings:
    """What must be known of a run to judge its margin, and the limits that it is judged by.

    other_scale: the loss does not put the margin through a sigmoid (IPO, hinge), so that no size of it means anything by itself.
    pairs: pairs behind one logged training point, probe_pairs: behind each reading of the probe, which are always the same ones; if known.
    """

    trainer: str = "custom"
    beta: float | None = None
    other_scale: bool = False
    pairs: float | None = None
    probe_pairs: float | None = None
    max_steps: int | None = None
    limits: MarginLimits = field(default_factory=MarginLimits)

    @property
    def optimises(self) -> bool:
        """True where training itself brings the margin up."""
        return self.trainer in OPTIMISES_MARGIN

    @property
    def reference_free(self) -> bool:
        """True where the margin compares the policy with nothing, so that it may well start below 0."""
        return self.trainer == "orpo"

    @property
    def smallest(self) -> float:
        """A margin below it tells nothing apart: 0.1 nat times beta, TRL's default of 0.1 where beta is unknown."""
        return self.scaled(self.limits.too_small.nats)

    @property
    def negligible(self) -> float:
        """A margin of this size has not moved, however often chosen wins: 0.02 nat times beta."""
        return _NEGLIGIBLE * self.smallest

    @property
    def material(self) -> float:
        """A flat margin above it has levelled off, even where few pairs are told apart by it: 0.5 nat times beta."""
        return self.scaled(self.limits.stagnant.nats)

    def scaled(self, nats: float) -> float:
        """So many nats as a margin: times beta; 0 where sizes mean nothing."""
        return nats * (0.0 if self.other_scale else self.beta or DEFAULT_BETA)

    @classmethod
    def of_run(
        cls, trainer: str, config: Mapping[str, Any], max_steps: int | None, limits: MarginLimits | None = None
    ) -> MarginSettings:
        """Settings as far as a run's config (TRL's argument names) tells them. limits: ours where None."""
        beta = _number(config, "beta") if trainer in ("dpo", "kto", "orpo") else None
        losses = config.get("loss_type")
        losses = set(losses) if isinstance(losses, (list, tuple)) else {losses}
        other_scale = bool(losses & _SCALE_FREE_LOSSES)
        return cls(
            trainer=trainer,
            beta=beta if beta and beta > 0 and not other_scale else None,
            other_scale=other_scale,
            pairs=_pairs_a_point(config),
            probe_pairs=probe_pairs(config),
            max_steps=max_steps,
            limits=limits or MarginLimits(),
        )


def probe_pairs(config: Mapping[str, Any]) -> float | None:
    """The number of held-out pairs of the probe, which its config event tells; None where it does not."""
    probe = config.get("probe")
    return _number(probe, "pairs") if isinstance(probe, Mapping) else None


def _number(config: Mapping[str, Any], name: str) -> float | None:
    value = config.get(name)
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _pairs_a_point(config: Mapping[str, Any]) -> float | None:
    """Pairs behind one logged margin: batch × accumulation × processes × steps between logs; None where the batch is not known."""
    batch = _number(config, "per_device_train_batch_size")
    if not batch:
        return None
    every = _number(config, "logging_steps") or 1.0
    processes = _number(config, "world_size") or 1.0
    return batch * (_number(config, "gradient_accumulation_steps") or 1.0) * processes * max(1.0, every)
