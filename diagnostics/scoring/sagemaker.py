"""Amazon SageMaker Debugger's built-in rules with their defaults, re-implemented from the published definitions.

Their own code is not public. Source:
https://github.com/awsdocs/amazon-sagemaker-developer-guide/blob/master/doc_source/debugger-built-in-rules.md
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from runvitals.diagnostics.scoring.measuring import over, point, series, under
from runvitals.diagnostics.scoring.types import LabelledRun, Point

SOURCE = "https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-rules.html"


@dataclass(frozen=True, slots=True)
class LossNotDecreasing:
    """Every 10 steps the loss must be lower than it was at least 10 steps before (num_steps 10, diff_percent unset)."""

    name: str = "SageMaker LossNotDecreasing"
    source: str = SOURCE
    num_steps: int = 10

    def points(self, run: LabelledRun) -> list[Point]:
        """Score: the loss over the earlier one, so that 1.0 is no fall at all."""
        found: list[Point] = []
        checked: tuple[int, float] | None = None
        for row, loss in series(run, "loss"):
            if row.step is None or math.isnan(loss):
                continue
            if checked is None or row.step < checked[0]:
                checked = (row.step, loss)
            elif row.step - checked[0] >= self.num_steps:
                before = checked[1]
                rise = (loss - before) / max(abs(before), 1e-12)
                found.append(point("LossNotDecreasing", row, 1.0 + rise))
                checked = (row.step, loss)
        return found


@dataclass(frozen=True, slots=True)
class Overfit:
    """The validation loss lies more than 10 % above the training loss, once (ratio_threshold 0.1, patience 1, start_step 0).

    The training loss is the mean since the evaluation before, or the last one where nothing was logged in between.
    """

    name: str = "SageMaker Overfit"
    source: str = SOURCE
    ratio: float = 0.1

    def points(self, run: LabelledRun) -> list[Point]:
        """Score: the gap's share of the training loss, over 10 %."""
        evaluated = {id(row): loss for row, loss in series(run, "eval_loss")}
        trained = {id(row): loss for row, loss in series(run, "loss")}
        found: list[Point] = []
        since: list[float] = []
        for row in run.rows:
            if id(row) in trained:
                since.append(trained[id(row)])
            if id(row) in evaluated and since:
                mean = sum(since) / len(since)
                if mean > 0.0:
                    found.append(point("Overfit", row, (evaluated[id(row)] - mean) / mean / self.ratio))
                since = since[-1:]
        return found


@dataclass(frozen=True, slots=True)
class StalledTraining:
    """Nothing came for 1,800 s (threshold 1800). Says nothing of a run without times."""

    name: str = "SageMaker StalledTraining"
    source: str = SOURCE
    threshold_s: float = 1800.0

    def points(self, run: LabelledRun) -> list[Point]:
        """Score: the silence before a row over 1,800 s."""
        rows = run.rows if run.timed else []
        return [
            point("StalledTraining", row, over(row.time_s - before.time_s, self.threshold_s))
            for before, row in pairwise(rows)
        ]


@dataclass(frozen=True, slots=True)
class ExplodingTensor:
    """Any value is NaN or infinite (only_nan False), here: any logged value."""

    name: str = "SageMaker ExplodingTensor"
    source: str = SOURCE

    def points(self, run: LabelledRun) -> list[Point]:
        """Score: infinite at a row with such a value, else 0."""
        return [
            point("ExplodingTensor", row, 0.0 if all(map(_is_finite, row.values.values())) else math.inf)
            for row in run.rows
        ]


@dataclass(frozen=True, slots=True)
class VanishingGradient:
    """The mean absolute gradient is below 1e-7 (threshold), here: the logged norm, which is never below that mean."""

    name: str = "SageMaker VanishingGradient"
    source: str = SOURCE
    threshold: float = 1e-7

    def points(self, run: LabelledRun) -> list[Point]:
        """Score: 1e-7 over the norm."""
        return [
            point("VanishingGradient", row, math.nan if math.isnan(norm) else under(norm, self.threshold))
            for row, norm in series(run, "grad_norm")
        ]


def _is_finite(value: float | None) -> bool:
    """True for None too: a null is no tensor."""
    return value is None or math.isfinite(value)
