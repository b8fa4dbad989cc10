"""A user's rules file: text in; rules for each project, and faults, out.

A fault spoils what it stands in and nothing else: a wrong number leaves the default, a wrong rule of one's own does not run, and only a
file that is no TOML at all changes nothing.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field

from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.margin_limits import MarginLimits
from runvitals.diagnostics.types import Rule
from runvitals.diagnostics.user_rules.changes import Changes, read_changes
from runvitals.diagnostics.user_rules.lines import line_of, malformed
from runvitals.diagnostics.user_rules.own import OwnRule, read_own
from runvitals.diagnostics.user_rules.section import Complaint, Section, dotted

_RESERVED = {"user_alert"}
"""Names that alerts have which are no rule's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong in a file. line: from 1, 0 where it is the whole file; key: the path of keys, "" where there is none."""

    file: str
    line: int
    key: str
    problem: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.key}: {self.problem}" if self.key else f"{place}: {self.problem}"


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRules:
    """What a file says, and what is wrong with it. The default is a file that says nothing."""

    general: Changes = field(default_factory=Changes)
    projects: Mapping[str, Changes] = field(default_factory=dict)
    own: tuple[OwnRule, ...] = ()
    faults: tuple[Fault, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """The names of all rules, whether or not they run."""
        return frozenset(rule.spec.name for rule in (*default_rules(), *(one.rule for one in self.own)))

    def rules_for(self, project: str) -> tuple[Rule, ...]:
        """The rules for runs of a project: ours, as changed, then the user's own."""
        own = tuple(one.rule for one in self.own if not one.projects or project in one.projects)
        return self.changes_for(project).applied((*default_rules(), *own))

    def known_for(self, project: str) -> tuple[Rule, ...]:
        """All rules as they are for a project, or would be: with those that are off, and the user's own of other projects."""
        return self.changes_for(project).with_numbers((*default_rules(), *(one.rule for one in self.own)))

    def margin_limits(self, project: str) -> MarginLimits:
        """What the verdict on the margin of a project's runs is made by, as its rules are."""
        return self.changes_for(project).margin_limits(default_rules())

    def changes_for(self, project: str) -> Changes:
        """What is changed of our rules for a project."""
        changes = self.projects.get(project)
        return self.general if changes is None else changes.over(self.general)


def read_user_rules(text: str, *, file: str) -> UserRules:
    """The rules of a file. file: its name, for the faults."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line, problem = malformed(error, text)
        problem = f"expected TOML, got something else: {problem[:1].lower()}{problem[1:]}; nothing of this file is used"
        return UserRules(faults=(Fault(file=file, line=line, key="", problem=problem),))
    complaints: list[Complaint] = []
    top = Section((), values, complaints)
    ours = default_rules()
    general = read_changes(top, ours, Changes())
    projects = {}
    for name, section in top.section("projects").sections():
        projects[name] = read_changes(section, ours, general)
        section.end(of="a project")
    taken = {rule.spec.name for rule in ours} | _RESERVED
    own = [read_own(name, section, taken) for name, section in top.section("own").sections()]
    top.asked.add("notify")  # who is told is no business of rules: `runvitals.watch.routes` reads it
    top.end(of="a rules file")
    return UserRules(
        general=general,
        projects=projects,
        own=tuple(one for one in own if one is not None),
        faults=tuple(sorted((fault_of(one, text, file) for one in complaints), key=lambda fault: fault.line)),
    )


def fault_of(complaint: Complaint, text: str, file: str) -> Fault:
    """The complaint with its place in the text, which is well-formed."""
    line = line_of(text, complaint.path) if complaint.path else 0
    return Fault(file=file, line=line, key=dotted(complaint.path), problem=complaint.problem)
