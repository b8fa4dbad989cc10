"""The engine: rows, events and the time go in, alert transitions come out. Pure: no clock, no disk, no randomness.

The same rows in the same order give the same transitions however they are cut, live or replayed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from runvitals.diagnostics.health import ALWAYS, BY_NEWEST, JUDGED_BY, Freshness, Health, health
from runvitals.diagnostics.history import History, Sheet
from runvitals.diagnostics.incidents import Incidents
from runvitals.diagnostics.lifecycle import Moment, Track, advance
from runvitals.diagnostics.signals import Translation, translation
from runvitals.diagnostics.timeline import Timeline
from runvitals.diagnostics.types import (
    Alert,
    Detector,
    Happening,
    Pulse,
    Reading,
    Row,
    Rule,
    RuleSpec,
    RuleState,
    RunContext,
    Sample,
    Transition,
)

_BESIDE = ("eval", "checkpoint")
"""Events after which the run goes on as it was. After any other one a row counts, whatever it says."""

_MAX_PLANS = 256
"""Sets of keys remembered; a run that logs ever new keys must not fill the memory."""


Update = Callable[[Sample], Reading | None]


@dataclass(slots=True)
class _Seat:
    """A rule at work on this run: its detector is made at the first row that concerns it, when most is known of the run."""

    rule: Rule
    track: Track
    detector: Detector | None = None
    freshness: Freshness | None = None


@dataclass(slots=True)
class _Plan:
    """What all rows with the same keys have in common: how they become signals, where they are remembered, whom they concern; the last of them."""

    translation: Translation
    sheet: Sheet
    updates: tuple[tuple[_Seat, Update], ...]
    last: Row | None = None


class Engine:
    """All rules on one run."""

    def __init__(self, rules: Sequence[Rule], context: RunContext) -> None:
        """An engine that has seen nothing. Rule names must differ."""
        self.context = replace(context, shared={})
        self._timeline = Timeline.of_run(self.context)
        self._seats = [_Seat(rule, Track(spec=rule.spec, run_id=context.run_id)) for rule in rules]
        self._tracks = {seat.track.spec.name: seat.track for seat in self._seats}
        if len(self._tracks) != len(self._seats):
            raise ValueError("expected rules with different names; two have the same")
        self._incidents = Incidents({name: track.spec for name, track in self._tracks.items()})
        self._history = History(sorted({rule.spec.main_signal for rule in rules}))
        self._plans: dict[tuple[str, ...], _Plan] = {}
        self._logged: set[str] = set()
        self._freshness = {name: Freshness() for name in (ALWAYS, *JUDGED_BY) if name in self._tracks}
        for seat in self._seats:
            seat.freshness = self._freshness.get(seat.track.spec.name)
        self._phase: Happening | None = None

    def feed(self, row: Row) -> list[Transition]:
        """The transitions that a row causes, in order. A row that says the last one of its step over again causes none."""
        keys = tuple(row.values)
        plan = self._plans.get(keys) or self._plan(keys)
        last, plan.last = plan.last, row
        # Every rank that prints logs the same row; read twice, its noise would count as nothing.
        if last is not None and last.step == row.step is not None and _same(last.values, row.values):
            return []
        signals = plan.translation.of(row.values)
        self._history.add(row.time_s, row.step, signals, plan.sheet)
        sample = Sample(time_s=row.time_s, step=row.step, signals=signals, raw=row.values)
        self._timeline.read(sample)
        changed: list[Transition] = []
        for seat, update in plan.updates:
            try:
                reading = update(sample)
            except Exception as error:  # noqa: BLE001 - the per-rule guard: a rule that breaks must not hide the others
                self._broken(seat, error)
                continue
            if reading is None:
                continue
            if seat.freshness is not None:
                seat.freshness.note(reading, self._history.travelled)
            # Nearly all readings say that all is well once more; nothing changes then.
            if reading.state != "ok" or seat.track.state != "inactive":
                changed += self._judge(seat, reading, row.time_s, row.step)
        return changed

    def happen(self, happening: Happening) -> list[Transition]:
        """The transitions that an event causes. A `trainer` or `config` event also tells which rules apply."""
        self._learn(happening)
        if happening.kind not in _BESIDE:
            for plan in self._plans.values():
                plan.last = None
        self._timeline.happen(happening)
        changed: list[Transition] = []
        for seat in self._seats:
            if seat.track.spec.timed and self._applies(seat):
                self._start(seat)
            detector = seat.detector
            if detector is not None:
                changed += self._guarded(seat, partial(detector.happen, happening), happening.time_s, happening.step)
        return changed

    def pulse(self, pulse: Pulse) -> list[Transition]:
        """The transitions that the passing of time causes."""
        changed: list[Transition] = []
        for seat in self._seats:
            if not seat.track.spec.timed or not self._applies(seat):
                continue
            self._start(seat)
            detector = seat.detector
            if detector is not None:
                changed += self._guarded(seat, partial(detector.pulse, pulse), pulse.now_s, self._history.last_step)
        return changed

    def alerts(self) -> list[Alert]:
        """Every episode so far, in order of firing: firing and resolved ones."""
        return list(self._incidents.alerts.values())

    def states(self) -> list[RuleState]:
        """Where each rule stands, and what is missing where it is unknown."""
        return [self._state(seat) for seat in self._seats]

    def judged(self) -> list[str]:
        """The rules that had enough data to judge at least once."""
        return [seat.track.spec.name for seat in self._seats if seat.track.judged]

    def health(self) -> Health:
        """The run's health as its rules see it; see `runvitals.diagnostics.health`."""
        travelled = self._history.travelled
        return health(
            self._incidents.firing,
            judging={name for name, freshness in self._freshness.items() if self._judges(name, freshness, travelled)},
            broken=any(seat.track.error and self._applies(seat) for seat in self._seats),
            logged=self._logged,
            trainer=self.context.trainer,
        )

    def _judges(self, name: str, freshness: Freshness, travelled: int) -> bool:
        open_ = name in BY_NEWEST and self._tracks[name].state in ("unknown", "pending")
        return freshness.is_fresh(travelled) and not open_

    def _plan(self, keys: tuple[str, ...]) -> _Plan:
        """The plan for rows with these keys, the detectors of all whom they concern started."""
        how = translation(keys)
        signals = how.signals
        seats = [seat for seat in self._seats if self._applies(seat) and _concerns(seat.track.spec, keys, signals)]
        self._logged.update(signals)
        for seat in seats:
            self._start(seat)
        if len(self._plans) >= _MAX_PLANS:
            self._plans.clear()
        updates = tuple((seat, seat.detector.update) for seat in seats if seat.detector is not None)
        self._plans[keys] = _Plan(how, self._history.sheet(signals), updates)
        return self._plans[keys]

    def _applies(self, seat: _Seat) -> bool:
        kinds = seat.track.spec.trainers
        return not kinds or self.context.trainer in kinds

    def _start(self, seat: _Seat) -> None:
        if seat.detector is not None or seat.track.error:
            return
        try:
            seat.detector = seat.rule.start(self.context)
            if self._phase is not None:
                seat.detector.happen(self._phase)
        except Exception as error:  # noqa: BLE001 - the per-rule guard: a rule that cannot start must not hide the others
            self._broken(seat, error)

    def _guarded(
        self, seat: _Seat, ask: Callable[[], Reading | None], time_s: float, step: int | None
    ) -> list[Transition]:
        try:
            reading = ask()
        except Exception as error:  # noqa: BLE001 - the per-rule guard, for events and pulses
            self._broken(seat, error)
            return []
        if reading is None:
            return []
        if seat.freshness is not None:
            seat.freshness.note(reading, self._history.travelled)
        return self._judge(seat, reading, time_s, step)

    def _broken(self, seat: _Seat, error: Exception) -> None:
        """Takes the rule out of this run and keeps why; what it fired stays, since nothing says that it is over."""
        seat.detector = None
        self._plans.clear()
        seat.track.error = f"{type(error).__name__}: {error}"

    def _judge(self, seat: _Seat, reading: Reading, time_s: float, step: int | None) -> list[Transition]:
        transition = advance(seat.track, reading, Moment(time_s=time_s, step=step, history=self._history))
        if transition is None:
            return []
        changed = self._incidents.take(transition)
        for change in changed:
            track = self._tracks[change.alert.rule]
            if track.alert is not None and track.alert.id == change.alert.id:
                track.alert = change.alert
        return changed

    def _learn(self, happening: Happening) -> None:
        """Takes what an event says of the run; rules that were running keep their state."""
        data = happening.data
        if happening.kind == "phase":
            self._phase = happening
        elif happening.kind == "config":
            self.context = replace(self.context, config={**self.context.config, **data})
        elif happening.kind == "trainer":
            steps = data.get("max_steps")
            self.context = replace(
                self.context,
                trainer=str(data.get("kind", self.context.trainer)),
                max_steps=int(steps) if isinstance(steps, int | float) and steps > 0 else self.context.max_steps,
            )
            self._plans.clear()

    def _state(self, seat: _Seat) -> RuleState:
        track = seat.track
        name = track.spec.name
        if track.error:
            return RuleState(rule=name, state="unknown", reason="the rule itself failed", error=track.error)
        if not self._applies(seat):
            kinds = ", ".join(track.spec.trainers)
            return RuleState(rule=name, state="unknown", reason=f"for {kinds}, not for {self.context.trainer}")
        needs = "" if track.judged else f"needs {track.spec.needs or 'data'}"
        return RuleState(rule=name, state=track.state, reason=track.reason or needs)


def _same(before: Mapping[str, float | None], now: Mapping[str, float | None]) -> bool:
    """True where two rows of the same keys say the same; NaN is NaN, whichever object it is, so that a replay gives the same answer."""
    return all(a == b or (a != a and b != b) for a, b in zip(before.values(), now.values(), strict=True))


def _concerns(spec: RuleSpec, keys: Sequence[str], signals: Sequence[str]) -> bool:
    return spec.any_key or any(signal in signals for signal in spec.signals) or any(key in keys for key in spec.keys)
