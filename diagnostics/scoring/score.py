"""The score of one detector over labelled runs.

Events count, not rows: a broken run is caught by the first warning at or after its onset, and further ones are not counted again. Every
warning in a healthy run, in a flat one, or before the onset of a broken one is false. Nothing is adjusted in the detector's favour.
What is undefined is NaN, never 0.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

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
        delay_steps=_median([delay_steps(one.run, one.right[0]) for one in caught]),
        delay_s=_median([delay_s(one.run, one.right[0]) for one in caught]),
        families=tuple(family_score(family, quiet, broken) for family in families),
        caught=tuple(one.run.name for one in caught),
        missed=tuple(one.run.name for one in broken if not one.right),
        false_by_run={
            one.run.name: tuple(f"{f.rule}@{f.step}" for f in one.false) for one in (*quiet, *broken) if one.false
        },
    )


def family_score(family: str, quiet: Sequence[Judged], broken: Sequence[Judged]) -> FamilyScore:
    """One family. Its firings on a run that another fault broke are by-products of that fault: neither right nor false."""
    own = [one for one in broken if one.run.fault == family]
    first = [
        (one.run, next(firing for firing in one.right if firing.family == family))
        for one in own
        if any(firing.family == family for firing in one.right)
    ]
    return FamilyScore(
        family=family,
        faults=len(own),
        caught=len(first),
        false=sum(firing.family == family for one in (*quiet, *broken) for firing in one.false),
        delay_steps=_median([delay_steps(run, firing) for run, firing in first]),
        delay_s=_median([delay_s(run, firing) for run, firing in first]),
    )


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


def _median(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else math.nan


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan
