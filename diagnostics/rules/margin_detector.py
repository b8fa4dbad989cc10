"""The margin rules: each says whether its fault is what a run's margin suffers from.

They read one course together: a row is taken in, and judged where that is due, once for all of them. So each needs the limits of all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from runvitals.diagnostics.limits import Limited
from runvitals.diagnostics.margin import MarginCourse, MarginSettings, MarginTracker, MarginVerdict
from runvitals.diagnostics.margin_course import Judgement
from runvitals.diagnostics.margin_limits import MarginLimits, MarginState, StateLimits
from runvitals.diagnostics.margin_settings import probe_pairs
from runvitals.diagnostics.margin_words import put
from runvitals.diagnostics.rules.definition import NEAR, OK, RowDetector
from runvitals.diagnostics.types import Cause, Curve, Detector, Evidence, Happening, Reading, Rule, RunContext, Sample

CauseFinder = Callable[[MarginTracker, MarginVerdict], Sequence[Cause]]


class SharedCourse:
    """The margin of one run, for at most one detector of each fault; whoever comes first with a row or an event takes it in."""

    def __init__(self, settings: MarginSettings) -> None:
        self.settings = settings
        self.readers: set[MarginState] = set()
        self.course = MarginCourse(settings)
        self._sample: Sample | None = None
        self._happening: Happening | None = None
        self._judgement: Judgement | None = None

    @classmethod
    def of_run(cls, context: RunContext, reader: MarginState, limits: MarginLimits) -> SharedCourse:
        """The course that the run's other margin detectors read; a new one where there is none, or where this fault has its reader."""
        settings = MarginSettings.of_run(context.trainer, context.config, context.max_steps, limits)
        shared = context.shared.get("margin")
        if not isinstance(shared, cls) or shared.settings != settings or reader in shared.readers:
            shared = context.shared["margin"] = cls(settings)
        shared.readers.add(reader)
        return shared

    def read(self, sample: Sample) -> Judgement | None:
        """What the row gives; worked out once."""
        if sample is not self._sample:
            self._judgement = self.course.add(sample.step, sample.signals)
            self._sample = sample
        return self._judgement

    def happen(self, happening: Happening) -> None:
        """A run that goes back forgets what came after; one that learns its length is judged by it."""
        if happening is self._happening:
            return
        self._happening = happening
        if happening.kind == "resume":
            step = happening.data.get("from_step", happening.step)
            if isinstance(step, int):
                self.course.rewind(step)
        max_steps = happening.data.get("max_steps")
        if isinstance(max_steps, int) and max_steps > 0:
            self.course.learn_length(max_steps)
        pairs = probe_pairs(happening.data) if happening.kind == "config" else None
        if pairs is not None:
            self.course.learn_probe_pairs(pairs)


class MarginDetector(RowDetector):
    """Bad where the margin's state is `state`; unknown while there is too little to judge."""

    def __init__(self, context: RunContext, state: MarginState, find_causes: CauseFinder, limits: MarginLimits) -> None:
        self._shared = SharedCourse.of_run(context, state, limits)
        self._state: MarginState = state
        self._find_causes = find_causes

    def update(self, sample: Sample) -> Reading | None:
        """Takes a row; says something where a judgement is due."""
        judgement = self._shared.read(sample)
        if judgement is None:
            return None
        standing = judgement.standing(self._state)
        if standing == "unknown":
            return Reading(state="unknown", reason=judgement.ruling.missing)
        if standing == "bad":
            return self._bad(judgement)
        return OK if standing == "clear" else NEAR

    def happen(self, happening: Happening) -> Reading | None:
        """Says nothing, but the course may change."""
        self._shared.happen(happening)
        return None

    def _bad(self, judgement: Judgement) -> Reading:
        tracker = self._shared.course.tracker
        verdict = put(tracker, judgement.measured, judgement.ruling)
        return Reading(
            state="bad",
            severity=verdict.severity or "warning",
            sentence=verdict.finding,
            evidence=self._evidence(tracker, verdict),
            causes=self._find_causes(tracker, verdict),
            onset_step=verdict.onset_step,
        )

    def _evidence(self, tracker: MarginTracker, verdict: MarginVerdict) -> Evidence:
        blocks = tracker.history.blocks
        main = "reward_margin" if tracker.settings.optimises else "probe_margin"
        curves = [_curve(main, [(block.last_step, block.margin.value) for block in blocks])]
        found = tracker.newest_held_out()
        if found is not None and tracker.settings.optimises:
            name = "eval_reward_margin" if found[0] == "eval" else "probe_margin"
            held_out = _curve(name, [(point.step, point.margin) for point in found[1]])
            curves.insert(0 if self._state == "inverted" and found[1][-1].margin < 0 else 1, held_out)
        accuracies = [(block.last_step, block.accuracy.value) for block in blocks if block.accuracy.count]
        losses = [(block.last_step, block.loss.value) for block in blocks if block.loss.count]
        if self._state == "displaced":
            chosen = [(block.last_step, block.chosen.value) for block in blocks if block.chosen.count]
            curves.insert(0, _curve("reward_chosen", chosen))
        prefix = "reward" if tracker.settings.optimises else "probe"
        curves += [_curve(f"{prefix}_accuracy", accuracies), _curve("loss", losses)]
        return Evidence(
            numbers=verdict.numbers, window=verdict.window, curves=[curve for curve in curves if curve.steps]
        )


@dataclass(slots=True)
class MarginRule(Limited[StateLimits]):
    """The rule of one state. others: the limits of all states, of which the rule's own take the place of this one's; see `together`."""

    state: MarginState
    find_causes: CauseFinder
    others: MarginLimits = field(default_factory=MarginLimits)

    def start(self, context: RunContext) -> Detector:
        """A detector that has seen nothing of this run."""
        return MarginDetector(context, self.state, self.find_causes, self.in_place_of(self.others))

    def in_place_of(self, others: MarginLimits) -> MarginLimits:
        """The limits of all states with the rule's own, its `hold` and its `clear`."""
        hold, clear = {**others.hold, self.state: self.spec.hold}, {**others.clear, self.state: self.spec.clear}
        own: dict[str, Any] = {self.state: self.limits}
        return replace(others, **own, hold=hold, clear=clear)


def margin_limits(rules: Iterable[Rule]) -> MarginLimits:
    """The limits of all states as these rules have them; ours where a rule is not among them."""
    limits = MarginLimits()
    for rule in rules:
        if isinstance(rule, MarginRule):
            limits = rule.in_place_of(limits)
    return limits


def together(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """The rules, with those on the margin knowing each other's limits, as they must where one of them was changed."""
    limits = margin_limits(rules)
    return tuple(replace(rule, others=limits) if isinstance(rule, MarginRule) else rule for rule in rules)


def _curve(signal: str, points: Sequence[tuple[int, float]]) -> Curve:
    return Curve(signal=signal, steps=[step for step, _ in points], values=[value for _, value in points])
