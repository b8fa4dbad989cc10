"""A finished log through the same engine that watches live runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.types import Happening, Row, Rule, RunContext


def replay(items: Iterable[Row | Happening], context: RunContext, rules: Sequence[Rule]) -> Engine:
    """The engine after rows and events in their order. Rules on time are not asked: nothing here knows the time of day."""
    engine = Engine(rules, context)
    for item in items:
        if isinstance(item, Row):
            engine.feed(item)
        else:
            engine.happen(item)
    return engine


def split_timed(rules: Iterable[Rule]) -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
    """The rules that judge rows, and those on time, which say nothing of a log that has no times."""
    rules = tuple(rules)
    return tuple(rule for rule in rules if not rule.spec.timed), tuple(rule for rule in rules if rule.spec.timed)
