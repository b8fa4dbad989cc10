"""Steps and times of rows, which all series logged in them share: what follows from them is worked out once, not once a series."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from runvitals.collectors.records import NO_STEP
from runvitals.store.codec import pack_clock
from runvitals.store.levels import BUCKET, marks_of_rows
from runvitals.store.types import Floats, Ints


class SharedRows:
    """Steps and times of consecutive rows. steps: (n,) int64; times_s: (n,) float64; n from 1 on."""

    def __init__(self, steps: Ints, times_s: Floats) -> None:
        self.steps = steps
        self.times_s = times_s
        self._cuts: dict[tuple[int, int], SharedRows] = {}

    def __len__(self) -> int:
        return self.steps.size

    def cut(self, start: int, stop: int) -> SharedRows:
        """The rows from index `start` up to, not including, `stop`; the same object whoever asks."""
        if (start, stop) not in self._cuts:
            self._cuts[start, stop] = SharedRows(self.steps[start:stop], self.times_s[start:stop])
        return self._cuts[start, stop]

    @cached_property
    def blob(self) -> bytes:
        """Steps and times, packed."""
        return pack_clock(self.steps, self.times_s)

    @cached_property
    def bounds(self) -> tuple[int, int, float, float]:
        """Lowest and highest step, NO_STEP included, and time: the range columns of a block."""
        return int(self.steps.min()), int(self.steps.max()), float(self.times_s.min()), float(self.times_s.max())

    @cached_property
    def step_range(self) -> tuple[int, int] | None:
        """Lowest and highest step of the rows that have one, None where none has."""
        low, high = self.bounds[:2]
        if high == NO_STEP:
            return None
        return (low if low != NO_STEP else int(self.steps[self.steps >= 0].min())), high

    @cached_property
    def marks(self) -> Ints:
        """What the level-1 buckets of these rows say of steps and times."""
        return marks_of_rows(self.steps, self.times_s, np.arange(0, len(self), BUCKET))


class RowsSeen:
    """Gives series of the same rows the same SharedRows, within one transaction."""

    def __init__(self) -> None:
        # An id names an array only as long as that lives, so the arrays are kept beside it.
        self._by_arrays: dict[tuple[int, int], tuple[SharedRows, Ints, Floats]] = {}
        self._by_bytes: dict[bytes, SharedRows] = {}
        self._joined: dict[tuple[SharedRows, ...], SharedRows] = {}

    def of(self, steps: Ints, times_s: Floats) -> SharedRows:
        """The rows of these steps and times: known by the arrays themselves, else by what they hold."""
        arrays = (id(steps), id(times_s))
        if arrays not in self._by_arrays:
            held = steps.tobytes() + times_s.tobytes()
            self._by_arrays[arrays] = (self._by_bytes.setdefault(held, SharedRows(steps, times_s)), steps, times_s)
        return self._by_arrays[arrays][0]

    def joined(self, pieces: tuple[SharedRows, ...]) -> SharedRows:
        """The rows of all pieces, one after the other."""
        if len(pieces) == 1:
            return pieces[0]
        if pieces not in self._joined:
            self._joined[pieces] = SharedRows(
                np.concatenate([piece.steps for piece in pieces]), np.concatenate([piece.times_s for piece in pieces])
            )
        return self._joined[pieces]
