"""`bottleneck` (R2): names what most of a step's time goes to: data, CPU, storage, communication or rollout."""

from __future__ import annotations

import math
from dataclasses import dataclass

from runvitals.diagnostics.baseline import SortedWindow, Window
from runvitals.diagnostics.limits import Adjustable, described, limit
from runvitals.diagnostics.rules.definition import NEAR, OK, RowDetector, bad, is_finite
from runvitals.diagnostics.rules.sources import DATA_LOADING, SAGEMAKER, TRL
from runvitals.diagnostics.timeline import Timeline
from runvitals.diagnostics.types import Cause, Number, Reading, Remedy, RuleSpec, RunContext, Sample, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of a step may be spent on one thing."""

    wait: float = limit(0.5, "share of a step that waits for its batch, for a warning", least=0.05, most=0.99)
    generation: float = limit(0.7, "share of a step that generates answers, for information", least=0.05, most=0.99)


SPEC = RuleSpec(
    name="bottleneck",
    code="R2",
    title="Bottleneck",
    family="resource",
    summary="Names what training waits for. Data: half of the step waits for its batch, over 30 steps (a warning). Rollout: 70 % of the step "
    "generates. From the machine's samples, over at least 10 minutes: GPU below 30 % with CPU above 90 % (CPU), or with steady disk reading "
    "(storage); several GPUs above 90 % busy at less than 60 % of their power limit (communication). A run that computes gives nothing.",
    main_signal="data_wait_s",
    signals=("data_wait_s", "step_time_s", "generation_time_s", "gpu_utilization", "host_cpu_percent"),
    clear=3,
    causes=(
        Cause(text="Too few data workers, or tokenisation while training"),
        Cause(text="Storage that cannot keep up: network disk, many small files"),
        Cause(text="Generation without a serving engine, or very long answers"),
        Cause(text="Ranks that wait for each other's gradients"),
    ),
    remedies=(
        Remedy(
            text="Data: more workers, pinned memory, prefetching, tokenised ahead of training",
            against="Too few data workers, or tokenisation while training",
            **DATA_LOADING,
        ),
        Remedy(
            text="Storage: copy the data to a local disk, or pack it in larger files",
            against="Storage that cannot keep up: network disk, many small files",
            **SAGEMAKER,
        ),
        Remedy(
            text="Rollout: generate with vLLM, or shorten the answers",
            against="Generation without a serving engine, or very long answers",
            **TRL,
        ),
        Remedy(
            text="Communication: accumulate gradients, overlap, or shard within a node only",
            against="Ranks that wait for each other's gradients",
        ),
    ),
    false_alarms="Utilisation only says that some kernel ran. Another job on the same machine counts as well. Steps below 20 ms are not judged.",
    source="SageMaker CPUBottleneck and IOBottleneck; rule catalogue R2",
    needs="perf/data_wait_s with a step time, or 10 minutes of GPU and host samples",
    limits=described(Limits),
)

_ROWS, _SAMPLES, _LEAST_SAMPLES = 30, 120, 60
_LEAST_S = 600.0
_LEAST_STEP_S = 0.02
_EVERY = 10
"""Rows between judgements."""


class _Detector(RowDetector):
    """Shares of the newest steps, and the machine's newest samples."""

    def __init__(self, timeline: Timeline, limits: Limits) -> None:
        self._limits = limits
        self._timeline = timeline
        self._wait = Window(_ROWS)
        self._generate = Window(_ROWS)
        self._parts = (("data_wait_s", self._wait), ("generation_time_s", self._generate))
        self._machine = {name: SortedWindow(_SAMPLES) for name in ("gpu", "cpu", "disk", "power")}
        self._rows = 0
        self._since: int | None = None
        self._since_s: float | None = None

    def update(self, sample: Sample) -> Reading | None:
        """Takes a row or a sample of the machine."""
        return self._take_machine(sample) if sample.step is None else self._take_step(sample)

    def _take_step(self, sample: Sample) -> Reading | None:
        whole = sample.signals.get("step_time_s")
        if whole is None or not _LEAST_STEP_S <= whole < math.inf:
            return None
        for name, window in self._parts:
            part = sample.signals.get(name)
            if part is not None and part - part == 0.0:
                window.add(min(max(part / whole, 0.0), 1.0))
        self._rows += 1
        if self._rows % _EVERY:
            return None
        if len(self._wait) >= _ROWS and self._wait.median() > self._limits.wait:
            return self._found("data", "warning", self._wait.median())
        if len(self._generate) >= _ROWS and self._generate.median() > self._limits.generation:
            return self._found("rollout", "info", self._generate.median())
        if max(len(self._wait), len(self._generate)) < _ROWS:
            return None
        if self._wait.median() > 0.6 * self._limits.wait or self._generate.median() > 0.85 * self._limits.generation:
            return NEAR
        self._since = None
        return OK

    def _take_machine(self, sample: Sample) -> Reading | None:
        if self._timeline.step is None or "gpu_utilization" not in sample.signals:
            return None
        if self._since_s is None:
            self._since_s = sample.time_s
        signals = sample.signals
        power, limit = signals.get("gpu_power_w"), signals.get("gpu_power_limit_w")
        found = {
            "gpu": signals.get("gpu_utilization"),
            "cpu": signals.get("host_cpu_percent"),
            "disk": signals.get("host_disk_read_mib_s"),
            "power": power / limit if power is not None and limit else None,
        }
        for name, value in found.items():
            if value is not None and is_finite(value):
                self._machine[name].add(value)
        gpu = self._machine["gpu"]
        if len(gpu) < _LEAST_SAMPLES or sample.time_s - self._since_s < _LEAST_S or gpu.quantile(1.0) < 5.0:
            return None
        return self._judge_machine(sum(key.endswith("utilization") for key in sample.raw))

    def _judge_machine(self, devices: int) -> Reading | None:
        busy, cpu, disk, power = (self._machine[name].median() for name in ("gpu", "cpu", "disk", "power"))
        if busy < 30.0 and cpu > 90.0:
            return self._found("CPU", "warning", cpu / 100)
        if busy < 30.0 and disk > 50.0:
            return self._found("storage", "info", disk)
        if devices > 1 and busy > 90.0 and power < 0.6:
            return self._found("communication", "info", power)
        return None

    def _found(self, what: str, severity: Severity, value: float) -> Reading:
        if self._since is None:
            self._since = self._timeline.step
        data, storage, rollout, ranks = SPEC.causes
        said = {
            "data": (f"{value:.0%} of a step waits for its batch", Number(label="Data wait", value=100 * value, unit="% of a step", expected="below 10"), data),
            "rollout": (f"{value:.0%} of a step generates answers", Number(label="Generation", value=100 * value, unit="% of a step"), rollout),
            "CPU": (f"the GPU is idle for most of the time while the CPU is {value:.0%} busy", Number(label="CPU", value=100 * value, unit="%"), data),
            "storage": (f"the GPU is idle for most of the time while {value:.0f} MiB/s are read from disk", Number(label="Disk read", value=value, unit="MiB/s"), storage),
            "communication": (f"the GPUs are busy at {value:.0%} of their power limit, as while they wait for each other", Number(label="Power", value=100 * value, unit="% of the limit"), ranks),
        }  # fmt: skip
        because, number, cause = said[what]
        numbers = [number]
        if len(self._machine["gpu"]):
            numbers.append(Number(label="GPU utilisation", value=self._machine["gpu"].median(), unit="%"))
        causes = (
            Cause(text=cause.text, likelihood="likely", because=because),
            *(c for c in SPEC.causes if c is not cause),
        )
        return bad(
            severity,
            f"Training is bound by {what}: {because}.",
            numbers,
            since=self._since,
            step=self._timeline.step,
            causes=causes,
        )


def _make(context: RunContext, limits: Limits) -> _Detector:
    return _Detector(Timeline.of_run(context), limits)


RULE = Adjustable(SPEC, Limits(), _make)
