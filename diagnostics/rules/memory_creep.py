"""`memory_creep` (R3): memory grows steadily, or is nearly full."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from runvitals.diagnostics.blocks import Blocks
from runvitals.diagnostics.limits import Adjustable, described, limit
from runvitals.diagnostics.rules.definition import NEAR, OK, RowDetector, at, bad, is_finite, short
from runvitals.diagnostics.rules.sources import MEMORY, SAGEMAKER
from runvitals.diagnostics.timeline import Timeline
from runvitals.diagnostics.types import Cause, Number, Reading, Remedy, RuleSpec, RunContext, Sample, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How full main memory may be."""

    full: float = limit(0.95, "share of main memory in use, for a warning", least=0.1, most=0.999)


SPEC = RuleSpec(
    name="memory_creep",
    code="R3",
    title="Memory creeps up",
    family="resource",
    summary="Memory of the training process, or of its GPU, grew in each of the last eight stretches of the run, by 1 GiB and a quarter in "
    "all (information). A warning where it doubled since training settled, or will be full before the end at this pace. "
    "Main memory above 95 % full is a warning by itself.",
    main_signal="host_process_memory_gib",
    signals=("host_process_memory_gib", "host_memory_gib", "gpu_memory_used_gib"),
    hold=3,
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
    false_alarms="Caches that fill and then stay; engines that take all GPU memory at once are flat and silent here.",
    source="SageMaker GPUMemoryIncrease (5 %); rule catalogue R3",
    needs="10 minutes of samples of the process's memory",
    limits=described(Limits),
)

_SETTLE_S = 60.0
_LEAST_S = 600.0
_STRETCHES = 8


class _Course:
    """The course of one memory since training settled."""

    def __init__(self) -> None:
        self.blocks = Blocks()
        self.total = math.nan

    def grown(self) -> tuple[float, float]:
        """(first, newest) mean in GiB where each of the last eight stretches lies above the one before; (0, 0) elsewhere."""
        means = self.blocks.means
        if len(means) < 4 * _STRETCHES:
            return 0.0, 0.0
        width = len(means) // _STRETCHES
        stretches = [sum(means[i * width : (i + 1) * width]) / width for i in range(_STRETCHES)]
        rises = [later - earlier for earlier, later in pairwise(stretches)]
        # A cache that fills rises ever less; a leak keeps its pace.
        steady = min(rises) > 0.0 and sum(rises[-3:]) > 0.75 * sum(rises[:3])
        return (stretches[0], means[-1]) if steady else (0.0, 0.0)


class _Detector(RowDetector):
    """Memory of the process and of the GPUs, from a minute after the first step on."""

    def __init__(self, timeline: Timeline, limits: Limits) -> None:
        self._limits = limits
        self._timeline = timeline
        self._courses = {"host_process_memory_gib": _Course(), "gpu_memory_used_gib": _Course()}
        self._since_s: float | None = None
        self._since: int | None = None

    def update(self, sample: Sample) -> Reading | None:
        """Takes a sample of the machine."""
        if self._timeline.step is None:
            return None
        if self._since_s is None:
            self._since_s = sample.time_s
        signals = sample.signals
        used, total = signals.get("host_memory_gib"), signals.get("host_memory_total_gib")
        full = used / total if used is not None and total and is_finite(used) else 0.0
        if full > self._limits.full:
            return self._bad("warning", "Main memory", used or 0.0, total or 0.0, f"Main memory is {full:.0%} full")
        gone_s = sample.time_s - self._since_s
        if gone_s < _SETTLE_S:
            return None
        for name, course in self._courses.items():
            value = signals.get(name)
            if value is not None and is_finite(value):
                course.blocks.add(value)
                of = signals.get("host_memory_total_gib" if name.startswith("host") else "gpu_memory_total_gib")
                course.total = of if of is not None and is_finite(of) else math.nan
        return self._judge() if gone_s >= _LEAST_S else None

    def _judge(self) -> Reading:
        near = False
        for name, course in self._courses.items():
            began, now = course.grown()
            if now - began < 1.0 or now < 1.25 * began:
                near = near or (began > 0.0 and now > 1.1 * began)
                continue
            what = "Memory of the process" if name.startswith("host") else "GPU memory"
            progress = self._timeline.progress
            to_come = 1.0 / progress - 1.0 if progress else 1.0
            fills = now + (now - began) * to_come > course.total
            severity: Severity = "warning" if now > 2.0 * began or fills else "info"
            sentence = f"{what} has grown all along, from {short(began)} to {short(now)} GiB"
            if fills:
                sentence += f"; at this pace the {short(course.total)} GiB are full before the end"
            return self._bad(severity, what, now, began, sentence)
        if not near:
            self._since = None
        return NEAR if near else OK

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


def _make(context: RunContext, limits: Limits) -> _Detector:
    return _Detector(Timeline.of_run(context), limits)


RULE = Adjustable(SPEC, Limits(), _make)
