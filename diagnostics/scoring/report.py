"""All detectors on the same runs: ours, the controls and the published baselines."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from runvitals.diagnostics.convert import number_to_json
from runvitals.diagnostics.scoring.controls import AlwaysFires, NeverFires, RandomlyFires
from runvitals.diagnostics.scoring.doctors import PostTrainingToolkit, Rlwatch
from runvitals.diagnostics.scoring.equal_rate import AtEqualRate, at_equal_rate
from runvitals.diagnostics.scoring.judges import EngineJudge, MeterJudge
from runvitals.diagnostics.scoring.outliers import OlmoSkipStep, WandbAutomation, ZClip
from runvitals.diagnostics.scoring.sagemaker import (
    ExplodingTensor,
    LossNotDecreasing,
    Overfit,
    StalledTraining,
    VanishingGradient,
)
from runvitals.diagnostics.scoring.score import Score, score
from runvitals.diagnostics.scoring.types import LabelledRun, Meter
from runvitals.diagnostics.types import Rule

BASELINES: tuple[Meter, ...] = (
    LossNotDecreasing(),
    Overfit(),
    StalledTraining(),
    ExplodingTensor(),
    VanishingGradient(),
    WandbAutomation(),
    OlmoSkipStep(),
    ZClip(),
    Rlwatch(),
    PostTrainingToolkit(),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A control or baseline: as published, and with the threshold at which it warns as few healthy runs as we do."""

    score: Score
    at_equal_rate: AtEqualRate


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The whole comparison. runs: how many of each label; `unknown` ones are not scored."""

    runs: dict[str, int]
    sources: int
    ours: Score
    others: tuple[Compared, ...]


def compare(
    runs: Sequence[LabelledRun], rules: Sequence[Rule], *, tell: Callable[[str], None] = lambda name: None
) -> Report:
    """The report on labelled runs. tell: gets the name of each detector before its turn, for progress."""
    judge = EngineJudge(rules)
    tell(judge.name)
    ours = score(judge, runs, families=families(rules, runs))
    scored = [run for run in runs if run.severity != "unknown"]
    fired = ours.false_warnings + len(ours.caught)
    rows = sum(len(run.rows) for run in scored)
    controls: tuple[Meter, ...] = (AlwaysFires(), NeverFires(), RandomlyFires(fired / rows if rows else 0.0))
    return Report(
        runs={label: sum(run.severity == label for run in runs) for label in sorted({run.severity for run in runs})},
        sources=len({run.source for run in scored}),
        ours=ours,
        others=tuple(_compared(meter, scored, ours, tell) for meter in (*controls, *BASELINES)),
    )


def families(rules: Iterable[Rule], runs: Iterable[LabelledRun]) -> tuple[str, ...]:
    """The families of the rules and of the faults, each once, by name: a fault that no rule is about must show as missed."""
    return tuple(sorted({rule.spec.family for rule in rules} | {family for run in runs for family in run.families}))


def as_plain(report: Report) -> dict[str, Any]:
    """The report as JSON values; what is undefined is None, what is endless the word of `number_to_json`."""
    ours = {
        **asdict(report.ours),
        "false_per_1000_steps": report.ours.false_per_1000_steps,
        "macro_precision": report.ours.macro_precision,
        "macro_recall": report.ours.macro_recall,
        "families": [
            {**asdict(family), "precision": family.precision, "recall": family.recall}
            for family in report.ours.families
        ],
    }
    others = [
        {
            **asdict(other.score),
            "false_per_1000_steps": other.score.false_per_1000_steps,
            "at_equal_rate": asdict(other.at_equal_rate),
        }
        for other in report.others
    ]
    plain: dict[str, Any] = _plain({"runs": report.runs, "sources": report.sources, "ours": ours, "others": others})
    return plain


def _compared(meter: Meter, runs: Sequence[LabelledRun], ours: Score, tell: Callable[[str], None]) -> Compared:
    tell(meter.name)
    rate = 0.0 if math.isnan(ours.healthy_warned.value) else ours.healthy_warned.value
    return Compared(score=score(MeterJudge(meter), runs), at_equal_rate=at_equal_rate(meter, runs, rate=rate))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return None if math.isnan(value) else number_to_json(value)
    return value
