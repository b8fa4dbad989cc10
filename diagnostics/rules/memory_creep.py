"""`memory_creep` (R3): memory grows steadily, or is nearly full."""

from __future__ import annotations

import math
from dataclasses import dataclass

from runvitals.diagnostics.limits import Adjustable, described, limit
from runvitals.diagnostics.rules.definition import NEAR, OK, RowDetector, at, bad, is_finite, short
from runvitals.diagnostics.rules.memory_course import Growth, MemoryCourse
from runvitals.diagnostics.rules.sources import MEMORY, SAGEMAKER
from runvitals.diagnostics.timeline import Timeline
from runvitals.diagnostics.types import Cause, Number, Reading, Remedy, RuleSpec, RunContext, Sample, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How full main memory may be, and how far it may grow."""

    times: float = limit(2.0, "times what it was when training had settled, for a warning", least=1.25, most=100.0)
    full: float = limit(0.95, "share of main memory in use, for a warning", least=0.1, most=0.999)


SPEC = RuleSpec(
    name="memory_creep",
    code="R3",
    title="Memory creeps up",
    family="resource",
    summary="Memory of the training process, or of its GPU, grew in each of the last eight stretches of the run, by 1 GiB and a quarter in "
    "all (information). A warning where it doubled since training settled, or will be full before the end at this pace; or where three even "
    "rises on end, or two that are the same for each step, have tripled it, by 2 GiB or more. Main memory above 95 % full is a warning by itself.",
    main_signal="host_process_memory_gib",
    signals=("host_process_memory_gib", "host_memory_gib", "gpu_memory_used_gib"),
    hold=1,
    clear=30,
    causes=(
        Cause(text="Tensors are kept in a list, with their graph: losses or outputs that are gathered for logging"),
        Cause(text="The data loader's workers gather objects, or the dataset keeps what it has read"),
        Cause(text="The allocator's memory is broken up by ever different lengths", likelihood="unlikely"),
    ),
    remedies=(
        Remedy(text="Keep numbers, not tensors: loss.item() or detach() before storing", **MEMORY),
        Remedy(text="Take a memory snapshot now and one later, and compare them", **MEMORY),
        Remedy(text="Restart the data workers each epoch: persistent_workers=False"),
        Remedy(text="Save a checkpoint soon: running out of memory ends the process", **SAGEMAKER),
    ),
    false_alarms="Caches that fill and then stay; engines that take all GPU memory at once are flat and silent here. Mapped files count as the "
    "process's memory but not as the machine's: where the machine's is logged, a fast growth must show there too.",
    source="SageMaker GPUMemoryIncrease (5 %); rule catalogue R3; fast leaks after tiny real runs that leaked 24 MiB a batch",
    needs="10 minutes of samples of the process's memory; three samples for a fast leak",
    limits=described(Limits),
)

_PROCESS = "host_process_memory_gib"
_SETTLE_S = 60.0
_LEAST_S = 600.0
_FAST_STEPS = 50
"""Steps before which a growth may be the start: optimiser states, compiled kernels, buffers."""
_ON_END = 3
"""Samples on end that slow growth, or a full memory, takes."""


class _Detector(RowDetector):
    """Memory of the process and of the GPUs, from the first step on."""

    def __init__(self, timeline: Timeline, limits: Limits) -> None:
        self._limits = limits
        self._timeline = timeline
        self._courses = {_PROCESS: MemoryCourse(), "gpu_memory_used_gib": MemoryCourse()}
        self._since_s: float | None = None
        self._since: int | None = None
        self._first_step = 0
        self._on_end = 0

    def update(self, sample: Sample) -> Reading | None:
        """Takes a sample of the machine."""
        step = self._timeline.step
        if step is None:
            return None
        if self._since_s is None:
            self._since_s, self._first_step = sample.time_s, step
        signals = sample.signals
        used, total = signals.get("host_memory_gib"), signals.get("host_memory_total_gib")
        full = used / total if used is not None and total and is_finite(used) else 0.0
        if full > self._limits.full:
            said = f"Main memory is {full:.0%} full"
            return self._held(self._bad("warning", "Main memory", used or 0.0, total or 0.0, said))
        gone_s = sample.time_s - self._since_s
        for name, course in self._courses.items():
            value = signals.get(name)
            if value is not None and is_finite(value):
                self._take(course, name, value, sample, settled=gone_s >= _SETTLE_S)
        return self._judge_fast(step) or (self._judge_slow() if gone_s >= _LEAST_S else None)

    def _take(self, course: MemoryCourse, name: str, value: float, sample: Sample, *, settled: bool) -> None:
        of_host = name == _PROCESS
        machine = sample.signals.get("host_memory_gib") if of_host else None
        course.add(self._timeline.step or 0, value, math.nan if machine is None else machine)
        if settled:
            course.blocks.add(value)
        total = sample.signals.get("host_memory_total_gib" if of_host else "gpu_memory_total_gib")
        course.total = total if total is not None and is_finite(total) else math.nan

    def _judge_fast(self, step: int) -> Reading | None:
        if step - self._first_step < _FAST_STEPS:
            return None
        # Not of the GPU: an allocator's cache may grow as fast, where lengths vary.
        growth = self._courses[_PROCESS].fast()
        if growth.gained <= 0.0:
            return None
        times = growth.now / growth.began if growth.began > 0.0 else math.inf
        said = f"{_title(_PROCESS)} has grown to {short(times)} times its {short(growth.began)} GiB, at an even pace"
        return self._bad("warning", _title(_PROCESS), growth.now, growth.began, said)

    def _judge_slow(self) -> Reading:
        near = False
        for name, course in self._courses.items():
            growth = course.slow()
            if growth.gained < 1.0 or growth.now < 1.25 * growth.began:
                near = near or (growth.began > 0.0 and growth.now > 1.1 * growth.began)
                continue
            return self._held(self._grown(name, course, growth))
        self._on_end = 0
        if not near:
            self._since = None
        return NEAR if near else OK

    def _grown(self, name: str, course: MemoryCourse, growth: Growth) -> Reading:
        progress = self._timeline.progress
        to_come = 1.0 / progress - 1.0 if progress else 1.0
        fills = growth.now + growth.gained * to_come > course.total
        severity: Severity = "warning" if growth.now > self._limits.times * growth.began or fills else "info"
        said = f"{_title(name)} has grown all along, from {short(growth.began)} to {short(growth.now)} GiB"
        if fills:
            said += f"; at this pace the {short(course.total)} GiB are full before the end"
        return self._bad(severity, _title(name), growth.now, growth.began, said)

    def _held(self, reading: Reading) -> Reading:
        """The reading once the condition has held for some samples."""
        self._on_end += 1
        return reading if self._on_end >= _ON_END else NEAR

    def _bad(self, severity: Severity, what: str, now: float, other: float, sentence: str) -> Reading:
        step = self._timeline.step
        if self._since is None:
            self._since = step
        label = "Total" if what == "Main memory" else "When training had settled"
        numbers = (
            Number(label=what, value=now, unit="GiB", expected="level"),
            Number(label=label, value=other, unit="GiB"),
        )
        return bad(severity, f"{sentence}, {at(step)}.", numbers, since=self._since, step=step)


def _title(name: str) -> str:
    return "Memory of the process" if name == _PROCESS else "GPU memory"


def _make(context: RunContext, limits: Limits) -> _Detector:
    return _Detector(Timeline.of_run(context), limits)


RULE = Adjustable(SPEC, Limits(), _make)
