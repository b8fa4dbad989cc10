"""`runvitals rules`: the rules that run, what each of them is, and whether a rules file is right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.limits import values_of
from runvitals.diagnostics.rules.definition import counted
from runvitals.diagnostics.types import Rule, RuleSpec
from runvitals.diagnostics.user_rules.own import FAMILY
from runvitals.diagnostics.user_rules.section import nearest
from runvitals.diagnostics.user_rules.user_rules import UserRules
from runvitals.errors import SettingsError
from runvitals.tables import make_console
from runvitals.watch.routes import load_routes
from runvitals.watch.user_rules import load

FAULTY = 2
"""Exit code where the rules file has faults, which are told on stderr."""


def loaded(path: Path) -> UserRules:
    """The rules of a file that was named and so must be there and be right. Raises SettingsError with every fault."""
    if not path.exists():
        raise SettingsError(f"expected a rules file, got {path}, which is not there")
    found = load(path)
    if found.faults:
        raise SettingsError("\n".join(map(str, found.faults)))
    return found


def print_rules(path: Path, *, name: str | None, project: str) -> int:
    """Prints all rules, or one in full, as they are for a project; the exit code. Raises SettingsError for a name that no rule has."""
    user = load(path)
    console = make_console()
    if name is None:
        console.print(rules_table(user, project=project))
        console.print(_where(path, user), markup=False, highlight=False)
    else:
        console.print(rule_page(name, user, project=project), markup=False, highlight=False)
    return _tell_faults(user)


def check(path: Path) -> int:
    """Says whether a rules file is right; the exit code. Raises SettingsError where it is not there."""
    if not path.exists():
        raise SettingsError(f"--check: expected a rules file, got {path}, which is not there")
    user = load(path)
    # The variables that hold addresses are set where the watcher runs, which may be elsewhere.
    routes = load_routes(path, user, None)
    user = replace(user, faults=(*user.faults, *routes.faults))
    if not user.faults:
        changed = {*user.general.numbers, *(name for one in user.projects.values() for name in one.numbers)}
        off = {*user.general.off, *(name for one in user.projects.values() for name in one.off)}
        counts = (
            f"{counted(len(user.own), 'rule')} of your own, {len(changed)} of ours changed, {len(off)} switched off"
        )
        counts += f", {counted(len(routes.addresses), 'receiver')}" if routes.addresses else ""
        make_console().print(f"{path}: right; {counts}", markup=False, highlight=False, soft_wrap=True)
    return _tell_faults(user)


def rules_table(user: UserRules, *, project: str) -> Table:
    """Every rule with what it reads and whether it runs, and what the user changed of it."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("rule", "title", "family", "trainers", "reads"):
        table.add_column(heading, no_wrap=heading in ("rule", "family"), overflow="fold")
    table.add_column("here")
    running = {rule.spec.name for rule in user.rules_for(project)}
    changed = user.changes_for(project).numbers
    for rule in user.known_for(project):
        spec = rule.spec
        here = "on" if spec.name in running else "off"
        if spec.family == FAMILY and here == "off":
            here = "other projects"
        elif spec.name in running and changed.get(spec.name):
            here = ", ".join(f"{name} {value:g}" for name, value in changed[spec.name].items())
        table.add_row(
            Text(spec.name, style="" if here != "off" else "dim"),
            Text(spec.title),
            Text(spec.family),
            Text(", ".join(spec.trainers) or "all"),
            Text(_reads(spec, most=3)),
            Text(here, style="" if here == "on" else "yellow"),
        )
    return table


def rule_page(name: str, user: UserRules, *, project: str) -> Group:
    """What a rule catches, needs and is fooled by, what to do, and the numbers that it works with for a project."""
    known = {rule.spec.name: rule for rule in user.known_for(project)}
    if name not in known:
        hint = nearest(name, known) or "runvitals rules lists them"
        raise SettingsError(f"expected the name of a rule, got {name!r}; {hint}")
    running = {rule.spec.name for rule in user.rules_for(project)}
    return Group(*_page(known[name], is_on=name in running, project=project))


def _reads(spec: RuleSpec, *, most: int = 1000) -> str:
    names = (*spec.signals, *spec.keys)
    read = ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "") or "every row"
    return f"{read}, and the time" if spec.timed else read


def _page(rule: Rule, *, is_on: bool, project: str) -> Iterator[Text]:
    spec = rule.spec
    yield Text.assemble((spec.title, "bold"), (f"  {spec.name} · {spec.code} · {spec.family}", "dim"))
    yield Text(spec.summary)
    yield Text()
    facts = {
        "reads": _reads(spec),
        "trainers": ", ".join(spec.trainers) or "all",
        "needs": spec.needs,
        "hides": ", ".join(spec.inhibits),
        "false alarms": spec.false_alarms,
        "after": spec.source,
        "here": ("on" if is_on else "off") + (f" for project {project}" if project else ""),
    }
    for label, text in facts.items():
        if text:
            yield Text.assemble((f"{label:<13}", "dim"), text)
    yield from _numbers(rule)
    if spec.causes:
        yield Text("\ncauses", style="dim")
    for cause in spec.causes:
        yield Text(f"  {cause.likelihood:<9} {cause.text}")
    if spec.remedies:
        yield Text("\nwhat to do", style="dim")
    for place, remedy in enumerate(spec.remedies, 1):
        detail = f". {remedy.detail}" if remedy.detail else ""
        link = " ".join(part for part in (remedy.source, remedy.url) if part)
        yield Text.assemble(f"  {place}  {remedy.text}{detail}", (f"  [{link}]" if link else "", "dim"))


def _numbers(rule: Rule) -> Iterator[Text]:
    spec = rule.spec
    defaults: Mapping[str, float] = next(
        (values_of(one) for one in default_rules() if one.spec.name == spec.name), values_of(rule)
    )
    meanings = {one.name: one for one in spec.limits}
    yield Text("\nnumbers" if spec.family == FAMILY else "\nnumbers, to be set in runvitals.toml", style="dim")
    for name, value in values_of(rule).items():
        one = meanings.get(name)
        unit = f" {one.unit}" if one is not None and one.unit else ""
        meaning = one.meaning if one is not None else _ON_END[name]
        was = f" (default {defaults[name]:g})" if defaults[name] != value else ""
        span = f"; {one.least:g} to {one.most:g}" if one is not None else ""
        yield Text.assemble(f"  {name:<16} {value:g}{unit}", (was, "yellow"), (f"  {meaning}{span}", "dim"))


_ON_END = {"hold": "bad readings on end before it fires", "clear": "clear readings on end before it resolves"}


def _where(path: Path, user: UserRules) -> str:
    said = "read" if path.exists() else "not there: all rules run with their defaults"
    faults = f", {counted(len(user.faults), 'fault')}" if user.faults else ""
    return f"\n{path}: {said}{faults}"


def _tell_faults(user: UserRules) -> int:
    complaints = Console(stderr=True)
    for fault in user.faults:
        complaints.print(f"runvitals: {fault}", markup=False, highlight=False, soft_wrap=True)
    return FAULTY if user.faults else 0
