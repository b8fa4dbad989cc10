"""The states of a margin, and the numbers that tell one from another; a rules file may set them.

The rules and the verdict work with one `MarginLimits`, so that an alert and the verdict beside it never rest on different numbers.
A size in nats is multiplied by beta before a margin is compared with it; it says nothing where the loss is none on a sigmoid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from runvitals.diagnostics.limits import in_order, limit

MarginState = Literal[
    "start",
    "rising",
    "levelled_off",
    "too_small",
    "fluctuating",
    "stagnant",
    "inverted",
    "saturated",
    "displaced",
    "falling",
]

HOLD: Mapping[MarginState, int] = {
    "inverted": 1,
    "displaced": 2,
    "stagnant": 2,
    "too_small": 2,
    "fluctuating": 2,
    "falling": 2,
    "saturated": 2,
}
"""The faults that have a rule, the gravest first, and the bad judgements on end before each stands."""

CLEAR = 3
"""Clear judgements on end before a fault stands no more."""

CHANCE = 0.55
"""An accuracy below it is hardly better than a coin (0.5)."""

CLEARLY = 0.6
"""An accuracy that may well be above it, by its 95 % interval, is not called weak: small batches cannot tell. One that is for sure
above it tells pairs apart."""

EARLIEST = 0.2
"""Share of the run before which a small margin is no fault yet."""

LATE = 0.5
"""From this share of the run on, a margin flat at nothing with accuracy at chance is critical: half the money is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TooSmallLimits:
    """When a margin that grows is too small."""

    nats: float = limit(
        0.1,
        "times beta: a margin below it tells nothing apart, whether it grows or is flat",
        unit="nat",
        least=0.001,
        most=100.0,
    )
    accuracy: float = limit(
        CHANCE, "share of pairs that chosen wins, below which it is too small", least=0.5, most=0.98
    )
    surely: float = limit(
        CLEARLY, "a share that may well be above it, by its 95 % interval, is not", least=0.51, most=0.99
    )
    after: float = limit(EARLIEST, "share of the run before which nothing is said", least=0.0, most=0.95)

    def __post_init__(self) -> None:
        in_order(self, "accuracy", "surely")


@dataclass(frozen=True, slots=True, kw_only=True)
class StagnantLimits:
    """When a flat margin is stagnant, and not levelled off."""

    nats: float = limit(
        0.5,
        "times beta: a flat margin above it has levelled off, one below it is stagnant, late",
        unit="nat",
        least=0.001,
        most=100.0,
    )
    accuracy: float = limit(CHANCE, "share of pairs that chosen wins, below which it is stagnant", least=0.5, most=0.98)
    surely: float = limit(
        CLEARLY,
        "a share above it for sure, by its 95 % interval, has levelled off; one below it for sure is stagnant, late",
        least=0.51,
        most=0.99,
    )
    after: float = limit(EARLIEST, "share of the run before which nothing is said", least=0.0, most=0.95)
    late: float = limit(
        LATE,
        "share of the run from which it is late, and critical where chosen wins as a coin would",
        least=0.01,
        most=1.0,
    )

    def __post_init__(self) -> None:
        in_order(self, "accuracy", "surely")
        in_order(self, "after", "late")


@dataclass(frozen=True, slots=True, kw_only=True)
class InvertedLimits:
    """When a margin has the wrong sign."""

    errors: float = limit(
        4.0, "standard errors by which training pairs prefer the rejected answer", least=1.0, most=100.0
    )
    held_out_errors: float = limit(3.0, "the same for one reading of held-out pairs", least=1.0, most=100.0)
    held_out_nats: float = limit(
        0.5, "times beta: held-out pairs must be below minus this", unit="nat", least=0.001, most=100.0
    )
    held_out_accuracy: float = limit(
        0.4, "share of held-out pairs that chosen wins, below which they prefer the rejected one", least=0.01, most=0.5
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FluctuatingLimits:
    """When a margin swings."""

    times: float = limit(2.0, "times the swings before", least=1.0, most=100.0)
    size: float = limit(1.0, "times the margin's own size", least=0.1, most=100.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SaturatedLimits:
    """When training pairs have nothing more to teach."""

    accuracy: float = limit(
        0.98, "share of training pairs that chosen wins, above which they are saturated", least=0.6, most=0.9999
    )
    loss: float = limit(0.1, "loss below which they are", unit="nat", least=0.0001, most=1.0)
    held_out_accuracy: float = limit(
        0.9, "share of held-out pairs that chosen wins, below which it is told", least=0.5, most=1.0
    )
    lost: float = limit(
        0.3, "share of its best that the held-out margin has lost, for a warning", least=0.05, most=10.0
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplacedLimits:
    """When chosen answers are unlearnt."""

    nats: float = limit(
        100.0,
        "that chosen answers have lost since the start; or below the reference, where no log-probabilities are logged",
        unit="nat",
        least=1.0,
        most=10_000.0,
    )
    times: float = limit(3.0, "times as improbable as at the start", least=1.1, most=100.0)
    below_reference: float = limit(
        20.0, "below the reference, while the margin gains nothing", unit="nat", least=0.1, most=10_000.0
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FallingLimits:
    """When a margin has lost what it had."""

    lost: float = limit(0.3, "share of its best that the margin has lost", least=0.05, most=10.0)
    nats: float = limit(0.5, "times beta: what it must have lost at least", unit="nat", least=0.001, most=100.0)


StateLimits = (
    TooSmallLimits
    | StagnantLimits
    | InvertedLimits
    | FluctuatingLimits
    | SaturatedLimits
    | DisplacedLimits
    | FallingLimits
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginLimits:
    """The limits of all states, and by state the judgements on end before a fault stands, and before it stands no more."""

    too_small: TooSmallLimits = TooSmallLimits()
    stagnant: StagnantLimits = StagnantLimits()
    inverted: InvertedLimits = InvertedLimits()
    fluctuating: FluctuatingLimits = FluctuatingLimits()
    saturated: SaturatedLimits = SaturatedLimits()
    displaced: DisplacedLimits = DisplacedLimits()
    falling: FallingLimits = FallingLimits()
    hold: Mapping[MarginState, int] = field(default_factory=lambda: dict(HOLD))
    clear: Mapping[MarginState, int] = field(default_factory=lambda: dict.fromkeys(HOLD, CLEAR))
