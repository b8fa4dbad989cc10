"""Generations of a series: which of its points a later one has taken the place of.

A point with a step begins a new generation where its step is lower than that of the stepped point before it, or, where another
writer wrote that one, lower or equal. It supersedes every earlier point whose step is its own or higher. All that a
reader needs is the rewinds that still say something: where a later one went back as far or further, it says all that the earlier did.
So both their indices and their steps increase, and a point is superseded where its step is not below that of the first rewind after it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runvitals.collectors.records import NO_STEP
from runvitals.store.types import Floats, Generation, Ints

MOST_REWINDS = 1024
"""Rewinds kept for a series: 16 KiB. Beyond it the oldest are dropped, and what they superseded counts as current again."""

_Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Rewinds:
    """The rewinds of a series that still say something. firsts: (k,) index of each one's point; steps: (k,) its step. Both increase."""

    firsts: Ints
    steps: Ints

    def __len__(self) -> int:
        return self.firsts.size

    @property
    def last(self) -> int:
        """Index of the point that began the newest generation; -1 where there is one generation only."""
        return int(self.firsts[-1]) if self.firsts.size else -1

    def limits(self, indices: Ints) -> Floats:
        """For points by index of arrival: the step from which on each is superseded, inf where nothing came after it."""
        found: Floats = np.append(self.steps.astype(np.float64), np.inf)[
            np.searchsorted(self.firsts, indices, side="right")
        ]
        return found

    def kept(self, first: int, steps: Ints, generation: Generation) -> _Mask:
        """Which of the consecutive points from index `first` on belong to what is asked for."""
        if generation == "all":
            return np.ones(steps.size, bool)
        superseded: _Mask = steps >= self.limits(np.arange(first, first + steps.size))
        return superseded if generation == "superseded" else ~superseded


NO_REWINDS = Rewinds(np.empty(0, np.int64), np.empty(0, np.int64))


def unpack_rewinds(blob: bytes | None) -> Rewinds:
    """The rewinds that a front has packed; none for None."""
    if not blob:
        return NO_REWINDS
    words = np.frombuffer(blob, "<i8").reshape(-1, 2)
    return Rewinds(words[:, 0], words[:, 1])


@dataclass(frozen=True, slots=True)
class Front:
    """What decides whether the next point goes back: columns of the table `series`.

    last_writer, last_step: of the newest point that has a step; "" where the store did not note it yet, NO_STEP where there is none.
    rewinds: the packed rewinds, None where there is none.
    """

    last_writer: str
    last_step: int
    rewinds: bytes | None

    def moved(self, writer: str, steps: Ints, *, first: int) -> Front:
        """The front after points of one writer. steps: (n,) in order of arrival, NO_STEP where a row had none. first: index of the first one."""
        begun = self.last_step
        if self.last_writer not in ("", writer) and begun != NO_STEP:
            begun += 1  # from another writer an equal step goes back too
        if steps.size and steps[0] >= max(begun, 0) and not (steps[1:] < steps[:-1]).any():
            return Front(writer, int(steps[-1]), self.rewinds)
        indices = np.flatnonzero(steps >= 0)
        if not indices.size:
            return self
        stepped = steps[indices]
        back = stepped < np.append(begun, stepped[:-1])
        rewinds = _added(self.rewinds, first + indices[back], stepped[back]) if back.any() else self.rewinds
        return Front(writer, int(stepped[-1]), rewinds)


def _added(blob: bytes | None, firsts: Ints, steps: Ints) -> bytes:
    """The packed rewinds after further ones: an earlier one lasts where all later ones went back less far."""
    known = unpack_rewinds(blob)
    firsts, steps = np.append(known.firsts, firsts), np.append(known.steps, steps)
    lowest_after = np.minimum.accumulate(steps[::-1])[::-1][1:]
    lasting = np.append(steps[:-1] < lowest_after, True)
    return np.stack((firsts[lasting], steps[lasting]), axis=1)[-MOST_REWINDS:].astype("<i8").tobytes()
