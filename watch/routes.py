"""Who is told of what: the `[[notify]]` tables of the user's file, and the addresses of RUNVITALS_NOTIFY.

A table that is wrong tells nobody, and says why; the others stand. No fault shows an address.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from runvitals.diagnostics.types import SEVERITIES, Severity
from runvitals.diagnostics.user_rules.section import Complaint, Section, nearest, shown
from runvitals.diagnostics.user_rules.user_rules import Fault, UserRules, fault_of
from runvitals.store.types import AlertRow
from runvitals.watch.alert_rows import USER_RULE
from runvitals.watch.user_rules import read_text

EVERYWHERE = "RUNVITALS_NOTIFY"

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Which alerts go one way: at least this severe; of these projects and rules, or of all where none is named."""

    severity: Severity = "warning"
    projects: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()

    def leads_from(self, project: str) -> bool:
        """Whether alerts of the project's runs may go this way."""
        return not self.projects or project in self.projects

    def takes(self, row: AlertRow) -> bool:
        """Whether the alert goes this way, its project aside."""
        severe = SEVERITIES.index(row.severity) >= SEVERITIES.index(self.severity)
        return severe and (not self.rules or row.rule in self.rules)


EVERYTHING: tuple[Route, ...] = (Route(),)
"""Warnings and worse, of all projects and rules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a receiver is reached, and what goes there. url: a credential, never shown.

    name: given by the user, "" where none was. place: where the address was written down.
    """

    url: str = field(repr=False)
    place: str
    name: str = ""
    route: Route = EVERYTHING[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """The addresses of a file, and what is wrong with its `[[notify]]` tables."""

    addresses: tuple[Address, ...] = ()
    faults: tuple[Fault, ...] = ()


def plain_addresses(urls: Sequence[str]) -> tuple[Address, ...]:
    """Addresses that get warnings and worse of all runs, as the environment or an option names them."""
    return tuple(
        Address(url=url, place=f"{EVERYWHERE}, address {number}" if len(urls) > 1 else EVERYWHERE)
        for number, url in enumerate(urls, start=1)
    )


def load_routes(path: Path, rules: UserRules, environ: Mapping[str, str] | None) -> Routes:
    """The routes of a file. A file that is missing, no TOML or no text has none; what is wrong with such a file is told with its rules."""
    text = read_text(path)
    if not isinstance(text, str):
        return Routes()
    return read_routes(text, file=path.name, rules=rules.names | {USER_RULE}, environ=environ)


def read_routes(text: str, *, file: str, rules: Collection[str], environ: Mapping[str, str] | None) -> Routes:
    """The routes that a text describes. rules: the names that a table may give. environ: where `url_env` is looked up; None to check the rest only."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return Routes()
    complaints: list[Complaint] = []
    top = Section((), values, complaints)
    addresses = []
    names: set[str] = set()
    for section in top.tables("notify"):
        before = len(complaints)
        address = _address(section, file=file, rules=rules, environ=environ)
        if address.name and address.name in names:
            section.complain("name", f'expected a name that no other table has, got "{address.name}" again')
        names.add(address.name)
        if len(complaints) == before:
            addresses.append(address)
    faults = sorted((fault_of(one, text, file) for one in complaints), key=lambda fault: fault.line)
    return Routes(addresses=tuple(addresses), faults=tuple(faults))


def _address(section: Section, *, file: str, rules: Collection[str], environ: Mapping[str, str] | None) -> Address:
    name = section.text("name")
    if "://" in name:
        section.complain("name", "expected a name to show, got an address; write url = …")
    url = _url(section, environ)
    severity = cast(Severity, section.choice("severity", SEVERITIES, "warning"))
    projects, wanted = section.texts("projects"), section.texts("rules")
    for one in wanted:
        if one not in rules:
            hint = nearest(one, rules) or "`runvitals rules` lists them"
            section.complain("rules", f"expected names of rules, got {shown(one)}; {hint}")
    section.end(of="a notify table")
    route = Route(severity=severity, projects=projects, rules=wanted)
    return Address(url=url, place=f"{file}, {section.path[0]}{section.path[-1]}", name=name, route=route)


def _url(section: Section, environ: Mapping[str, str] | None) -> str:
    """The address. Only whether it looks like one is said here; it is never shown."""
    for key in ("url", "url_env"):
        given = section.values.get(key)
        if given is not None and not isinstance(given, str):
            section.asked.update(("url", "url_env"))
            section.complain(key, "expected a text in quotes, got something else")
            return ""
    url, variable = section.text("url"), section.text("url_env")
    if bool(url) == bool(variable):
        got = "both; take one out" if url else "neither"
        section.complain(
            "url",
            f'expected url = "…" (an address) or url_env = "…" (the environment variable that holds it), got {got}',
        )
        return ""
    if variable:
        url = "" if environ is None else environ.get(variable, "").strip()
        if not _VARIABLE.fullmatch(variable):  # an address, or a token: not to be shown
            got = (
                "an address; write url = …" if "://" in variable else "something else, not shown as it may be a secret"
            )
            section.complain("url_env", f"expected the name of an environment variable, got {got}")
        elif environ is None:
            return ""
        elif not url:
            section.complain("url_env", f"expected {variable} to hold an address, but it is not set where this runs")
        elif "://" not in url:
            section.complain("url_env", f"expected {variable} to hold an address like slack://…, got one without ://")
    elif "://" not in url:
        section.complain("url", "expected an address like slack://… or https://…, got one without ://")
    return url
