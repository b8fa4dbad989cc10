"""One margin as it goes on: when it is judged, and which faults stand. The rules and the dashboard's verdict both read it from here.

A fault stands after some bad judgements on end and until some clear ones on end, with the same numbers as the life cycle of its rule.
So what a rule fires for and what the verdict says can never be opposites: while a fault stands the verdict is no good one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from runvitals.diagnostics.margin_faults import far_displaced
from runvitals.diagnostics.margin_judge import rule_on
from runvitals.diagnostics.margin_limits import HOLD, MarginState
from runvitals.diagnostics.margin_low import told_apart
from runvitals.diagnostics.margin_measure import Measured, calm, measure
from runvitals.diagnostics.margin_settings import MarginSettings
from runvitals.diagnostics.margin_tracker import MarginTracker
from runvitals.diagnostics.margin_verdict import MarginVerdict, Ruling
from runvitals.diagnostics.margin_words import put
from runvitals.diagnostics.types import SEVERITIES

EVERY_SHARE = 8
MOST_POINTS_BETWEEN = 50
"""A judgement looks at up to 100 blocks, so it is not made at every row but after an eighth more points, and at least every 50."""

_NEIGHBOURS: dict[MarginState, MarginState] = {"too_small": "stagnant", "stagnant": "too_small"}
"""A state that does not clear a fault: the margin has not become better."""

_HELD_OUT = frozenset({"eval_reward_margin", "probe_margin"})
"""A row with one of these is judged at once: there are few, and they weigh more."""

Standing = Literal["unknown", "bad", "near", "clear"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What was found at one row: the figures, the state, whether pairs are told apart, whether a fluctuation that stands is over, and whether
    chosen answers are still far below where they were."""

    measured: Measured
    ruling: Ruling
    apart: bool
    calm: bool
    displaced: bool

    def standing(self, fault: MarginState) -> Standing:
        """Where this leaves a fault. near: neither bad nor clearly better, so that one that stands goes on."""
        state = self.ruling.state
        if state == "start":
            return "unknown"
        if state == fault and (self.ruling.severity in ("warning", "critical") or fault == "saturated"):
            return "bad"
        if fault == "displaced" and self.displaced:
            return "near"
        better = state != fault and state != _NEIGHBOURS.get(fault)
        return "clear" if better and (self.calm if fault == "fluctuating" else self.apart) else "near"


@dataclass(slots=True)
class _Fault:
    """The judgements on end that were bad, or clear, and how many it takes; `stands` is the gravest ruling since it stood."""

    hold: int
    clears: int
    bad: int = 0
    clear: int = 0
    newest: Ruling | None = None
    stands: Ruling | None = None

    def take(self, standing: Standing, ruling: Ruling) -> None:
        if standing == "unknown":
            return
        if standing == "bad":
            self.bad, self.clear, self.newest = self.bad + 1, 0, ruling
            if self.bad >= self.hold or self.stands is not None:
                self.stands = ruling if self.stands is None else max(self.stands, ruling, key=_rank)
            return
        self.bad, self.newest = 0, None
        self.clear = self.clear + 1 if standing == "clear" else 0
        if self.clear >= self.clears:
            self.stands = None


class MarginCourse:
    """A tracker, and the judgements on it. The same rows give the same judgements, whoever asks."""

    def __init__(self, settings: MarginSettings) -> None:
        self.tracker = MarginTracker(settings)
        hold, clear = settings.limits.hold, settings.limits.clear
        self._faults = {state: _Fault(hold=hold[state], clears=clear[state]) for state in HOLD}
        self._next = 1

    def add(self, step: int | None, signals: Mapping[str, float | None]) -> Judgement | None:
        """Takes a row; the judgement on all so far where one is due."""
        history = self.tracker.history
        taken = self.tracker.add(step, signals)
        if not taken:
            return self._judge() if not history.count and "reward_margin" in signals else None
        if history.count < self._next and _HELD_OUT.isdisjoint(signals):
            return None
        self._next = history.count + min(max(1, history.count // EVERY_SHARE), MOST_POINTS_BETWEEN)
        return self._judge()

    def rewind(self, step: int) -> None:
        """The run went back to `step`: forgets what came after, and judges at the next margin."""
        self.tracker.rewind(step)
        self._next = 1

    def learn_length(self, max_steps: int) -> None:
        """The run's length became known."""
        self.tracker.settings = replace(self.tracker.settings, max_steps=max_steps)

    def learn_probe_pairs(self, pairs: float) -> None:
        """The number of the probe's held-out pairs became known."""
        self.tracker.settings = replace(self.tracker.settings, probe_pairs=pairs)

    def verdict(self) -> MarginVerdict:
        """The verdict on all so far: what is found now, or the fault that stands where that is graver."""
        measured = measure(self.tracker)
        found = [rule_on(self.tracker, measured)]
        for fault in self._faults.values():
            found += [ruling for ruling in (fault.stands, fault.newest) if ruling is not None]
        return put(self.tracker, measured, max(found, key=_rank))

    def _judge(self) -> Judgement:
        measured = measure(self.tracker)
        ruling = rule_on(self.tracker, measured)
        judgement = Judgement(
            measured=measured,
            ruling=ruling,
            apart=told_apart(self.tracker, measured),
            calm=self._faults["fluctuating"].stands is None or calm(self.tracker),
            displaced=self._faults["displaced"].stands is not None and far_displaced(self.tracker, measured),
        )
        for state, fault in self._faults.items():
            fault.take(judgement.standing(state), ruling)
        return judgement


def _rank(ruling: Ruling) -> int:
    return SEVERITIES.index(ruling.severity) if ruling.severity else -1
