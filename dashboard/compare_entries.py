"""What a comparison compares: runs or groups of runs, each with its colour, dash and short name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from runvitals.dashboard.compare_groups import Group
from runvitals.dashboard.compare_state import MOST_IN_COLOUR
from runvitals.dashboard.tokens import DASHES, SERIES
from runvitals.store.types import RunInfo

GROUP_LABEL = 46
"""Characters of a group's name where room is short: it is made of several settings."""

_LABEL = 34
"""Characters of a name where room is short; names may be of any length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One run or one group of the comparison. members: places in the list of runs. run_id: "" for a group."""

    id: str
    run_id: str
    name: str
    label: str
    short: str
    color: str
    dash: str
    health: str
    members: tuple[int, ...]

    def told(self) -> dict[str, Any]:
        """As the browser takes it."""
        return {
            "id": self.id,
            "run": self.run_id,
            "name": self.name,
            "label": self.label,
            "short": self.short,
            "color": self.color,
            "dash": self.dash,
            "health": self.health,
            "members": list(self.members),
        }


def entries_of_runs(runs: Sequence[RunInfo]) -> list[Entry]:
    """Each run an entry in its own colour; where two of those in colour share one, their dashes differ."""
    found: list[Entry] = []
    for place, run in enumerate(runs):
        color, dash = SERIES[run.color % len(SERIES)], DASHES[place % len(DASHES)]
        found.append(
            Entry(
                id=run.id,
                run_id=run.id,
                name=run.name,
                label=_label(run, runs),
                short=_short(run, runs[:MOST_IN_COLOUR]),
                color=color,
                dash=_free_dash(found, color) if _twin(found, color, dash) else dash,
                health=run.health,
                members=(place,),
            )
        )
    return found


def entries_of_groups(groups: Sequence[Group]) -> list[Entry]:
    """Each group an entry, coloured by its place: a group has no colour of its own."""
    return [
        Entry(
            id=f"g{place}",
            run_id="",
            name=group.name,
            label=cut(group.label, GROUP_LABEL),
            short=cut(group.label, GROUP_LABEL),
            color=SERIES[place % len(SERIES)],
            dash=DASHES[0],
            health="",
            members=group.members,
        )
        for place, group in enumerate(groups)
    ]


def _twin(found: Sequence[Entry], color: str, dash: str) -> bool:
    return any(one.color == color and one.dash == dash for one in found[:MOST_IN_COLOUR])


def _free_dash(found: Sequence[Entry], color: str) -> str:
    return next((dash for dash in DASHES if not _twin(found, color, dash)), DASHES[0])


def cut(name: str, most: int = _LABEL) -> str:
    """The name cut in its middle, for runs of one sweep differ at the end."""
    half = (most - 1) // 2
    return name if len(name) <= most else f"{name[:half]}…{name[-half:]}"


def _label(run: RunInfo, runs: Sequence[RunInfo]) -> str:
    """The name, or where it is too long and all begin alike, what tells it from the others."""
    if len(run.name) <= _LABEL:
        return run.name
    own = _short(run, runs) if len(runs) > 1 else run.name
    return cut(run.name) if own == run.name else f"…{cut(own, _LABEL - 1)}"


def _short(run: RunInfo, runs: Sequence[RunInfo]) -> str:
    """The name without what all runs' names begin with, up to a hyphen."""
    names = [one.name for one in runs]
    shared = 0
    while all(len(name) > shared and name[shared] == names[0][shared] for name in names):
        shared += 1
    start = names[0][:shared].rfind("-") + 1
    return run.name[start:] if run.name.startswith(names[0][:start]) and run.name[start:] else run.name
