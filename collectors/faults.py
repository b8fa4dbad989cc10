"""What went wrong inside runvitals while a training ran: counted, said once on stderr, told in the run."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass

_MAX_KINDS = 100
"""Different faults that are told apart; the rest is counted together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What failed, how it failed, how often so far: the data of a `fault` event."""

    where: str
    message: str
    count: int


class Faults:
    """Counts faults by place and message."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}
        self._told: dict[tuple[str, str], int] = {}

    def note(self, where: str, message: str, count: int = 1) -> bool:
        """True where this fault is new."""
        key = (where, message)
        if key not in self._counts and len(self._counts) >= _MAX_KINDS:
            key = (where, "more faults of other kinds")
        new = key not in self._counts
        self._counts[key] = self._counts.get(key, 0) + count
        return new

    def untold(self) -> list[Fault]:
        """The faults that the run was not told of, or that have happened again since."""
        return [
            Fault(where=key[0], message=key[1], count=count)
            for key, count in self._counts.items()
            if self._told.get(key, 0) != count
        ]

    def told(self, fault: Fault) -> None:
        """The run now knows of this fault up to this count."""
        self._told[(fault.where, fault.message)] = fault.count


def say(message: str) -> None:
    """Prints one line on stderr, where there is one."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):  # a closed stderr must not end a training
            sys.stderr.write(f"runvitals: {message}\n")
