"""The score by what was done to the runs: readers ask which faults are caught, not which families."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from runvitals.diagnostics.scoring.judged import Judged, delay_s, delay_steps, median
from runvitals.diagnostics.scoring.types import LabelledRun


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseScore:
    """One cause. caught: broken runs with a warning at or after the onset; of them `named`: one is of the fault's own family.

    rules: which rules warned, with the number of runs, most first. unscored: runs that it left as good as their twins.
    quiet, warned: runs of a harmless cause, and those of them warned of. Delays: median and longest of the caught, NaN where unknown.
    """

    cause: str
    broken: int
    caught: int
    named: int
    unscored: int
    quiet: int
    warned: int
    delay_steps: float
    longest_steps: float
    delay_s: float
    longest_s: float
    rules: tuple[tuple[str, int], ...]


def cause_scores(judged: Sequence[Judged], *, unscored: Sequence[LabelledRun]) -> tuple[CauseScore, ...]:
    """The causes that the runs tell, by name. judged: scored runs. unscored: runs whose outcome left their label open."""
    causes = sorted({run.cause for run in (*(one.run for one in judged), *unscored) if run.cause})
    return tuple(
        _of_cause(
            cause,
            [one for one in judged if one.run.cause == cause],
            unscored=sum(run.cause == cause for run in unscored),
        )
        for cause in causes
    )


def _of_cause(cause: str, judged: Sequence[Judged], *, unscored: int) -> CauseScore:
    broken = [one for one in judged if one.run.severity == "broken"]
    quiet = [one for one in judged if one.run.severity != "broken"]
    caught = [one for one in broken if one.right]
    steps = [delay_steps(one.run, one.right[0]) for one in caught]
    seconds = [delay_s(one.run, one.right[0]) for one in caught]
    rules = Counter(rule for one in caught for rule in {firing.rule for firing in one.right})
    return CauseScore(
        cause=cause,
        broken=len(broken),
        caught=len(caught),
        named=sum(any(firing.family in one.run.families for firing in one.right) for one in caught),
        unscored=unscored,
        quiet=len(quiet),
        warned=sum(bool(one.all) for one in quiet),
        delay_steps=median(steps),
        longest_steps=_longest(steps),
        delay_s=median(seconds),
        longest_s=_longest(seconds),
        rules=tuple(sorted(rules.items(), key=lambda counted: (-counted[1], counted[0]))),
    )


def _longest(values: Sequence[float | None]) -> float:
    return max((value for value in values if value is not None), default=float("nan"))
