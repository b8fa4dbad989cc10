"""The life of an alert: unknown → inactive → pending → firing → resolved, one `Track` for each rule of a run.

    bad × hold        fires                        clear × clear        resolves
    higher severity   rises and freezes evidence anew, with the step at which it rose; severity never falls while firing
    ok, not clear     keeps a firing alert firing; ends a pending one
    unknown, silence  changes nothing that is pending or firing: missing data never resolves

Pending has no alert and no transition: there is nothing to tell yet. `Engine.states()` shows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from runvitals.diagnostics.history import History
from runvitals.diagnostics.types import (
    SEVERITIES,
    Alert,
    AlertState,
    Cause,
    Evidence,
    Reading,
    Remedy,
    RuleSpec,
    Transition,
)

RANK = {severity: rank for rank, severity in enumerate(SEVERITIES)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Where the run stands while a reading is taken."""

    time_s: float
    step: int | None
    history: History


@dataclass(slots=True, kw_only=True)
class Track:
    """Where one rule stands on one run. `judged`: it had enough data at least once. `alert`: its current or last episode.

    ids: those of all its episodes.
    """

    spec: RuleSpec
    run_id: str
    state: AlertState = "unknown"
    reason: str = ""
    error: str = ""
    judged: bool = False
    bad: int = 0
    clear: int = 0
    ids: set[str] = field(default_factory=set)
    onset_step: int | None = None
    onset_s: float = 0.0
    alert: Alert | None = None


def advance(track: Track, reading: Reading, moment: Moment) -> Transition | None:
    """The transition that a reading causes, or None where nothing changes but the track's counters."""
    if reading.state == "unknown":
        track.reason = reading.reason
        if track.state not in ("pending", "firing"):
            track.state = "unknown"
        return None
    track.judged = True
    track.reason = ""
    if reading.state == "bad":
        track.clear = 0
        return _raise(track, reading, moment) if track.state == "firing" else _count_bad(track, reading, moment)
    track.bad = 0
    if track.state == "firing":
        return _count_clear(track, reading, moment)
    track.state = "resolved" if track.ids else "inactive"
    return None


def _count_bad(track: Track, reading: Reading, moment: Moment) -> Transition | None:
    if track.bad == 0:
        track.onset_step, track.onset_s = _onset(track, reading, moment)
    track.bad += 1
    before = track.state
    if track.bad < track.spec.hold:
        track.state = "pending"
        return None
    track.state = "firing"
    track.alert = _fresh_alert(track, reading, moment)
    return Transition(time_s=moment.time_s, step=moment.step, before=before, alert=track.alert)


def _onset(track: Track, reading: Reading, moment: Moment) -> tuple[int | None, float]:
    """Step and time at which the condition began: as the reading says, but not before the episode before it was over."""
    if reading.onset_s is not None:
        return reading.onset_step, reading.onset_s
    if reading.onset_step is None or reading.onset_step == moment.step:
        return moment.step, moment.time_s
    logged_s = moment.history.time_of(reading.onset_step)
    onset_s = moment.time_s if logged_s is None else logged_s
    last = track.alert
    if last is not None and last.resolved_s is not None and onset_s <= last.resolved_s:
        return moment.step, moment.time_s
    return reading.onset_step, onset_s


def _alert_id(track: Track) -> str:
    """`run:rule:signal:step@milliseconds` of the onset, which are in the records: a watcher that has seen only a part of the run
    gives an episode the id that any other gives it. Rows of the same step and millisecond are told apart by a number."""
    spec = track.spec
    step = "" if track.onset_step is None else track.onset_step
    own_id = onset_id = f"{track.run_id}:{spec.name}:{spec.main_signal}:{step}@{track.onset_s * 1000:.0f}"
    twins = 1
    while own_id in track.ids:
        twins += 1
        own_id = f"{onset_id}~{twins}"
    return own_id


def _fresh_alert(track: Track, reading: Reading, moment: Moment) -> Alert:
    spec = track.spec
    evidence = _frozen(spec, reading, moment)
    causes = tuple(reading.causes or spec.causes)
    own_id = _alert_id(track)
    track.ids.add(own_id)
    return Alert(
        id=own_id,
        run_id=track.run_id,
        rule=spec.name,
        signal=evidence.curves[0].signal if evidence.curves else spec.main_signal,
        title=spec.title,
        severity=reading.severity,
        state="firing",
        incident=own_id,
        onset_step=track.onset_step,
        onset_s=track.onset_s,
        fired_step=moment.step,
        fired_s=moment.time_s,
        resolved_step=None,
        resolved_s=None,
        sentence=reading.sentence,
        evidence=evidence,
        causes=causes,
        remedies=_ordered(spec.remedies, causes),
    )


def _ordered(remedies: Sequence[Remedy], causes: Sequence[Cause]) -> tuple[Remedy, ...]:
    """The remedies in their order, but first those against a likely cause. It stays for the episode: people tick them by their place."""
    likely = {cause.text for cause in causes if cause.likelihood == "likely"}
    return tuple(sorted(remedies, key=lambda remedy: remedy.against not in likely))


def _frozen(spec: RuleSpec, reading: Reading, moment: Moment) -> Evidence:
    """The reading's evidence with a curve: the detector's own, else the newest stretch of the rule's main signal."""
    evidence = reading.evidence or Evidence(numbers=(), window=(reading.onset_step, moment.step))
    if evidence.curves:
        return evidence
    curve = moment.history.curve(spec.main_signal)
    return evidence if curve is None else replace(evidence, curves=(curve,))


def _raise(track: Track, reading: Reading, moment: Moment) -> Transition | None:
    alert = track.alert
    if alert is None or RANK[reading.severity] <= RANK[alert.severity]:
        return None
    track.alert = replace(
        alert,
        severity=reading.severity,
        sentence=_later(reading, alert, moment),
        evidence=_frozen(track.spec, reading, moment),
        causes=tuple(reading.causes or track.spec.causes),
    )
    return Transition(time_s=moment.time_s, step=moment.step, before="firing", alert=track.alert)


def _later(reading: Reading, alert: Alert, moment: Moment) -> str:
    """The sentence of a severity that rose after the alert had fired: which step its numbers are from."""
    if moment.step is None or moment.step == alert.fired_step:
        return reading.sentence
    return f"{reading.severity.capitalize()} since step {moment.step:,}: {reading.sentence}"


def _count_clear(track: Track, reading: Reading, moment: Moment) -> Transition | None:
    track.clear = track.clear + 1 if reading.clear else 0
    if track.clear < track.spec.clear or track.alert is None:
        return None
    track.clear = 0
    track.state = "resolved"
    track.alert = replace(
        track.alert, state="resolved", resolved_step=moment.step, resolved_s=moment.time_s, inhibited_by=""
    )
    return Transition(time_s=moment.time_s, step=moment.step, before="firing", alert=track.alert)
