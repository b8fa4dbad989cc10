"""The curves of a comparison that the server works out whole: groups with their band, and thin grey lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from runvitals.dashboard.compare_charts import IDENTITY, Plan, signals_for
from runvitals.dashboard.compare_entries import Entry
from runvitals.dashboard.compare_groups import Band, band, said_of
from runvitals.dashboard.compare_read import Curve, Member
from runvitals.dashboard.compare_state import MOST_IN_COLOUR, Axis, Spread, place_text
from runvitals.dashboard.compare_values import signal_of
from runvitals.dashboard.envelopes import DIGITS
from runvitals.store.types import Floats, Ints

FAINT_POINTS = {"margin": 120}
"""Points of a thin grey line on a chart; `FAINT_POINTS_SMALL` on those that are not named."""

FAINT_POINTS_SMALL = 60


def held(
    members: Sequence[Member],
    entries: Sequence[Entry],
    curves: Sequence[Mapping[str, Curve]],
    *,
    plan: Plan,
    grouped: bool,
    spread: Spread,
) -> tuple[dict[str, Any], dict[str, dict[str, Band]]]:
    """What the server draws itself: series by id, and each group's bands by chart and entry. Both empty where all runs are in colour."""
    series: dict[str, Any] = {}
    bands: dict[str, dict[str, Band]] = {}
    ends: list[float] = []
    for name, wanted in plan:
        chosen = signals_for(members, wanted)
        of_run = {place: curves[place].get(members[place].chosen[signal]) for place, signal in chosen.items()}
        known = {place: curve for place, curve in of_run.items() if curve is not None and curve.x.size}
        ends += [float(end) for curve in known.values() for end in (curve.x[0], curve.x[-1])]
        points = FAINT_POINTS.get(name, FAINT_POINTS_SMALL)
        if not grouped:
            grey = [(entries[place].name, curve) for place, curve in known.items() if place >= MOST_IN_COLOUR]
            series |= _faint_series(name, grey, points)
            continue
        bands[name] = {}
        for entry in entries:
            share = bool(chosen) and signal_of(next(iter(chosen.values()))).kind == "percent"
            found = band([known[place] for place in entry.members if place in known], spread, share=share)
            if found is not None:
                bands[name][entry.id] = found
        for place, entry in enumerate(entries[:MOST_IN_COLOUR]):
            if entry.id in bands[name]:
                series |= _group_series(f"g{place}|{name}", bands[name][entry.id])
        rest = [
            (entry.name, curve_of(bands[name][entry.id]))
            for entry in entries[MOST_IN_COLOUR:]
            if entry.id in bands[name]
        ]
        series |= _faint_series(name, rest, points)
    finite = [end for end in ends if np.isfinite(end)]
    if (grouped or len(members) > MOST_IN_COLOUR) and finite:
        low, high = min(finite), max(finite)
        series[IDENTITY] = {"step": [low, high], "mean": [low, high]}
    return series, bands


def curve_of(found: Band) -> Curve:
    """The group's mean as a curve."""
    return Curve(
        x=found.x, mean=found.mean, low=found.low, high=found.high, count=found.n, kinds=found.kinds, steps=found.n
    )


def _group_series(series_id: str, found: Band) -> dict[str, Any]:
    """The curve where all runs of the group are in it, and apart from it where some are missing, from the last place that all reached."""
    whole = found.n == found.whole
    fewer = ~whole
    series = {series_id: _columns(found, [np.flatnonzero(whole)])}
    if fewer.any():
        beside = np.append(fewer[1:], False) | np.append([False], fewer[:-1])
        places = np.flatnonzero(fewer | (whole & beside))
        series[f"{series_id}|fewer"] = _columns(found, np.split(places, np.flatnonzero(np.diff(places) > 1) + 1))
    return series


def _columns(found: Band, stretches: Sequence[Ints]) -> dict[str, Any]:
    """The places as columns for the browser, with a break between stretches."""
    columns: dict[str, list[Any]] = {name: [] for name in ("step", "mean", "low", "high", "count", "kinds")}
    for stretch in stretches:
        if columns["step"] and stretch.size:
            for name, blank in (
                ("step", columns["step"][-1]),
                ("mean", None),
                ("low", None),
                ("high", None),
                ("count", 0),
                ("kinds", 0),
            ):
                columns[name].append(blank)
        columns["step"] += _rounded(found.x[stretch])
        columns["mean"] += _rounded(found.mean[stretch])
        columns["low"] += _rounded(found.low[stretch])
        columns["high"] += _rounded(found.high[stretch])
        columns["count"] += found.n[stretch].tolist()
        columns["kinds"] += found.kinds[stretch].tolist()
    return columns


def _faint_series(name: str, curves: Sequence[tuple[str, Curve]], points: int) -> dict[str, Any]:
    """All thin lines of a chart as one series, a gap after each; `runs` says whose stretch is where: [[name, start, stop]]."""
    if not curves:
        return {}
    step: list[float | None] = []
    mean: list[float | None] = []
    runs: list[list[Any]] = []
    for whose, curve in curves:
        x, y = thinned(curve, points)
        runs.append([whose, len(step), len(step) + x.size])
        step += [*_rounded(x), float(x[-1])]
        mean += [*_rounded(y), None]
    return {f"faint|{name}": {"step": step, "mean": mean, "runs": runs}}


def thinned(curve: Curve, points: int) -> tuple[Floats, Floats]:
    """At most `points` means of the curve; NaN, which breaks the line, only where no value of a stretch is finite."""
    size = curve.x.size
    if size <= points:
        return curve.x, curve.mean
    starts = np.linspace(0, size, points + 1).astype(int)[:-1]
    finite = np.isfinite(curve.mean)
    sums = np.add.reduceat(np.where(finite, curve.mean, 0.0), starts)
    many = np.add.reduceat(finite.astype(float), starts)
    x = np.add.reduceat(curve.x, starts) / np.diff([*starts, size])
    return x, np.where(many > 0, sums / np.maximum(many, 1.0), np.nan)


def _rounded(values: Floats) -> list[float | None]:
    return [float(f"{value:.{DIGITS}g}") if value - value == 0.0 else None for value in values.tolist()]


def key_of(found: Band, axis: Axis) -> str:
    """How many runs stand behind a group's curve, for its key."""
    return said_of(found, lambda place: place_text(place, axis))
