"""`heartbeat_lost` (S1): the process gives no sign of life, and nobody can see that it has gone."""

from __future__ import annotations

from dataclasses import dataclass

from runvitals.diagnostics.limits import Adjustable, described, in_order, limit
from runvitals.diagnostics.rules.definition import OK, at, lasting, short
from runvitals.diagnostics.rules.sources import PY_SPY, RESILIENCY
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
    """How long a silence may be."""

    warning_s: float = limit(60.0, "silence after which it warns", unit="s", least=10.0, most=86_400.0)
    critical_s: float = limit(120.0, "silence after which it is critical", unit="s", least=10.0, most=86_400.0)

    def __post_init__(self) -> None:
        in_order(self, "warning_s", "critical_s")


SPEC = RuleSpec(
    name="heartbeat_lost",
    code="S1",
    title="No sign of life",
    family="stall",
    summary="No heartbeat for 60 s, where one comes every 2 s; critical after 120 s. A process that is known to be gone is `run_crashed`.",
    main_signal="loss",
    signals=(),
    any_key=True,
    timed=True,
    clear=1,
    inhibits=("progress_stalled", "gpu_underused"),
    causes=(
        Cause(text="The machine is gone, asleep, or cut off from the disk that holds the journal"),
        Cause(text="The process is stopped, or one call holds Python's lock"),
        Cause(text="The process was killed"),
    ),
    remedies=(
        Remedy(text="Look whether the process is there, and in which state (ps, nvidia-smi)"),
        Remedy(text="If it is there: py-spy dump --pid of the process", **PY_SPY),
        Remedy(text="If it is gone: start again from the last checkpoint", **RESILIENCY),
    ),
    false_alarms="A laptop that slept; a network disk that shows what was written only after a while; clocks that differ.",
    source="NVRx heartbeats",
    needs="heartbeats, and a watcher",
    limits=described(Limits),
)


class _Detector:
    """The step that was reached, and when the run was taken up again; all else comes with the pulse."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._step: int | None = None
        self._resumed_s: float | None = None

    def update(self, sample: Sample) -> Reading | None:
        """Remembers the step."""
        if sample.step is not None:
            self._step = sample.step
        return None

    def happen(self, happening: Happening) -> Reading | None:
        """A run that is taken up again lives; the silence before was another process's."""
        if happening.kind != "resume":
            return None
        self._resumed_s = happening.time_s
        return OK

    def pulse(self, pulse: Pulse) -> Reading | None:
        """Compares the age of the last heartbeat with the line."""
        if pulse.ended or pulse.alive is False:
            return OK
        if pulse.beat_s is None:
            return Reading(state="unknown", reason="needs a first heartbeat")
        beat_s = pulse.beat_s if self._resumed_s is None else max(pulse.beat_s, self._resumed_s)
        age_s = pulse.now_s - beat_s
        if age_s <= self._limits.warning_s:
            return OK
        seen = "It is still there" if pulse.alive else "Whether it is still there cannot be seen from here"
        return Reading(
            state="bad",
            severity="critical" if age_s > self._limits.critical_s else "warning",
            onset_step=self._step,
            onset_s=beat_s,
            sentence=f"No heartbeat from the process for {lasting(age_s)}; the last step came {at(self._step)}. {seen}.",
            evidence=Evidence(
                numbers=(
                    Number(
                        label="Since the last heartbeat",
                        value=age_s,
                        unit="s",
                        expected=f"below {short(self._limits.warning_s)}",
                    ),
                ),
                window=(self._step, self._step),
            ),
        )


def _make(context: RunContext, limits: Limits) -> _Detector:
    return _Detector(limits)


RULE = Adjustable(SPEC, Limits(), _make)
