"""What a detector says of a labelled run, parted at the onset of its fault, and how long it took to say it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from runvitals.diagnostics.scoring.types import Firing, Judge, LabelledRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A run and what a detector said of it, parted at the onset."""

    run: LabelledRun
    false: tuple[Firing, ...]
    right: tuple[Firing, ...]

    @property
    def all(self) -> tuple[Firing, ...]:
        """Both."""
        return (*self.false, *self.right)


def judge_run(judge: Judge, run: LabelledRun) -> Judged:
    """What the judge says of a run. In a broken run a firing is false up to the last row before its onset was reached.

    By time and not by step, because what fires on an event or on silence comes after the last row and knows no later step.
    """
    firings = judge.firings(run)
    if run.severity != "broken":
        return Judged(run=run, false=tuple(firings), right=())
    healthy_s = _healthy_until_s(run)
    return Judged(
        run=run,
        false=tuple(f for f in firings if f.time_s <= healthy_s),
        right=tuple(f for f in firings if f.time_s > healthy_s),
    )


def _healthy_until_s(run: LabelledRun) -> float:
    """The time of the last row before the first one at or after the onset; minus infinity where there is none."""
    until_s = -math.inf
    for row in run.rows:
        if row.step is None:
            continue
        if run.onset_step is None or row.step >= run.onset_step:
            break
        until_s = row.time_s
    return until_s


def delay_steps(run: LabelledRun, firing: Firing) -> int | None:
    """Steps from the onset to the firing, 0 where the run logged none in between; None where either is not known."""
    return None if run.onset_step is None or firing.step is None else max(0, firing.step - run.onset_step)


def delay_s(run: LabelledRun, firing: Firing) -> float | None:
    """Seconds to the firing from the first row at or after the onset, else from the last row of all.

    None where the run has no times or no known onset.
    """
    times = [row.time_s for row in run.rows if row.step is not None]
    if not run.timed or run.onset_step is None or not times:
        return None
    onset = run.onset_step
    began_s = next((row.time_s for row in run.rows if row.step is not None and row.step >= onset), times[-1])
    return max(0.0, firing.time_s - began_s)


def median(values: Sequence[float | None]) -> float:
    """The median of those that are known; NaN where none is."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else math.nan
