"""Numbers of a rule that a user may set: each with its meaning, unit, range and default, declared beside the rule.

A rule's limits are a frozen dataclass with a `limit` for each number; `Adjustable` is a rule that takes them (the margin rules, whose
detectors share theirs, are `MarginRule`). Numbers that make sense only together (critical above warning) are checked in the dataclass's `__post_init__`, which raises ValueError.

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Limits:
        warning_s: float = limit(60.0, "no heartbeat for so long is a warning", unit="s", least=10.0, most=86_400.0)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from typing import Any, Generic, TypeVar

from runvitals.diagnostics.rules.definition import Definition
from runvitals.diagnostics.types import Detector, Limit, Rule, RuleSpec, RunContext

L = TypeVar("L")


def limit(default: float, meaning: str, *, least: float, most: float, unit: str = "") -> Any:
    """A field of a rule's limits. least, most: the range that makes sense, both included."""
    return field(
        default=default, metadata={"default": default, "meaning": meaning, "unit": unit, "least": least, "most": most}
    )


def described(limits: type[Any]) -> tuple[Limit, ...]:
    """The numbers of a limits class, for the rule's spec."""
    return tuple(Limit(name=one.name, **one.metadata) for one in fields(limits))


def in_order(limits: object, *names: str) -> None:
    """Raises ValueError where these numbers do not rise from one to the next."""
    for low, high in pairwise(names):
        if not getattr(limits, low) < getattr(limits, high):
            raise ValueError(
                f"expected {low} below {high}, got {getattr(limits, low):g} and {getattr(limits, high):g}; change either"
            )


@dataclass(slots=True)
class Limited(Generic[L]):
    """A rule whose limits can be set: what it is, and its limits."""

    spec: RuleSpec
    limits: L

    def start(self, context: RunContext) -> Detector:
        """A detector that has seen nothing of this run."""
        raise NotImplementedError


@dataclass(slots=True)
class Adjustable(Limited[L]):
    """A rule that makes its detector for a run of its limits alone."""

    make: Callable[[RunContext, L], Detector]

    def start(self, context: RunContext) -> Detector:
        """A detector that has seen nothing of this run."""
        return self.make(context, self.limits)


def adjusted(rule: Rule, values: Mapping[str, float]) -> Rule:
    """The rule with other numbers: its limits, `hold` and `clear`. Raises ValueError where they do not go together."""
    hold, clear = (int(values.get(name, getattr(rule.spec, name))) for name in ("hold", "clear"))
    spec = replace(rule.spec, hold=hold, clear=clear)
    if not isinstance(rule, Limited):
        return Definition(spec, rule.start)
    own = {name: value for name, value in values.items() if name not in ("hold", "clear")}
    return replace(rule, spec=spec, limits=replace(rule.limits, **own))


def values_of(rule: Rule) -> dict[str, float]:
    """The numbers that a rule works with, by name."""
    own = {one.name: getattr(rule.limits, one.name) for one in rule.spec.limits} if isinstance(rule, Limited) else {}
    return {**own, "hold": rule.spec.hold, "clear": rule.spec.clear}
