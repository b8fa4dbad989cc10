"""What a run is doing, derived from its signs of life. Pure: the time is an argument."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["starting", "running", "stalled", "hung", "crashed", "stopped", "finished"]
Vitality = Literal["steady", "slow", "stuck"]

SILENT_S = 15.0
"""Silence of a process on another host after which it counts as stalled: seven missed heartbeats."""

GONE_S = 300.0
"""Silence of a process on another host after which it counts as crashed; W&B's server waits as long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """What is known of a run's process.

    ended: status given by its finish record, if one came. alive: whether the process exists; None where that cannot be known.
    heard_s: time of its newest record. stepped: whether any training step was logged.
    vitality: what the progress rules say: steady, slow (warning) or stuck (critical).
    """

    ended: str | None
    alive: bool | None
    heard_s: float
    stepped: bool
    vitality: Vitality


def derive_status(signs: Signs, now_s: float) -> Status:
    """The run's status. A process known to be gone without a finish record has crashed, whatever else is said."""
    if signs.ended in ("finished", "stopped", "crashed"):
        return signs.ended  # type: ignore[return-value]
    if signs.alive is False:
        return "crashed"
    if signs.alive is None:
        silence_s = now_s - signs.heard_s
        if silence_s > GONE_S:
            return "crashed"
        if silence_s > SILENT_S:
            return "stalled"
    if signs.vitality == "stuck":
        return "hung"
    if signs.vitality == "slow":
        return "stalled"
    return "running" if signs.stepped else "starting"
