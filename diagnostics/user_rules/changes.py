"""What a user changes of our rules: which do not run, and other numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from runvitals.diagnostics.limits import adjusted
from runvitals.diagnostics.margin_limits import MarginLimits
from runvitals.diagnostics.rules.margin_detector import margin_limits, together
from runvitals.diagnostics.types import Rule
from runvitals.diagnostics.user_rules.section import Section, nearest

MOST_ON_END = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """off: rules that do not run. numbers: by rule, its limits, `hold` and `clear`."""

    off: frozenset[str] = frozenset()
    numbers: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def over(self, general: Changes) -> Changes:
        """These changes after the general ones: of two numbers for one thing, these count."""
        numbers = {
            name: {**general.numbers.get(name, {}), **self.numbers.get(name, {})}
            for name in {**general.numbers, **self.numbers}
        }
        return Changes(off=general.off | self.off, numbers=numbers)

    def applied(self, rules: Sequence[Rule]) -> tuple[Rule, ...]:
        """The rules that run, with their numbers."""
        return tuple(rule for rule in self.with_numbers(rules) if rule.spec.name not in self.off)

    def margin_limits(self, rules: Sequence[Rule]) -> MarginLimits:
        """What the margin is judged by; a rule that is off has its say, since the verdict is given all the same."""
        return margin_limits(self.with_numbers(rules))

    def with_numbers(self, rules: Sequence[Rule]) -> tuple[Rule, ...]:
        """The rules with their numbers, whether or not they run."""
        numbers = self.numbers
        return together(
            [adjusted(rule, numbers[rule.spec.name]) if rule.spec.name in numbers else rule for rule in rules]
        )


def read_changes(section: Section, rules: Sequence[Rule], general: Changes) -> Changes:
    """The changes that `off` and `rules` of a section ask for; what is wrong in them is complained of and left out.

    general: what holds for all projects, since the numbers of one rule must go together.
    """
    by_name = {rule.spec.name: rule for rule in rules}
    off = frozenset(section.texts("off", by_name))
    numbers: dict[str, Mapping[str, float]] = {}
    for name, table in section.section("rules").sections():
        rule = by_name.get(name)
        if rule is None:
            hint = (
                nearest(name, by_name)
                or "`runvitals rules` lists them; a rule of your own goes under [own." + name + "]"
            )
            table.complain("", f'expected the name of one of our rules, got "{name}"; {hint}')
            continue
        values = _numbers(table, rule)
        try:
            adjusted(rule, {**general.numbers.get(name, {}), **values})
        except ValueError as error:
            table.complain("", str(error))
            continue
        numbers[name] = values
    return Changes(off=off, numbers=numbers)


def _numbers(table: Section, rule: Rule) -> dict[str, float]:
    found: dict[str, float | None] = {
        one.name: table.number(one.name, least=one.least, most=one.most) for one in rule.spec.limits
    }
    for name in ("hold", "clear"):
        if name in table.values:
            found[name] = table.whole(name, getattr(rule.spec, name), least=1, most=MOST_ON_END)
        table.asked.add(name)
    table.end(of=rule.spec.name)
    return {name: value for name, value in found.items() if value is not None}
