"""What went wrong inside runvitals while a training ran: counted, said once on stderr, told in the run."""

from __future__ import annotations

import sys
from contextlib import suppress

_MAX_KINDS = 1000
"""Different faults that are told apart; the rest is counted together."""


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

    def untold(self) -> list[dict[str, str | int]]:
        """The data of a `fault` event for each fault that was not told or has happened again since; they then count as told."""
        events: list[dict[str, str | int]] = []
        for key, count in self._counts.items():
            if self._told.get(key) != count:
                self._told[key] = count
                events.append({"where": key[0], "count": count, "message": key[1]})
        return events


def say(message: str) -> None:
    """Prints one line on stderr, where there is one."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):  # a closed stderr must not end a training
            sys.stderr.write(f"runvitals: {message}\n")
