"""What goes into the diagnostics engine and what comes out of it. Plain data; nothing here touches a clock or a disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Severity = Literal["info", "warning", "critical"]
AlertState = Literal["unknown", "inactive", "pending", "firing", "resolved"]
Likelihood = Literal["likely", "possible", "unlikely"]

SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What was logged at once, under the keys that the library used. `step` is None for GPU and host samples. None values are facts."""

    time_s: float
    step: int | None
    values: Mapping[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """An event of the run that rules need to know: kind is one of resume, eval, checkpoint, phase, trainer, config, finish, exception."""

    time_s: float
    step: int | None
    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """What the watcher knows of the process at `now_s`. alive: None where it cannot be known (another host)."""

    now_s: float
    beat_s: float | None
    phase: str
    alive: bool | None
    ended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """What is known of the run apart from its rows. trainer: pretrain, sft, reward, dpo, kto, orpo, ppo, grpo, rloo or custom.

    shared: what detectors of one engine work out together, by family; each engine makes its own.
    """

    run_id: str
    trainer: str = "custom"
    config: Mapping[str, Any] = field(default_factory=dict)
    max_steps: int | None = None
    started_s: float = 0.0
    shared: dict[str, object] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """One number of the evidence. expected: in words, what it would be in a healthy run ("above +0.05")."""

    label: str
    value: float
    unit: str = ""
    expected: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A stretch of a signal, frozen when the alert fired: at most 200 points."""

    signal: str
    steps: Sequence[int]
    values: Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The numbers a finding rests on and the steps they were taken from (first and last, inclusive)."""

    numbers: Sequence[Number]
    window: tuple[int | None, int | None]
    curves: Sequence[Curve] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """A possible cause, with what speaks for or against it in this run."""

    text: str
    likelihood: Likelihood = "possible"
    because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """One thing to do; `detail` says what to expect of it, `source` where it comes from (paper, docs; a title), `url` optional.

    against: the text of the cause that it is against; it comes first where that one is likely.
    """

    text: str
    detail: str = ""
    against: str = ""
    source: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a detector says at one row: `unknown` (not enough data, `reason` says what is missing), `ok` or `bad`.

    For `bad`: severity, onset_step (where the condition began, if before this row), one plain sentence with the numbers,
    evidence, and causes ranked for this run (the rule's own list where empty). `onset_s` is the time of the record that the
    condition began with, where its step does not say (a last heartbeat); it must come from records, never from a pulse's time.
    `clear` is true where an `ok` is clearly below the lower line (hysteresis); an `ok` that is not clear keeps a firing alert firing.
    """

    state: Literal["unknown", "ok", "bad"]
    reason: str = ""
    severity: Severity = "warning"
    sentence: str = ""
    evidence: Evidence | None = None
    causes: Sequence[Cause] = ()
    onset_step: int | None = None
    onset_s: float | None = None
    clear: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A number of a rule that a user may set; least and most are the range that makes sense, both included."""

    name: str
    default: float
    meaning: str
    least: float
    most: float
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSpec:
    """What a rule is, apart from its arithmetic; the docs page and the alert are made from it.

    name: snake_case word used everywhere. code: catalogue number (D1 …). trainers: kinds it applies to, empty for all.
    signals: canonical signals it reads; it is fed only the rows that hold one of them. main_signal: where its alert is drawn.
    keys: logged keys that it reads as they are, where they are no signals.
    hold: consecutive bad readings before firing (1 fires at once). clear: consecutive clear readings before resolving.
    inhibits: rules that stay out of sight (still tracked, attached to the incident) while this one fires.
    needs: in words, what must be logged for it to run. limits: numbers that a user may set.
    """

    name: str
    code: str
    title: str
    family: str
    summary: str
    main_signal: str
    signals: tuple[str, ...]
    trainers: tuple[str, ...] = ()
    hold: int = 1
    clear: int = 20
    inhibits: tuple[str, ...] = ()
    causes: tuple[Cause, ...] = ()
    remedies: tuple[Remedy, ...] = ()
    false_alarms: str = ""
    source: str = ""
    needs: str = ""
    timed: bool = False
    any_key: bool = False
    keys: tuple[str, ...] = ()
    limits: tuple[Limit, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A row after its keys were translated: canonical signal → value. `raw` is the row as logged."""

    time_s: float
    step: int | None
    signals: Mapping[str, float | None]
    raw: Mapping[str, float | None]


class Detector(Protocol):
    """The state of one rule on one run. All methods are pure functions of what was fed so far."""

    def update(self, sample: Sample) -> Reading | None:
        """Takes a row that holds one of the rule's signals; None means this row says nothing."""
        ...

    def happen(self, happening: Happening) -> Reading | None:
        """Takes an event (resume, eval, …): masks and baselines may change. Only a rule about events reads something from it."""
        ...

    def pulse(self, pulse: Pulse) -> Reading | None:
        """Takes the time and the process state; only called for rules whose spec says `timed`."""
        ...


class Rule(Protocol):
    """A rule: its description, and a detector for each run."""

    spec: RuleSpec

    def start(self, context: RunContext) -> Detector: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One episode of one rule on one run. `id` is made of run, rule, signal and onset, so that whoever reads the records gives it."""

    id: str
    run_id: str
    rule: str
    signal: str
    title: str
    severity: Severity
    state: AlertState
    incident: str
    onset_step: int | None
    onset_s: float
    fired_step: int | None
    fired_s: float | None
    resolved_step: int | None
    resolved_s: float | None
    sentence: str
    evidence: Evidence | None
    causes: Sequence[Cause]
    remedies: Sequence[Remedy]
    inhibited_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """An alert changed: state or severity. `alert` is the alert after the change."""

    time_s: float
    step: int | None
    before: AlertState
    alert: Alert


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleState:
    """Where a rule stands on a run. error: the last exception of a rule that broke; such a rule is neither ok nor firing."""

    rule: str
    state: AlertState
    reason: str = ""
    error: str = ""
