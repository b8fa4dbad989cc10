"""What a detector would catch with the threshold at which it warns no more healthy runs than another one does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from runvitals.diagnostics.scoring.score import weighted
from runvitals.diagnostics.scoring.types import LabelledRun, Meter


@dataclass(frozen=True, slots=True, kw_only=True)
class AtEqualRate:
    """threshold: in units of the published one (2.0 is twice as strict), infinite where only endless scores are left."""

    threshold: float
    healthy_warned: float
    broken_caught: float


def at_equal_rate(meter: Meter, runs: Sequence[LabelledRun], *, rate: float) -> AtEqualRate:
    """The lowest threshold that at most a share `rate` of the healthy runs exceeds, and the share of broken runs that do.

    The threshold is fitted on the very runs it is scored on, which flatters the baseline, never us. Sources weigh the same.
    """
    healthy = [(run.source, peak(meter, run)) for run in runs if run.severity == "none"]
    broken = [(run.source, peak(meter, run)) for run in runs if run.severity == "broken"]
    candidates = sorted({0.0, *(value for _, value in healthy)})
    threshold = next((value for value in candidates if _over(healthy, value) <= rate), math.inf)
    return AtEqualRate(
        threshold=threshold, healthy_warned=_over(healthy, threshold), broken_caught=_over(broken, threshold)
    )


def peak(meter: Meter, run: LabelledRun) -> float:
    """The highest score of a run, from its onset on; 0 where the meter says nothing."""
    begin = run.onset_step if run.severity == "broken" else None
    scores = [p.score for p in meter.points(run) if begin is None or p.step is None or p.step >= begin]
    return max(scores, default=0.0)


def _over(peaks: Sequence[tuple[str, float]], threshold: float) -> float:
    return weighted([(source, value > threshold) for source, value in peaks]) if peaks else math.nan
