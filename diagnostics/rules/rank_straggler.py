"""`rank_straggler` (R5): one rank keeps all others waiting."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from runvitals.diagnostics.limits import Adjustable, described, limit
from runvitals.diagnostics.rank_rows import NUMBER
from runvitals.diagnostics.rules.definition import NEAR, OK, RowDetector, bad, short
from runvitals.diagnostics.rules.masks import Resumes
from runvitals.diagnostics.rules.rank_reports import Report, Reports
from runvitals.diagnostics.rules.sources import BYTE_ROBUST, DATA_LOADING, FLIGHT_RECORDER, NVML, RESILIENCY, SAGEMAKER
from runvitals.diagnostics.timeline import Timeline
from runvitals.diagnostics.types import Cause, Number, Reading, Remedy, RuleSpec, RunContext, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How slow a rank may be."""

    speed: float = limit(0.75, "the best rank's time over that of a straggler", least=0.3, most=0.95)
    critical_percent: float = limit(
        20.0, "share of a step that all wait for one rank, from which on it is critical", least=6.0, most=90.0, unit="%"
    )


SPEC = RuleSpec(
    name="rank_straggler",
    code="R5",
    title="One rank keeps the others waiting",
    family="resource",
    summary="What a rank spends of a step itself, the wait for its batch and the forward pass, is compared in reports of 20 steps and 30 s at least, by "
    "medians. A warning where the best rank's time is less than 0.75 of the same rank's, beyond twice the error of both medians, in 3 of 5 reports, "
    "and the difference is 5 % of a step or more; critical from 20 % of a step. The whole step is equally long on all ranks, since they wait for "
    "each other, and so says nothing. More than half of the ranks cannot straggle: then one is quick.",
    main_signal="step_time_s",
    signals=("step_time_s", "data_wait_s", "forward_time_s"),
    keys=(NUMBER,),
    clear=2,
    inhibits=("throughput_drop", "rank_imbalance"),
    causes=(
        Cause(text="The rank's data come late: a slow disk or network, too few processors for its workers"),
        Cause(text="Its device is slow: heat, power, another process, a fault"),
        Cause(text="Its batches are longer than the others'"),
    ),
    remedies=(
        Remedy(
            text="Look at the rank's device and host beside the others: clock, throttling, temperature, what else runs",
            against="Its device is slow: heat, power, another process, a fault",
            **NVML,
        ),
        Remedy(text="Take its node out of the job and test it apart, before looking for the cause", **BYTE_ROBUST),
        Remedy(
            text="More data workers and prefetching where it waits for its batch",
            against="The rank's data come late: a slow disk or network, too few processors for its workers",
            **DATA_LOADING,
        ),
        Remedy(text="Give every rank batches of like length: group_by_length, packing", **SAGEMAKER),
        Remedy(text="Run an NCCL test between its node and the others; see where ranks wait", **FLIGHT_RECORDER),
        Remedy(text="Let the launcher watch for stragglers and leave out nodes that stay slow", **RESILIENCY),
    ),
    false_alarms="Pipeline stages and shards of unlike sequences differ by nature. The backward pass is not known apart from waiting, so a slow device "
    "shows with its forward pass alone. With gloo, the exchange of token counts makes all ranks wait for the slowest batch, and for what rank 0 does between steps; sharded and "
    "compiled models have no forward time. A rank that is first slow and then another is no straggler here.",
    source="NVRx (relative score 0.75, first iterations left out); ByteRobust (voting); rule catalogue R5",
    needs="data wait or forward time of two ranks, 60 steps and 90 s",
    limits=described(Limits),
)

_VOTES, _REPORTS = 3, 5
_ERRORS = 2.0
_LEAST_SHARE = 0.05
"""Of a step: what all wait less than that for one rank is not worth anybody's time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Vote:
    """One rank found slow in one report. share: of a step that the others wait for it."""

    report: Report
    share: float


class _Detector(RowDetector):
    """The newest reports, and which ranks each of them found slow."""

    def __init__(self, timeline: Timeline, limits: Limits) -> None:
        self._limits = limits
        self._resumes = Resumes(timeline)
        self._reports = Reports()
        self._votes: deque[dict[int, _Vote]] = deque(maxlen=_REPORTS)

    def update(self, sample: Sample) -> Reading | None:
        """Takes a row of the first rank, or the times of another one."""
        if sample.step is None:
            self._reports.other(sample)
            return None
        if "perf/step_time_s" not in sample.raw:
            return None
        if self._resumes.is_new():
            self._reports.clear()
            self._votes.clear()
        was_due, report = self._reports.first(sample, sample.step)
        if not was_due or not self._reports.has_ranks:
            return None
        if report is None:
            return Reading(
                state="unknown", reason="needs the data wait or the forward time of two ranks, 10 of each in a report"
            )
        self._votes.append(self._slow(report))
        return self._judge(sample.step)

    def _slow(self, report: Report) -> dict[int, _Vote]:
        """The ranks that this report finds slow; none where more than half would be, for then it is one that is quick."""
        best = report.ranks[report.best]
        line = self._limits.speed
        found = {}
        for rank, spent in report.ranks.items():
            is_slow = line * (spent.own_s - _ERRORS * spent.error_s) > best.own_s + _ERRORS * best.error_s
            share = (spent.own_s - best.own_s) / spent.step_s if spent.step_s > 0.0 else 0.0
            if is_slow and share >= _LEAST_SHARE:
                found[rank] = _Vote(report=report, share=share)
        return found if 2 * len(found) <= len(report.ranks) else {}

    def _judge(self, step: int) -> Reading:
        counted: dict[int, list[_Vote]] = {}
        for votes in self._votes:
            for rank, vote in votes.items():
                counted.setdefault(rank, []).append(vote)
        slow = {rank: votes for rank, votes in counted.items() if len(votes) >= _VOTES}
        if not slow:
            return NEAR if self._votes[-1] else OK
        shares = {rank: median(vote.share for vote in votes) for rank, votes in slow.items()}
        worst = max(sorted(shares), key=shares.__getitem__)
        severity = "critical" if 100 * shares[worst] > self._limits.critical_percent else "warning"
        report, since = slow[worst][-1].report, min(vote.report.begin for votes in slow.values() for vote in votes)
        others = sorted(rank for rank in slow if rank != worst)
        return bad(
            "critical" if severity == "critical" else "warning",
            self._sentence(report, worst, shares[worst], others),
            self._numbers(report, worst, shares[worst]),
            since=since,
            step=step,
            causes=_causes(report, worst),
        )

    def _sentence(self, report: Report, rank: int, share: float, others: Sequence[int]) -> str:
        spent, best = report.ranks[rank], report.ranks[report.best]
        what = " and ".join(
            name for name, part in (("its batch", spent.wait_s), ("its forward pass", spent.forward_s)) if part == part
        )
        also = (
            f" So do ranks {', '.join(map(str, others[:8]))}{' …' if len(others) > 8 else ''}."
            if len(others) > 1
            else ""
        )
        also = f" So does rank {others[0]}." if len(others) == 1 else also
        return (
            f"Rank {rank} of {len(report.ranks)} takes {short(spent.own_s)} s of a step for {what}, rank {report.best} "
            f"{short(best.own_s)} s: it keeps the others waiting for {100 * share:.0f} % of a step.{also}"
        )

    def _numbers(self, report: Report, rank: int, share: float) -> list[Number]:
        spent, best = report.ranks[rank], report.ranks[report.best]
        line = self._limits.speed
        numbers = [
            Number(
                label=f"Rank {rank}, own time of a step",
                value=spent.own_s,
                unit="s",
                expected=f"below {short(best.own_s / line)}",
            ),
            Number(label=f"Rank {report.best}, the best", value=best.own_s, unit="s"),
            Number(
                label="The best rank's time over its", value=best.own_s / spent.own_s, expected=f"above {short(line)}"
            ),
            Number(
                label=f"Share of a step that all wait for rank {rank}", value=100 * share, unit="%", expected="below 5"
            ),
        ]
        for name, of_it, of_best in (
            ("data wait", spent.wait_s, best.wait_s),
            ("forward pass", spent.forward_s, best.forward_s),
        ):
            if of_it == of_it:
                numbers.append(
                    Number(label=f"Rank {rank}, {name}", value=of_it, unit="s", expected=f"the best: {short(of_best)}")
                )
        return numbers


def _causes(report: Report, rank: int) -> list[Cause]:
    """The causes for this rank: those of the part that its excess lies in come first."""
    spent, best = report.ranks[rank], report.ranks[report.best]
    data, device, lengths = SPEC.causes
    waits_s = spent.wait_s - best.wait_s if spent.wait_s == spent.wait_s else 0.0
    passes_s = spent.forward_s - best.forward_s if spent.forward_s == spent.forward_s else 0.0
    if waits_s >= passes_s:
        because = f"it waits {short(waits_s)} s longer for its batch than rank {report.best}"
        return [Cause(text=data.text, likelihood="likely", because=because), lengths, device]
    because = f"its forward pass takes {short(passes_s)} s longer than that of rank {report.best}"
    return [
        Cause(text=device.text, likelihood="likely", because=because),
        Cause(text=lengths.text, because=because),
        data,
    ]


def _make(context: RunContext, limits: Limits) -> _Detector:
    return _Detector(Timeline.of_run(context), limits)


RULE = Adjustable(SPEC, Limits(), _make)
