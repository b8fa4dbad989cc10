"""Finding the run or the series that a name means; where none or several do, an error that lists what comes near."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from runvitals.errors import UnknownKey, UnknownRun
from runvitals.store.types import Latest, RunInfo

_LISTED = 5
"""Names that an error lists."""


def found_run(name: str, runs: Sequence[RunInfo]) -> RunInfo:
    """The run with this id, else the only one with this name, else the only one whose id or name begins so. Raises UnknownRun."""
    for matches in (
        [run for run in runs if run.id == name],
        [run for run in runs if run.name == name],
        [run for run in runs if name and (run.id.startswith(name) or run.name.startswith(name))],
    ):
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise UnknownRun(f"run {name!r}: {len(matches)} runs have it, name one by its id: {_runs(matches)}")
    names = [*(run.name for run in runs), *(run.id for run in runs)]
    near = set(difflib.get_close_matches(name, names, n=_LISTED))
    alike = [run for run in runs if {run.name, run.id} & near]
    if alike:
        raise UnknownRun(f"run {name!r}: the store has no such run; near it are {_runs(alike)}")
    if not runs:
        raise UnknownRun(
            f"run {name!r}: the store has no run yet; journals are taken in by runvitals watch --once, or runvitals up"
        )
    raise UnknownRun(f"run {name!r}: the store has no such run; its newest are {_runs(runs)}")


def _runs(runs: Sequence[RunInfo]) -> str:
    """The first runs by id and name."""
    return ", ".join(f"{run.id} ({run.name})" for run in runs[:_LISTED]) + (", …" if len(runs) > _LISTED else "")


def chosen_keys(known: Mapping[str, Latest], names: Iterable[str], *, merging: bool) -> list[str]:
    """The keys that are named, each once, a pattern with `*` turned to all that it fits. Raises UnknownKey.

    merging: a key that only other processes logged counts as known.
    """
    wanted: dict[str, None] = {}
    for name in names:
        if name in known or (merging and any(_is_of_rank(one, name) for one in known)):
            wanted[name] = None
            continue
        fitting = [one for one in known if "*" in name and fnmatchcase(one, name.replace("[", "[[]"))]
        if not fitting:
            near = difflib.get_close_matches(name, list(known), n=_LISTED) or sorted(known)[:_LISTED]
            raise UnknownKey(
                f"key {name!r}: the run has no such series; it has {len(known):,}, such as {', '.join(near)}"
            )
        wanted.update(dict.fromkeys(fitting))
    return list(wanted)


def all_keys(known: Iterable[str]) -> list[str]:
    """All keys, those of other processes left out, in order."""
    return sorted(key for key in known if not key.startswith("rank/"))


def _is_of_rank(name: str, key: str) -> bool:
    """True where the series is another process's of this key."""
    parts = name.split("/", 2)
    return len(parts) == 3 and parts[0] == "rank" and parts[1].isdigit() and parts[2] == key
