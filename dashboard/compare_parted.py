"""Where the runs or groups of a comparison parted from the baseline, for each chart, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from runvitals.dashboard.compare_charts import Plan, big_of, signals_for
from runvitals.dashboard.compare_entries import Entry, cut
from runvitals.dashboard.compare_groups import Band
from runvitals.dashboard.compare_held import curve_of
from runvitals.dashboard.compare_read import Curve, Member
from runvitals.dashboard.compare_state import MOST_IN_COLOUR, Axis, place_text
from runvitals.dashboard.compare_values import comparable
from runvitals.dashboard.formatter import count
from runvitals.dashboard.parting import parted_at
from runvitals.store.types import RunInfo

_NOT_LEARNING = frozenset({"step_time"})
"""Charts that say nothing about what a run learns: machines differ from the first step on."""

_MOST_NAMED = 3


def parted_words(
    members: Sequence[Member],
    entries: Sequence[Entry],
    curves: Sequence[Mapping[str, Curve]],
    bands: Mapping[str, Mapping[str, Band]],
    *,
    plan: Plan,
    axis: Axis,
) -> dict[str, dict[str, Any]]:
    """Chart → {parted: [{place, label}], verdict}. Only entries in colour are held against the baseline: the others cannot be told apart."""
    found, big = {}, big_of(members)
    for name, wanted in plan:
        if name in _NOT_LEARNING:
            continue
        chosen = signals_for(members, wanted)
        parted = _parted(name, chosen, members, entries, curves, bands)
        told = [
            # On a small chart there is room for one label; the lines of the others stay, and all are said for those who do not see it.
            {"place": place, "label": "" if at and name != big else _label(names, place, axis, named=name == big)}
            for at, (place, names) in enumerate(sorted(parted.items()))
        ]
        verdict = "; ".join(_label(names, place, axis, named=True) for place, names in sorted(parted.items()))
        found[name] = {"parted": told, "verdict": verdict}
    return found


def _parted(
    name: str,
    chosen: Mapping[int, str],
    members: Sequence[Member],
    entries: Sequence[Entry],
    curves: Sequence[Mapping[str, Curve]],
    bands: Mapping[str, Mapping[str, Band]],
) -> dict[float, list[str]]:
    """Place → names of the entries that parted from the baseline there."""
    drawn = [_drawn(name, entry, chosen, members, curves, bands) for entry in entries[:MOST_IN_COLOUR]]
    found: dict[float, list[str]] = {}
    baseline = drawn[0]
    for entry, theirs in zip(entries[1:MOST_IN_COLOUR], drawn[1:], strict=False):
        places = [*entries[0].members, *entry.members]
        if baseline is None or theirs is None or not comparable(name, members, places):
            continue
        place = parted_at(baseline[0], theirs[0], error=max(baseline[1], theirs[1]))
        if place is not None:
            found.setdefault(place, []).append(entry.label)
    return found


def _drawn(
    name: str,
    entry: Entry,
    chosen: Mapping[int, str],
    members: Sequence[Member],
    curves: Sequence[Mapping[str, Curve]],
    bands: Mapping[str, Mapping[str, Band]],
) -> tuple[Curve, float] | None:
    """The entry's curve and the standard error of its values, 0 where none is known. Of a group, the error of its mean over the runs."""
    if not entry.run_id:
        band = bands.get(name, {}).get(entry.id)
        return None if band is None else (curve_of(band), _error_of_mean(band))
    (place,) = entry.members
    if place not in chosen:
        return None
    curve = curves[place].get(members[place].chosen[chosen[place]])
    return None if curve is None else (curve, _error(chosen[place], members[place]))


def _error_of_mean(band: Band) -> float:
    """The usual standard error of the group's mean along its curve."""
    several = band.n > 1
    if not several.any():
        return 0.0
    return float(np.median(band.deviation[several] / np.sqrt(band.n[several])))


def _error(signal: str, one: Member) -> float:
    """The standard error of a held-out measurement, which is one sample of pairs however often it is taken; 0 of what is logged as it trains."""
    if signal == "probe_margin":
        key = one.best.get("probe_margin_se")
        return one.keys[key].value if key is not None and math.isfinite(one.keys[key].value) else 0.0
    if signal == "probe_accuracy":
        pairs = _pairs(one.run)
        return 0.5 / math.sqrt(pairs) if pairs else 0.0
    return 0.0


def _pairs(run: RunInfo) -> float:
    probe = run.config.get("probe")
    pairs = probe.get("pairs") if isinstance(probe, Mapping) else None
    return float(pairs) if isinstance(pairs, (int, float)) and pairs > 0 else 0.0


def _label(names: Sequence[str], place: float, axis: Axis, *, named: bool) -> str:
    where = place_text(place, axis)
    if not named:
        return f"≠ {where.removeprefix('step ')}"
    more = f" and {count(len(names) - _MOST_NAMED)} more" if len(names) > _MOST_NAMED else ""
    return f"≠ {', '.join(map(cut, names[:_MOST_NAMED]))}{more} parted at {where}"
