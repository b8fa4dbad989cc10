"""Detectors as judges: our engine, and anything that measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.replay import split_timed
from runvitals.diagnostics.scoring.types import Firing, LabelledRun, Meter
from runvitals.diagnostics.types import Happening, Row, Rule, RunContext, Transition


@dataclass(frozen=True, slots=True)
class EngineJudge:
    """The rules of a catalogue as the watcher runs them; rules on time where the run has times.

    An alert counts once, where it is first shown as a warning or worse: one that another explains is not shown.
    """

    rules: Sequence[Rule]
    name: str = "runvitals"
    source: str = ""

    def firings(self, run: LabelledRun) -> list[Firing]:
        """See `Judge`."""
        rules = self.rules if run.timed else split_timed(self.rules)[0]
        engine = Engine(rules, RunContext(run_id=run.name, trainer=run.kind, max_steps=run.max_steps))
        families = {rule.spec.name: rule.spec.family for rule in rules}
        found: dict[str, Firing] = {}
        for item in run.items:
            for change in self._fed(engine, item):
                alert = change.alert
                if alert.state != "firing" or alert.severity == "info" or alert.inhibited_by:
                    continue
                first = found.get(alert.id)
                found[alert.id] = Firing(
                    rule=alert.rule,
                    family=families[alert.rule],
                    step=change.step if first is None else first.step,
                    time_s=change.time_s if first is None else first.time_s,
                    severity="critical" if alert.severity == "critical" else "warning",
                )
        return list(found.values())

    @staticmethod
    def _fed(engine: Engine, item: object) -> list[Transition]:
        if isinstance(item, Row):
            return engine.feed(item)
        if isinstance(item, Happening):
            return engine.happen(item)
        return engine.pulse(item)  # type: ignore[arg-type]  # the third and last kind


@dataclass(frozen=True, slots=True)
class MeterJudge:
    """A meter with its published threshold: fires where a score comes to 1.0 from below, and again only after it fell."""

    meter: Meter

    @property
    def name(self) -> str:
        """The meter's."""
        return self.meter.name

    @property
    def source(self) -> str:
        """The meter's."""
        return self.meter.source

    def firings(self, run: LabelledRun) -> list[Firing]:
        """See `Judge`."""
        was_high: dict[str, bool] = {}
        found = []
        for point in self.meter.points(run):
            is_high = point.score >= 1.0
            if is_high and not was_high.get(point.rule, False):
                found.append(Firing(rule=point.rule, family="", step=point.step, time_s=point.time_s))
            was_high[point.rule] = is_high
        return found
