"""Which of a run's keys stands for which signal, worked out once for each set of keys: a run may have ten thousand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from runvitals.diagnostics.signals import NODE, best_keys, canonical, device

RANK = "rank/"
"""What the keys of ranks other than the first begin with: `rank/3/loss`."""


def picks(keys: Iterable[str]) -> Mapping[str, str]:
    """Signal → the key to draw for it, of all signals that the keys give."""
    return _picks(tuple(keys))


def unclaimed(keys: Iterable[str]) -> tuple[tuple[str, str | None], ...]:
    """The keys that no other panel is made for, in their order and each with its signal: the user's own, and signals by their best key.

    Not among them: samples of devices and machines, and the ranks' own copies of a key; those have panels of their own.
    """
    return _unclaimed(tuple(keys))


@lru_cache(maxsize=32)
def _picks(names: tuple[str, ...]) -> Mapping[str, str]:
    return best_keys(names)


@lru_cache(maxsize=32)
def _unclaimed(names: tuple[str, ...]) -> tuple[tuple[str, str | None], ...]:
    best = _picks(names)
    found = []
    for name in names:
        if name.startswith((NODE, RANK, "host/")) or device(name):
            continue
        signal = canonical(name)
        if signal is None or best[signal] == name:
            found.append((name, signal))
    return tuple(found)
