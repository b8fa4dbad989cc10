"""Writes other numbers for a rule into the text of a rules file, leaving the rest as its author wrote it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from runvitals.diagnostics.user_rules.section import dotted
from runvitals.diagnostics.user_rules.user_rules import read_user_rules

_HEADER = re.compile(r"^\s*\[")


def with_numbers(text: str, rule: str, numbers: Mapping[str, float], *, project: str = "") -> str:
    """The file's text with these numbers for the rule, for all projects or for one.

    A table `[rules.<rule>]` of the file gets them, else one is added at its end. Where the file writes the rule in another way, by dotted
    keys or inline, adding a table would spoil it: then the text of the added table alone comes back.
    """
    table = snippet(rule, numbers, project=project)
    header = table.splitlines()[0]
    lines = text.splitlines()
    at = next((number for number, line in enumerate(lines) if line.split("#")[0].strip() == header), None)
    if at is None:
        together = f"{text.rstrip()}\n\n{table}" if text.strip() else table
    else:
        end = next((number for number in range(at + 1, len(lines)) if _HEADER.match(lines[number])), len(lines))
        body = [line for line in lines[at + 1 : end] if not any(_sets(line, name) for name in numbers)]
        together = "\n".join([*lines[:at], *table.splitlines(), *body, *lines[end:]]) + "\n"
    before = len(read_user_rules(text, file="").faults)
    return together if len(read_user_rules(together, file="").faults) <= before else table


def snippet(rule: str, numbers: Mapping[str, float], *, project: str = "") -> str:
    """The table alone, as TOML."""
    path = ("projects", project, "rules", rule) if project else ("rules", rule)
    lines = [
        f"[{dotted(path)}]",
        *(f"{name} = {value:g}" if _exact(value) else f"{name} = {value!r}" for name, value in numbers.items()),
    ]
    return "\n".join(lines) + "\n"


def _exact(value: float) -> bool:
    return "e" not in f"{value:g}" and float(f"{value:g}") == value


def _sets(line: str, name: str) -> bool:
    return re.match(rf"\s*{re.escape(name)}\s*=", line) is not None
