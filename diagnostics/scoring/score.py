"""The score of one detector over labelled runs.

Events count, not rows: a broken run is caught by the first warning at or after its onset, and further ones are not counted again. Every
warning in a healthy run, in a flat one, or before the onset of a broken one is false. Nothing is adjusted in the detector's favour.
What is undefined is NaN, never 0.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from runvitals.diagnostics.scoring.causes import CauseScore, cause_scores
from runvitals.diagnostics.scoring.judged import Judged, delay_s, delay_steps, judge_run, median
from runvitals.diagnostics.scoring.types import Firing, Judge, LabelledRun

_RESAMPLES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A share of runs, each source weighing the same, with the 95 % bootstrap interval over runs. NaN where there are none."""

    value: float
    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyScore:
    """One family of rules. recall: broken runs with a fault of this family that a rule of this family catches.

    precision: those caught over those caught and the family's false warnings. delays: from onset to warning, medians of the caught.
    """

    family: str
    faults: int
    caught: int
    false: int
    delay_steps: float
    delay_s: float

    @property
    def recall(self) -> float:
        """NaN where no run has such a fault."""
        return self.caught / self.faults if self.faults else math.nan

    @property
    def precision(self) -> float:
        """NaN where the family never fired."""
        return self.caught / (self.caught + self.false) if self.caught + self.false else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How one detector did. `false_by_run`, `caught` and `missed` name the runs, for whoever wants to look."""

    name: str
    source: str
    healthy_warned: Share
    healthy_critical: Share
    flat_warned: Share
    benign_critical: Share
    broken_caught: Share
    broken_critical: Share
    false_warnings: int
    healthy_steps: int
    precision: float
    delay_steps: float
    delay_s: float
    families: tuple[FamilyScore, ...]
    causes: tuple[CauseScore, ...]
    caught: tuple[str, ...]
    missed: tuple[str, ...]
    false_by_run: Mapping[str, tuple[str, ...]]

    @property
    def false_per_1000_steps(self) -> float:
        """False warnings in healthy runs over a thousand of their steps; NaN where there are none."""
        return 1_000 * self.false_warnings / self.healthy_steps if self.healthy_steps else math.nan

    @property
    def macro_precision(self) -> float:
        """The mean over the families that have faults and fired."""
        return _mean([family.precision for family in self.families if family.faults])

    @property
    def macro_recall(self) -> float:
        """The mean over the families that have faults."""
        return _mean([family.recall for family in self.families])


def score(judge: Judge, runs: Sequence[LabelledRun], *, families: Sequence[str] = ()) -> Score:
    """The judge's score. families: those to break it down by; none for detectors that have no families of ours."""
    judged = [judge_run(judge, run) for run in runs if run.severity != "unknown"]
    by = {label: [one for one in judged if one.run.severity == label] for label in ("none", "broken", "flat")}
    benign = [one for one in judged if one.run.severity == "benign-anomaly"]
    broken = by["broken"]
    quiet = [one for one in judged if one.run.severity in ("none", "flat")]
    caught = [one for one in broken if one.right]
    wrong = sum(len(one.false) for one in (*quiet, *broken))
    return Score(
        name=judge.name,
        source=judge.source,
        healthy_warned=share(by["none"], lambda one: bool(one.all)),
        healthy_critical=share(by["none"], lambda one: _is_critical(one.all)),
        flat_warned=share(by["flat"], lambda one: bool(one.all)),
        benign_critical=share(benign, lambda one: _is_critical(one.all)),
        broken_caught=share(broken, lambda one: bool(one.right)),
        broken_critical=share(broken, lambda one: _is_critical(one.right)),
        false_warnings=sum(len(one.false) for one in by["none"]),
        healthy_steps=sum(one.run.steps for one in by["none"]),
        precision=len(caught) / (len(caught) + wrong) if caught or wrong else math.nan,
        delay_steps=median([delay_steps(one.run, one.right[0]) for one in caught]),
        delay_s=median([delay_s(one.run, one.right[0]) for one in caught]),
        families=tuple(family_score(family, quiet, broken) for family in families),
        causes=cause_scores(judged, unscored=[run for run in runs if run.severity == "unknown"]),
        caught=tuple(one.run.name for one in caught),
        missed=tuple(one.run.name for one in broken if not one.right),
        false_by_run={
            one.run.name: tuple(f"{f.rule}@{f.step}" for f in one.false) for one in (*quiet, *broken) if one.false
        },
    )


def family_score(family: str, quiet: Sequence[Judged], broken: Sequence[Judged]) -> FamilyScore:
    """One family. Its firings on a run that another fault broke are by-products of that fault: neither right nor false."""
    own = [one for one in broken if one.run.families[:1] == (family,)]
    first = [
        (one.run, next(firing for firing in one.right if firing.family in one.run.families))
        for one in own
        if any(firing.family in one.run.families for firing in one.right)
    ]
    return FamilyScore(
        family=family,
        faults=len(own),
        caught=len(first),
        false=sum(firing.family == family for one in (*quiet, *broken) for firing in one.false),
        delay_steps=median([delay_steps(run, firing) for run, firing in first]),
        delay_s=median([delay_s(run, firing) for run, firing in first]),
    )


def share(judged: Sequence[Judged], is_hit: Callable[[Judged], bool]) -> Share:
    """The share of runs that hit, with its interval."""
    hits = [(one.run.source, is_hit(one)) for one in judged]
    if not hits:
        return Share(value=math.nan, low=math.nan, high=math.nan, count=0)
    draw = random.Random(0)
    drawn = sorted(weighted(draw.choices(hits, k=len(hits))) for _ in range(_RESAMPLES))
    return Share(
        value=weighted(hits),
        low=drawn[round(0.025 * (_RESAMPLES - 1))],
        high=drawn[round(0.975 * (_RESAMPLES - 1))],
        count=len(hits),
    )


def weighted(hits: Sequence[tuple[str, bool]]) -> float:
    """The mean over sources of each source's share. hits: source and whether the run hit, at least one."""
    sources: dict[str, list[bool]] = {}
    for source, hit in hits:
        sources.setdefault(source, []).append(hit)
    return sum(sum(each) / len(each) for each in sources.values()) / len(sources)


def _is_critical(firings: Sequence[Firing]) -> bool:
    return any(firing.severity == "critical" for firing in firings)


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan
