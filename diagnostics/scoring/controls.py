"""Detectors that know nothing: what any figure has to be compared with."""

from __future__ import annotations

import random
from dataclasses import dataclass

from runvitals.diagnostics.scoring.measuring import point
from runvitals.diagnostics.scoring.types import LabelledRun, Point


@dataclass(frozen=True, slots=True)
class AlwaysFires:
    """Fires anew at every row."""

    name: str = "control: always fires"
    source: str = ""

    def points(self, run: LabelledRun) -> list[Point]:
        """Score: 0.0 and then 1.0 at each row."""
        return [point("always", row, score) for row in run.rows for score in (0.0, 1.0)]


@dataclass(frozen=True, slots=True)
class NeverFires:
    """Fires nowhere."""

    name: str = "control: never fires"
    source: str = ""

    def points(self, run: LabelledRun) -> list[Point]:
        """Score: 0.0 throughout."""
        return [point("never", row, 0.0) for row in run.rows]


@dataclass(frozen=True, slots=True)
class RandomlyFires:
    """Fires at a row with a given probability, whatever the row holds. Seeded by the run's name."""

    rate: float
    name: str = "control: random, same rate"
    source: str = ""

    def points(self, run: LabelledRun) -> list[Point]:
        """Score: 1.0 and more at a share `rate` of the rows."""
        draw = random.Random(run.name)
        return [point("random", row, self.rate / (1.0 - draw.random())) for row in run.rows]
