"""Labelled runs, what a detector says of them, and what a detector is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from runvitals.diagnostics.types import Happening, Pulse, Row

Label = Literal["none", "broken", "benign-anomaly", "flat", "unknown"]
LABELS: tuple[Label, ...] = ("none", "broken", "benign-anomaly", "flat", "unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledRun:
    """A run whose fate is known.

    severity: none (healthy), broken, benign-anomaly (a warning at most), flat (information at most) or unknown (not scored).
    source: runs of one source weigh together as much as those of any other. fault: for broken runs, the rule family it belongs to;
    "stall/resource" where either of two may rightly name it: it is counted under the first.
    onset_step: where the fault begins; None where nobody knows, and then it counts from the first row but has no delay.
    cause: what was done to it, in one word, where that is known. timed: the rows hold times; where not, their times keep order and say nothing else.
    """

    name: str
    source: str
    kind: str
    severity: Label
    items: Sequence[Row | Happening | Pulse]
    fault: str = ""
    cause: str = ""
    onset_step: int | None = None
    max_steps: int | None = None
    timed: bool = False

    @property
    def families(self) -> tuple[str, ...]:
        """The families that may name the fault, the one it is counted under first; none where nothing is known of it."""
        return tuple(self.fault.split("/")) if self.fault else ()

    @property
    def rows(self) -> list[Row]:
        """The rows alone."""
        return [item for item in self.items if isinstance(item, Row)]

    @property
    def steps(self) -> int:
        """Steps from the first to the last row, both counted."""
        steps = [row.step for row in self.rows if row.step is not None]
        return max(steps) - min(steps) + 1 if steps else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """A warning or worse, once for each episode. severity: the worst it came to."""

    rule: str
    family: str
    step: int | None
    time_s: float
    severity: Literal["warning", "critical"] = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What a measured rule says at one row. score: 1.0 and more fires; the published threshold is 1.0 by definition."""

    rule: str
    step: int | None
    time_s: float
    score: float


class Judge(Protocol):
    """A detector under test. `source`: where its definition is published; empty for our own and the controls."""

    @property
    def name(self) -> str: ...
    @property
    def source(self) -> str: ...

    def firings(self, run: LabelledRun) -> list[Firing]:
        """Its warnings over the run, in order."""
        ...


class Meter(Protocol):
    """A detector that gives each row a score, so that it can be asked what it would catch with another threshold."""

    @property
    def name(self) -> str: ...
    @property
    def source(self) -> str: ...

    def points(self, run: LabelledRun) -> list[Point]:
        """A point for each row it judges, in order for each rule."""
        ...
