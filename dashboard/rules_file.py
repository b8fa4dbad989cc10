"""The user's rules file as the pages see it: read again where it changed on disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from runvitals.diagnostics.margin import MarginLimits
from runvitals.diagnostics.types import Rule, RuleSpec
from runvitals.diagnostics.user_rules.user_rules import UserRules, read_user_rules

LONGEST_BYTES = 256 * 1024
"""As for the watcher: a longer file is none that a person wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesFile:
    """The file's text, and the rules that it makes; both empty where there is none or it cannot be read."""

    text: str = ""
    rules: UserRules = field(default_factory=UserRules)

    def all(self, project: str) -> dict[str, Rule]:
        """The rules that run for a project, and those that are off as they would, by name."""
        return {rule.spec.name: rule for rule in self.rules.known_for(project)}

    def spec(self, rule: str, project: str) -> RuleSpec | None:
        """What the rule is for a project, with the user's hold and clear; None where nobody knows it."""
        return _specs(self.text, project).get(rule)

    def margin_limits(self, project: str) -> MarginLimits:
        """What the verdict on the margin of a project's runs is made by; worked out once for each file, since every refresh asks."""
        return _margin_limits(self.text, project)


def rules_file(path: Path) -> RulesFile:
    """The file as it is now; two versions of it are told apart by time and size. A fault in it spoils what it stands in and nothing else, as for the watcher."""
    try:
        told = path.stat()
    except OSError:
        return RulesFile()
    return RulesFile() if told.st_size > LONGEST_BYTES else _read(path, told.st_mtime_ns, told.st_size)


@lru_cache(maxsize=8)
def _read(path: Path, modified_ns: int, size: int) -> RulesFile:
    try:
        return parsed(path.read_text(encoding="utf-8-sig"), file=path.name)
    except (OSError, UnicodeDecodeError):
        return RulesFile()


@lru_cache(maxsize=16)
def parsed(text: str, *, file: str) -> RulesFile:
    """The text of a rules file with its rules."""
    return RulesFile(text=text, rules=read_user_rules(text, file=file))


@lru_cache(maxsize=64)
def _margin_limits(text: str, project: str) -> MarginLimits:
    return parsed(text, file="runvitals.toml").rules.margin_limits(project)


@lru_cache(maxsize=64)
def _specs(text: str, project: str) -> dict[str, RuleSpec]:
    return {name: rule.spec for name, rule in parsed(text, file="runvitals.toml").all(project).items()}
