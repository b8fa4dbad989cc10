"""`progress_stalled` (S1): the process lives, but no step has come for far longer than steps take."""

from __future__ import annotations

from dataclasses import dataclass

from runvitals.diagnostics.baseline import Window
from runvitals.diagnostics.limits import Adjustable, described, limit
from runvitals.diagnostics.rules.definition import NEAR, OK, at, lasting, short
from runvitals.diagnostics.rules.sources import BYTE_ROBUST, FLIGHT_RECORDER, PY_SPY, RESILIENCY
from runvitals.diagnostics.types import (
    Cause,
    Evidence,
    Happening,
    Number,
    Pulse,
    Reading,
    Remedy,
    RuleSpec,
    RunContext,
    Sample,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a step may be missing."""

    least_s: float = limit(60.0, "patience at least, however quick the steps are", least=5.0, most=86400.0, unit="s")
    times: float = limit(5.0, "times the 99th percentile of the time between rows", least=1.5, most=100.0)


SPEC = RuleSpec(
    name="progress_stalled",
    code="S1, S2",
    title="Training stands still",
    family="stall",
    summary="No new step for five times the 99th percentile of the time between rows, and at least 60 s; critical at twice that. "
    "Evaluation, saving, generation and start-up have their own patience, learned from how long they took before.",
    main_signal="loss",
    signals=(),
    any_key=True,
    timed=True,
    clear=1,
    inhibits=("throughput_drop", "gpu_underused", "bottleneck", "telemetry_fault"),
    causes=(
        Cause(text="The data loader waits for something that does not come"),
        Cause(text="A collective operation hangs: one rank is gone or out of step"),
        Cause(text="Another process took the device, the disk or the memory"),
    ),
    remedies=(
        Remedy(
            text="Look where it stands: py-spy dump --pid of the process",
            detail="On all ranks; the odd one out is the cause",
            **PY_SPY,
        ),
        Remedy(
            text="Set TORCH_NCCL_TRACE_BUFFER_SIZE and TORCH_NCCL_DUMP_ON_TIMEOUT",
            detail="Shows the collective that hangs",
            **FLIGHT_RECORDER,
        ),
        Remedy(
            text="Compare the ranks' stacks in groups; isolate the odd one before looking for the cause", **BYTE_ROBUST
        ),
        Remedy(text="Stop it and start again from the last checkpoint", **RESILIENCY),
    ),
    false_alarms="An evaluation or checkpoint that is longer than ever before; a loader that prepares a new epoch.",
    source="NVRx heartbeats: timeout of 5 times the observed interval",
    needs="rows with a step, and a watcher",
    limits=described(Limits),
)

_ENOUGH_INTERVALS = 20
_ENOUGH_PHASES = 3
_PATIENCE_S = {"init": 1200.0, "train": 1200.0, "eval": 1800.0, "save": 900.0, "generate": 900.0}
"""Patience before enough was seen to learn from."""
_SHORTEST_S = min(_PATIENCE_S.values())
_WORDS = {"init": "start-up", "train": "training", "eval": "evaluation", "save": "saving", "generate": "generation"}


class _Detector:
    """When the last step came, how long steps take, and how long each phase took."""

    def __init__(self, started_s: float, limits: Limits) -> None:
        self._limits = limits
        self._begin(started_s)

    def _begin(self, started_s: float) -> None:
        self._intervals = Window(256)
        self._step: int | None = None
        self._moved_s = started_s
        self._row_s: float | None = None
        self._phase = "init"
        self._phase_s = started_s
        self._spans: dict[str, Window] = {}

    def update(self, sample: Sample) -> Reading | None:
        """A row with a new step is progress."""
        step = sample.step
        if step is None or step == self._step:
            return None
        if self._row_s is not None and sample.time_s > self._row_s:
            self._intervals.add(sample.time_s - self._row_s)
        self._step = step
        self._row_s = self._moved_s = sample.time_s
        return OK

    def happen(self, happening: Happening) -> Reading | None:
        """A new phase is progress too. A resume begins anew: another process, maybe on another machine, that starts up first."""
        if happening.kind == "phase":
            self._enter(str(happening.data.get("phase", self._phase)), happening.time_s)
        elif happening.kind == "resume":
            self._begin(happening.time_s)
            return OK
        elif happening.kind == "trainer":
            self._row_s = None
            self._moved_s = max(self._moved_s, happening.time_s)
        return None

    def _enter(self, phase: str, time_s: float) -> None:
        if phase == self._phase:
            return
        learned_late = self._phase == "init" and self._step is not None
        span = time_s - self._phase_s
        if span > 0.0 and self._phase_s > 0.0:
            self._spans.setdefault(self._phase, Window(32)).add(span)
        self._phase, self._phase_s = phase, time_s
        if not learned_late:
            self._moved_s = max(self._moved_s, time_s)

    def pulse(self, pulse: Pulse) -> Reading | None:
        """Compares the time since the last progress with the patience of the phase."""
        if pulse.ended:
            return OK
        if pulse.alive is False:
            return NEAR  # a run that stood still and was killed has not moved on; one that moved is the crash's matter
        # The newest record's time, not the pulse's: a replay must date the phase alike.
        self._enter(pulse.phase, pulse.now_s if pulse.beat_s is None else pulse.beat_s)
        if self._moved_s <= 0.0:
            return Reading(state="unknown", reason="needs a first row or the time of the start")
        waited_s = pulse.now_s - self._moved_s
        # So short a wait is well whatever was learned, which takes time to tell.
        if waited_s <= min(self._limits.least_s, _SHORTEST_S):
            return OK
        patience_s = self._patience_s()
        if waited_s <= patience_s:
            return OK
        return self._stalled(waited_s, patience_s, pulse)

    def _patience_s(self) -> float:
        # A loop that never names its phase stays in `init`; with steps logged it is training.
        if self._phase == "train" or (self._phase == "init" and self._step is not None):
            if len(self._intervals) < _ENOUGH_INTERVALS:
                return _PATIENCE_S["train"]
            return max(self._limits.least_s, self._limits.times * self._intervals.quantile(0.99))
        usual_s = _PATIENCE_S.get(self._phase, _PATIENCE_S["train"])
        spans = self._spans.get(self._phase)
        if spans is None:
            return usual_s
        longest_s = self._limits.times * spans.quantile(1.0)
        return max(self._limits.least_s, longest_s) if len(spans) >= _ENOUGH_PHASES else max(usual_s, longest_s)

    def _stalled(self, waited_s: float, patience_s: float, pulse: Pulse) -> Reading:
        doing = _WORDS.get(self._phase, self._phase)
        numbers = [
            Number(label="Time without a step", value=waited_s, unit="s", expected=f"below {short(patience_s)}"),
        ]
        if len(self._intervals):
            numbers.append(Number(label="Usual time between rows", value=self._intervals.median(), unit="s"))
            numbers.append(Number(label="99th percentile of it", value=self._intervals.quantile(0.99), unit="s"))
        if pulse.beat_s is not None:
            numbers.append(Number(label="Since the last heartbeat", value=pulse.now_s - pulse.beat_s, unit="s"))
        life = "The process is alive" if pulse.alive else "Whether the process is alive cannot be seen from here"
        if self._step is None:
            sentence = f"No step yet, {lasting(waited_s)} into {doing}. {life}."
        else:
            sentence = f"No step for {lasting(waited_s)}, stands {at(self._step)} in {doing}. {life}."
        return Reading(
            state="bad",
            severity="critical" if waited_s > 2 * patience_s else "warning",
            onset_step=self._step,
            onset_s=self._moved_s,
            sentence=sentence,
            evidence=Evidence(numbers=tuple(numbers), window=(self._step, self._step)),
        )


def _make(context: RunContext, limits: Limits) -> _Detector:
    return _Detector(context.started_s, limits)


RULE = Adjustable(SPEC, Limits(), _make)
