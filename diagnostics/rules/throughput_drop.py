"""`throughput_drop` (S3): steps take much longer than they did."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from statistics import median

from runvitals.diagnostics.limits import Adjustable, described, in_order, limit
from runvitals.diagnostics.rules.definition import NEAR, OK, RowDetector, at, bad, short, too_few
from runvitals.diagnostics.rules.sources import BYTE_ROBUST, DATA_LOADING, NVML, RESILIENCY, SAGEMAKER
from runvitals.diagnostics.timeline import Timeline
from runvitals.diagnostics.types import Cause, Number, Reading, Remedy, RuleSpec, RunContext, Sample, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much slower steps may be than in the fastest stretch."""

    info: float = limit(1.5, "times the fastest stretch, for information", least=1.3, most=100.0)
    warning: float = limit(2.0, "times the fastest stretch, for a warning", least=1.3, most=100.0)
    # Steps of half a second or less are slowed by whatever else the machine does: a healthy PPO run of 0.33 s came to twice that for 40 s.
    warning_short: float = limit(
        3.0, "the same, where a step of that stretch takes less than half a second", least=1.3, most=100.0
    )

    def __post_init__(self) -> None:
        in_order(self, "info", "warning")


SPEC = RuleSpec(
    name="throughput_drop",
    code="S3",
    title="Steps slow down",
    family="stall",
    summary="The median time of the last 12 rows is 1.5 times that of the fastest such stretch (information); a warning from 2 times "
    "where a step took half a second or more in that stretch, from 3 times where it was shorter. Where tokens or answer lengths are logged, the "
    "time for each of them must have grown alike. Where each step's time is logged on its own, however rarely the loss is, steps must have been "
    "slow for 30 s, and for a minute where the warning rests on less than 3 times. Steps of less than a millisecond are not judged.",
    main_signal="step_time_s",
    signals=("step_time_s", "loss", "reward"),
    hold=2,
    clear=5,
    causes=(
        Cause(text="The data loader has become slow: another shard, a cold cache, a busy disk"),
        Cause(text="Another process shares the device, the processors or the disk"),
        Cause(text="The device slows itself down: heat or power"),
        Cause(text="The network, or one slow rank that all wait for"),
    ),
    remedies=(
        Remedy(
            text="Look at the data wait beside the step time",
            detail="More workers and prefetching help only there",
            **DATA_LOADING,
        ),
        Remedy(text="See what else runs on the machine: nvidia-smi, top, iostat", **SAGEMAKER),
        Remedy(text="Look at temperature, clock and throttle reasons", **NVML),
        Remedy(text="Compare the ranks; take out the slow node before looking for the reason", **BYTE_ROBUST),
        Remedy(text="Start again from a checkpoint on another machine", **RESILIENCY),
    ),
    false_alarms="Longer sequences; evaluations and checkpoints between two rows are left out. Very short steps are slowed by anything on "
    "the machine: they need three times.",
    source="SageMaker StepOutlier; NVRx; rule catalogue S3 (1.3 times), raised because shared machines vary by a third",
    needs="25 rows with a step time, or with the time of their logging",
    limits=described(Limits),
)

_WINDOW = 12
_EVERY = 3
"""Rows between judgements, which cost more than taking a row does."""
_ENOUGH = 25
_SHORT_STEP_S = 0.5
_LASTS_S = 30.0
"""How long single steps must be slow: a row that sums up ten steps holds less chance than one step does."""
_LASTS_LONG_S = 60.0
"""The same for a warning that rests on less than `warning_short` times: what else a machine does comes and goes within half a minute."""
_LEAST_S = 1e-3
"""What takes less is no training step but a loop around nothing, whose time is that of whatever else the machine does."""
_A_CLOCK_S = 1e8
"""Times below it are places in a file, which is what a log without times is replayed with."""


class _Detector(RowDetector):
    """Times of the newest steps, those for each unit of work, and the fastest stretch of both."""

    def __init__(self, timeline: Timeline, limits: Limits) -> None:
        self._limits = limits
        self._timeline = timeline
        self._times: deque[float] = deque(maxlen=_WINDOW)
        self._each: deque[float] = deque(maxlen=_WINDOW)
        self._waits: deque[float] = deque(maxlen=_WINDOW)
        self._best = self._best_each = math.inf
        self._count = 0
        self._step: int | None = None
        self._row_s = self._tokens = math.nan
        self._singles = self._singles_before = 0
        self._single_s = self._slow_s = 0.0
        self._is_slow = False
        self._since: int | None = None

    def update(self, sample: Sample) -> Reading | None:
        """Takes a training row."""
        step = sample.step
        if step is None:
            return None
        if "loss" not in sample.signals and "reward" not in sample.signals:
            return self._take_single(sample, step)
        gone = 0 if self._step is None else step - self._step
        before_s, self._row_s, self._step = self._row_s, sample.time_s, step
        tokens = _value(sample, "tokens")
        length = tokens - self._tokens if tokens == tokens else _value(sample, "completion_length")
        self._tokens = tokens
        work = length / max(gone, 1) if tokens == tokens else length
        if self._singles:
            self._take_work(work)
            return None
        time_s = _value(sample, "step_time_s")
        if (
            time_s != time_s
            and gone > 0
            and before_s > _A_CLOCK_S
            and self._timeline.since("eval", "checkpoint", "resume") > 1
        ):
            time_s = (sample.time_s - before_s) / gone
        if not time_s > 0.0:
            return None
        if work > 0.0:
            self._each.append(time_s / work)
        return self._take(time_s, _value(sample, "data_wait_s"), step)

    def _take_single(self, sample: Sample, step: int) -> Reading | None:
        """A row of one step's time alone: where the callback logs them, losses come more rarely and only tell the work done."""
        time_s = _value(sample, "step_time_s")
        if not time_s > 0.0:
            return None
        self._singles += 1
        self._single_s += time_s
        return self._take(time_s, _value(sample, "data_wait_s"), step)

    def _take_work(self, work: float) -> None:
        """The work of a step since the last losses, beside the mean time of a step since then."""
        if work > 0.0 and self._single_s > 0.0:
            self._each.append(self._single_s / (self._singles - self._singles_before) / work)
        self._singles_before, self._single_s = self._singles, 0.0

    def _take(self, time_s: float, wait_s: float, step: int) -> Reading | None:
        self._count += 1
        self._times.append(time_s)
        if wait_s == wait_s:
            self._waits.append(wait_s / time_s)
        self._slow_s = self._slow_s + time_s if self._is_slow else 0.0
        if self._count < _ENOUGH:
            return too_few(_ENOUGH, self._count, "step time")
        return self._judge(step) if self._count % _EVERY == 0 else None

    def _judge(self, step: int) -> Reading:
        times = sorted(self._times)
        now = (times[_WINDOW // 2 - 1] + times[_WINDOW // 2]) / 2
        self._best = min(self._best, now)
        slower = now / self._best
        if len(self._each) == _WINDOW:
            each = median(self._each)
            self._best_each = min(self._best_each, each)
            slower = min(slower, each / self._best_each)
        # Single stalls are no slow-down: three quarters of the newest steps must be slow too.
        slower = min(slower, 1.5 * times[_WINDOW // 4] / self._best)
        self._is_slow = slower > self._limits.info and now >= _LEAST_S
        if not self._is_slow:
            if slower < 1.2:
                self._since = None
            return OK if slower < 1.3 else NEAR
        if self._since is None:
            self._since = step
        if self._singles and self._slow_s < _LASTS_S:
            return NEAR
        severity: Severity = "warning" if self._is_grave(slower) else "info"
        numbers = [
            Number(
                label="Step time, median of the last 12",
                value=now,
                unit="s",
                expected=f"below {short(self._limits.info * self._best)}",
            ),
            Number(label="Fastest such median", value=self._best, unit="s"),
        ]
        causes: list[Cause] = list(SPEC.causes)
        if len(self._waits):
            share = median(self._waits)
            numbers.append(
                Number(label="Share of a step that waits for data", value=100 * share, unit="%", expected="below 10")
            )
            loader = causes.pop(0)
            because = f"{share:.0%} of a step waits for its batch"
            found = Cause(text=loader.text, likelihood="likely" if share > 0.3 else "unlikely", because=because)
            causes.insert(0 if share > 0.3 else len(causes), found)
        sentence = f"A step takes {short(now)} s {at(step)}, {short(now / self._best)} times the {short(self._best)} s of its best stretch."
        return bad(severity, sentence, numbers, since=self._since, step=step, causes=causes)

    def _is_grave(self, slower: float) -> bool:
        """Whether steps so many times as slow are worth a warning. Whether a step is short is told from its best stretch, not from the slow one."""
        if slower > self._limits.warning_short:
            return True
        if self._best < _SHORT_STEP_S or (self._singles and self._slow_s < _LASTS_LONG_S):
            return False
        return slower > self._limits.warning


def _value(sample: Sample, signal: str) -> float:
    """A signal's value, NaN where it is missing or not finite."""
    value = sample.signals.get(signal)
    return value if value is not None and value - value == 0.0 else math.nan


def _make(context: RunContext, limits: Limits) -> _Detector:
    return _Detector(Timeline.of_run(context), limits)


RULE = Adjustable(SPEC, Limits(), _make)
