"""The detector behind the four margin rules: it keeps the margin's course and says whether its verdict is the rule's state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from runvitals.diagnostics.margin import MarginSettings, MarginState, MarginTracker, MarginVerdict
from runvitals.diagnostics.margin_judge import measure, rule_on, told_apart, too_few_margins
from runvitals.diagnostics.margin_tracker import NEEDED_POINTS
from runvitals.diagnostics.margin_words import put
from runvitals.diagnostics.rules.definition import NEAR, OK, RowDetector
from runvitals.diagnostics.types import Cause, Curve, Evidence, Happening, Reading, RunContext, Sample

EVERY_SHARE = 8
MOST_ROWS_BETWEEN = 50
"""A verdict looks at up to 100 blocks, so it is not asked at every row but after an eighth more of them, and at least every 50."""

HELD_OUT = frozenset({"eval_reward_margin", "probe_margin"})
"""A row with one of these is judged at once: there are few, and they weigh more."""

CauseFinder = Callable[[MarginTracker, MarginVerdict], Sequence[Cause]]

NEIGHBOURS: dict[MarginState, tuple[MarginState, ...]] = {
    "too_small": ("stagnant",),
    "stagnant": ("too_small",),
}
"""States that do not clear an alert of the other: the margin has not become better."""


class MarginDetector(RowDetector):
    """Bad where the margin's verdict is `state`; unknown while there is too little to judge."""

    def __init__(self, context: RunContext, state: MarginState, find_causes: CauseFinder) -> None:
        self._tracker = MarginTracker(MarginSettings.of_run(context.trainer, context.config, context.max_steps))
        self._state: MarginState = state
        self._find_causes = find_causes
        self._rows = 0
        self._next = 1

    def update(self, sample: Sample) -> Reading | None:
        """Takes a row; says something where a verdict is due."""
        if not self._tracker.add(sample.step, sample.signals):
            return self._nothing_yet() if "reward_margin" in sample.signals else None
        self._rows += 1
        held_out = not HELD_OUT.isdisjoint(sample.signals)
        if self._rows < self._next and not held_out:
            return None
        if self._tracker.history.count < NEEDED_POINTS and not held_out:
            return Reading(state="unknown", reason=too_few_margins(self._tracker))
        self._next = self._rows + min(max(1, self._rows // EVERY_SHARE), MOST_ROWS_BETWEEN)
        return self._reading()

    def happen(self, happening: Happening) -> Reading | None:
        """A run that goes back forgets what came after; one that learns its length is judged by it."""
        if happening.kind == "resume":
            step = happening.data.get("from_step", happening.step)
            if isinstance(step, int):
                self._tracker.rewind(step)
        max_steps = happening.data.get("max_steps")
        if isinstance(max_steps, int) and max_steps > 0:
            self._tracker.settings = replace(self._tracker.settings, max_steps=max_steps)
        return None

    def _nothing_yet(self) -> Reading | None:
        tracker = self._tracker
        if tracker.history.count:
            return None
        return Reading(state="unknown", reason=f"needs margins that are numbers; {tracker.lost} were none")

    def _reading(self) -> Reading:
        tracker = self._tracker
        measured = measure(tracker)
        ruling = rule_on(tracker, measured)
        if ruling.state == "start":
            return Reading(state="unknown", reason=ruling.missing)
        if ruling.state == self._state:
            verdict = put(tracker, measured, ruling)
            return Reading(
                state="bad",
                severity=verdict.severity or "warning",
                sentence=verdict.finding,
                evidence=self._evidence(verdict),
                causes=self._find_causes(tracker, verdict),
                onset_step=verdict.onset_step,
            )
        settled = ruling.state not in NEIGHBOURS.get(self._state, ())
        return OK if settled and (self._state == "fluctuating" or told_apart(tracker, measured)) else NEAR

    def _evidence(self, verdict: MarginVerdict) -> Evidence:
        tracker = self._tracker
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
        prefix = "reward" if tracker.settings.optimises else "probe"
        curves += [_curve(f"{prefix}_accuracy", accuracies), _curve("loss", losses)]
        return Evidence(
            numbers=verdict.numbers, window=verdict.window, curves=[curve for curve in curves if curve.steps]
        )


def _curve(signal: str, points: Sequence[tuple[int, float]]) -> Curve:
    return Curve(signal=signal, steps=[step for step, _ in points], values=[value for _, value in points])
