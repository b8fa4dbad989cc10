"""In which groups and in what order the runs of a table stand."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from runvitals.dashboard.query import config_value
from runvitals.dashboard.run_subject import Known
from runvitals.diagnostics.signals import SIGNALS

STANDINGS = {"attention": "Needs attention", "running": "Running", "ended": "Ended"}

GROUPINGS: dict[str, str] = {
    "attention": "attention",
    "none": "none",
    "group": "group",
    "tag": "tags",
    "project": "project",
    "trainer": "trainer",
    "status": "status",
    "health": "health",
}
"""What a table may be grouped by besides settings, in words."""

_SEVERITY_RANK = {"critical": 0, "warning": 1, "unknown": 2, "healthy": 3}
_STATUSES = ("starting", "running", "stalled", "hung", "crashed", "stopped", "finished")

_WORDS: dict[str, Callable[[Known], Any]] = {
    "run": lambda known: known.run.name.casefold(),
    "trainer": lambda known: known.run.trainer,
    "health": lambda known: _SEVERITY_RANK[known.health],
    "finding": lambda known: known.run.finding.casefold() or None,
    "status": lambda known: _STATUSES.index(known.run.status),
    "step": lambda known: known.run.last_step,
    "age": lambda known: None if known.run.last_step_s is None else -known.run.last_step_s,
    "alerts": lambda known: known.counts.open,
    "started": lambda known: -known.run.created_s,
}


@dataclass(frozen=True, slots=True)
class Section:
    """A group of the table: its key, what stands over it, and its runs in their order."""

    key: str
    label: str
    runs: list[Known]


def sections(found: Sequence[Known], *, group: str, sort: str) -> list[Section]:
    """The groups in their order. group: one of GROUPINGS or `config.NAME`. sort: a column, `config.NAME` or a signal, `-` before it turns it.

    A key that nothing has leaves everything in one group, or in the usual order; a missing value stands last, whichever way.
    """
    ordered = sorted(found, key=lambda known: -known.run.created_s)
    if sort:
        ordered = _by(ordered, sort)
    elif group == "attention":
        # Without a finding there is nothing to rank by: newest first, so that rows do not move when a verdict comes in.
        ordered.sort(key=lambda known: _SEVERITY_RANK[known.health] if known.standing == "attention" else 0)
    gathered: dict[str, list[Known]] = {}
    for known in ordered:
        gathered.setdefault(_group_key(known, group), []).append(known)
    return [Section(key, _label(group, key), gathered[key]) for key in sorted(gathered, key=_rank(group))]


def _by(found: list[Known], sort: str) -> list[Known]:
    """The runs by a key, those that lack it last."""
    turned, name = sort.startswith("-"), sort.removeprefix("-")
    value = _WORDS.get(name) or (lambda known: _other(known, name))
    keyed = [(value(known), known) for known in found]
    have = [(key, known) for key, known in keyed if not _missing(key)]
    numbers = [pair for pair in have if isinstance(pair[0], (int, float))]
    texts = [pair for pair in have if not isinstance(pair[0], (int, float))]
    whole = [
        *sorted(numbers, key=lambda pair: pair[0], reverse=turned),
        *sorted(texts, key=lambda pair: str(pair[0]), reverse=turned),
    ]
    return [known for _, known in whole] + [known for key, known in keyed if _missing(key)]


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _other(known: Known, name: str) -> Any:
    """A setting or a signal."""
    if name.startswith("config."):
        return config_value(known.run.config, name.removeprefix("config."))
    if name == "loss":
        signals = known.signals()
        return signals.get("loss", signals.get("policy_loss"))
    return known.signals().get(name)


def sort_signals(sort: str) -> frozenset[str]:
    """The logged signals that an order needs."""
    name = sort.removeprefix("-")
    return frozenset({name} & SIGNALS.keys())


def _group_key(known: Known, group: str) -> str:
    run = known.run
    if group.startswith("config."):
        value = config_value(run.config, group.removeprefix("config."))
        return "" if value is None else str(value)
    found = {
        "attention": known.standing,
        "group": run.group,
        "tag": ", ".join(sorted(run.tags, key=str.casefold)),
        "project": run.project,
        "trainer": run.trainer,
        "status": run.status,
        "health": known.health,
    }
    return found.get(group, "")


def _label(group: str, key: str) -> str:
    if group == "attention":
        return STANDINGS.get(key, key)
    if group == "none" or (group not in GROUPINGS and not group.startswith("config.")):
        return "All"
    if key:
        if group == "tag":
            return key.replace(", ", " + ")  # a tag has no comma: these runs have all of them, and stand here alone
        return f"{group.removeprefix('config.')} = {key}" if group.startswith("config.") else key
    return {"tag": "No tags", "group": "No group"}.get(group, f"No {group.removeprefix('config.')}")


def _rank(group: str) -> Callable[[str], Any]:
    """How the groups stand: as on the screen's own order where there is one, numbers by size, what has none last."""
    fixed = {"attention": list(STANDINGS), "health": list(_SEVERITY_RANK), "status": list(_STATUSES)}.get(group)
    if fixed is not None:
        return fixed.index

    def rank(key: str) -> Any:
        try:
            number = float(key)
        except ValueError:
            number = math.nan
        plain = math.isnan(number)
        return (key == "", plain, 0.0 if plain else number, key.casefold(), key)

    return rank
