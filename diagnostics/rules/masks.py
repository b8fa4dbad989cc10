"""What rules about statistics wait out: a resume, after which the level is another, and a learning rate that jumps."""

from __future__ import annotations

from runvitals.diagnostics.timeline import Timeline


class Resumes:
    """Whether the run was resumed, or went back to an earlier step, since the last time somebody asked."""

    __slots__ = ("_seen", "_timeline")

    def __init__(self, timeline: Timeline) -> None:
        """Nothing was asked yet."""
        self._timeline = timeline
        self._seen = timeline.resumes

    def is_new(self) -> bool:
        """True once after each resume."""
        resumes = self._timeline.resumes
        if resumes == self._seen:
            return False
        self._seen = resumes
        return True


class RateJump:
    """Whether the learning rate has just jumped below its peak: a schedule that warms up again, or that steps down.

    A rate that climbs to new heights is no such jump: that is the first warm-up, or the fault itself. Jumps on end count as one, so that
    a rate that never rests hides nothing for long.
    """

    __slots__ = ("_left", "_rows", "_seen", "_since", "_timeline")

    def __init__(self, timeline: Timeline, rows: int) -> None:
        """rows: how many rows of the caller a jump lasts."""
        self._timeline = timeline
        self._rows = rows
        self._seen = timeline.jumps
        self._since = rows
        self._left = 0

    def read(self) -> bool:
        """True while a jump is new. To be asked once for each row of the caller."""
        jumps = self._timeline.jumps
        self._since += 1
        if self._left:
            self._left -= 1
        if jumps != self._seen:
            if self._since > self._rows and not self._timeline.warming_up:
                self._left = self._rows
            self._seen, self._since = jumps, 0
        return self._left > 0
