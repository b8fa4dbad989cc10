"""What a sampler gives: numbers, and what it found to be absent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

GIB = 1 << 30
MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """A device, a reading or a library that is not there, and why."""

    what: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One reading of a part of the machine."""

    values: Mapping[str, float] = field(default_factory=dict)
    absent: tuple[Absence, ...] = ()


class Sampler(Protocol):
    """Reads a part of the machine; never raises for what is not there."""

    def sample(self) -> Sample: ...
