"""`run_crashed` (S1): an exception left the training loop, or the process is gone without saying that it ended."""

from __future__ import annotations

from runvitals.diagnostics.rules.definition import OK, Definition, at, lasting
from runvitals.diagnostics.rules.sources import RESILIENCY
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

SPEC = RuleSpec(
    name="run_crashed",
    code="S1",
    title="The run crashed",
    family="stall",
    summary="An exception left the training loop, the run ended as crashed, or its process is gone without having ended the run.",
    main_signal="loss",
    signals=(),
    any_key=True,
    timed=True,
    clear=1,
    inhibits=("heartbeat_lost", "progress_stalled", "gpu_underused"),
    causes=(
        Cause(text="Out of memory: the kernel or the scheduler killed the process"),
        Cause(text="An error in code or data"),
        Cause(text="A device or driver fault"),
        Cause(text="Somebody or a time limit killed it"),
    ),
    remedies=(
        Remedy(
            text="Read the last lines of the console, and of the kernel's log (journalctl -k) or the scheduler's report",
            detail="An exception names the line; a killed process leaves none, the OOM killer tells the kernel",
        ),
        Remedy(text="Where memory ran out: a smaller batch a device with more accumulation, or gradient checkpointing"),
        Remedy(text="Start again from the last checkpoint; after CUDA errors on another device", **RESILIENCY),
    ),
    false_alarms="A process that hands over to another one that goes on writing the same run.",
    source="Llama 3: 419 unexpected interruptions in 54 days, most from hardware",
    needs="an exception event, or a watcher on the same machine",
)

_ON_PURPOSE = ("KeyboardInterrupt", "SystemExit")
_OUT_OF_MEMORY = ("outofmemory", "out of memory", "memoryerror")


_STILL_S, _STILL_TIMES = 60.0, 2.0
"""No step for so long, and for so many times the longest time between two steps before: the run stood still."""
_LONG_PHASES = ("eval", "save", "generate")
"""In these a minute without a step means nothing."""


class _Detector:
    """The step that was reached and when, and whether the run is known to have crashed."""

    def __init__(self) -> None:
        self._step: int | None = None
        self._moved_s = self._longest_s = 0.0
        self._said = False

    def update(self, sample: Sample) -> Reading | None:
        """A row after the crash means that the run was taken up again."""
        step = sample.step
        if step is None:
            return None
        if step != self._step:
            if self._step is not None:
                self._longest_s = max(self._longest_s, sample.time_s - self._moved_s)
            self._step, self._moved_s = step, sample.time_s
        if not self._said:
            return None
        self._said = False
        return OK

    def happen(self, happening: Happening) -> Reading | None:
        """An exception, or an end that calls itself a crash, fires at once; a resume takes the run up again."""
        data = happening.data
        if happening.kind == "resume":
            self._said = False
            return OK
        if happening.kind == "exception" and str(data.get("type")) not in _ON_PURPOSE:
            self._said = True
            return self._by_exception(happening)
        if happening.kind == "finish":
            if data.get("status") == "crashed":
                self._said = True
                code = data.get("exit_code")
                tail = f", exit code {code}." if code is not None else "."
                return self._crashed(f"The run ended as crashed {at(self._step)}{tail}", happening.time_s)
            # An exception that the run survived, or a process that was gone before its last record was read.
            return None if self._said else OK
        return None

    def pulse(self, pulse: Pulse) -> Reading | None:
        """A process that is gone without an end has crashed."""
        if self._said:
            return None
        if pulse.ended or pulse.alive:
            return OK
        if pulse.alive is None:
            return None
        gone = f"The process is gone {at(self._step)} and never said that the run ended: it was killed"
        still_s = self._stood_still_s(pulse)
        if still_s is None:
            return self._crashed(f"{gone}.", pulse.beat_s)
        hung = Cause(
            text="It hung, and somebody or a time limit killed it: look for what it waited for",
            likelihood="likely",
            because=f"no step had come for {lasting(still_s)}",
        )
        memory, code, device, _ = SPEC.causes
        causes = (hung, device, code, memory)
        return self._crashed(f"{gone}, after {lasting(still_s)} without a step.", pulse.beat_s, causes=causes)

    def _stood_still_s(self, pulse: Pulse) -> float | None:
        """How long no step had come while the process still showed signs of life; None where that was no longer than usual."""
        if self._step is None or pulse.beat_s is None or not self._longest_s or pulse.phase in _LONG_PHASES:
            return None
        still_s = pulse.beat_s - self._moved_s
        return still_s if still_s > max(_STILL_S, _STILL_TIMES * self._longest_s) else None

    def _by_exception(self, happening: Happening) -> Reading:
        kind, message = str(happening.data.get("type", "exception")), str(happening.data.get("message", ""))
        first_line = message.strip().splitlines()[0][:200] if message.strip() else ""
        memory, *others = SPEC.causes
        causes: tuple[Cause, ...] = (others[0], others[1], memory)
        if any(word in f"{kind} {message}".lower() for word in _OUT_OF_MEMORY):
            causes = (Cause(text="Out of memory", likelihood="likely", because=f"the exception is {kind}"), *others)
        elif "cuda" in message.lower():
            causes = (others[1], memory, others[0])
        sentence = f"{kind} {at(self._step)}{': ' + first_line if first_line else ''}."
        return self._crashed(sentence, happening.time_s, causes=causes)

    def _crashed(self, sentence: str, onset_s: float | None, *, causes: tuple[Cause, ...] = ()) -> Reading:
        numbers = () if self._step is None else (Number(label="Last step", value=float(self._step)),)
        return Reading(
            state="bad",
            severity="critical",
            onset_step=self._step,
            onset_s=onset_s,
            sentence=sentence,
            evidence=Evidence(numbers=numbers, window=(self._step, self._step)),
            causes=causes,
        )


def _make(context: RunContext) -> _Detector:
    return _Detector()


RULE = Definition(SPEC, _make)
