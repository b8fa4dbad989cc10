"""Runs as groups: by the value of settings, or as seeds of one setting; each group one curve with its spread."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from runvitals.dashboard.compare_read import Curve
from runvitals.dashboard.compare_state import SEEDS, Spread
from runvitals.dashboard.differences import flat_settings, setting_text, telling
from runvitals.store.types import Floats, Ints, RunInfo

MOST_CELLS = 120
"""Places at which a group's curve is worked out, where its runs did not log at the same places anyway."""

FEWEST_ROWS = 2
"""Rows of its sparsest run that a place should hold, so that it stands for something."""

FEWEST_SURE = 3
"""Runs without which no interval of their mean is drawn."""

SEED_NAMES = frozenset({"seed", "data_seed", "random_seed", "torch_seed", "rng_seed"})
"""What tells runs of one setting apart."""


@dataclass(frozen=True, slots=True)
class Group:
    """Runs that are one line. name: what they have in common; label: the same where room is short. members: places in the list of runs."""

    name: str
    label: str
    members: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A group's curve. mean, low, high: (m,) over the runs that have a finite value at x; n: (m,) how many those are.

    deviation: (m,) standard deviation over them, 0 where there is one.
    whole: runs that logged the signal at all. Where n is below it, the mean is one over fewer runs, and not to be read on.
    """

    x: Floats
    mean: Floats
    low: Floats
    high: Floats
    deviation: Floats
    n: Ints
    kinds: NDArray[np.uint8]
    whole: int


def groups_of(runs: Sequence[RunInfo], names: Sequence[str]) -> list[Group]:
    """The groups, that of the first run (the baseline) first, the others by what they are called.

    names: settings as the table of differences spells them, or `SEEDS`. A run without a setting is in the group "—".
    """
    flat = [flat_settings(run) for run in runs]
    told = [name for name in names if name != SEEDS] or _varying(flat)
    found: dict[tuple[str, ...], list[int]] = {}
    for place, settings in enumerate(flat):
        found.setdefault(tuple(setting_text(settings.get(name)) for name in told), []).append(place)
    first, *others = [
        Group(name=_called(told, values), label=_labelled(told, values), members=tuple(places))
        for values, places in found.items()
    ]
    return [first, *sorted(others, key=lambda group: natural(group.name))]


def natural(text: str) -> list[tuple[int, float, str]]:
    """A key that sorts numbers inside texts by size: lr 0.03 before lr 0.1, and 9 before 10."""
    parts = re.split(r"(\d+(?:\.\d+)?(?:e-?\d+)?)", text)
    return [(0, float(part), "") if place % 2 else (1, 0.0, part) for place, part in enumerate(parts)]


def _varying(flat: Sequence[Mapping[str, object]]) -> list[str]:
    """Settings that tell the groups apart, the most telling first; not those that tell seeds of one setting apart."""
    names = sorted({name for one in flat for name in one if name.split(".")[-1] not in SEED_NAMES}, key=telling)
    kept: list[str] = []
    found: list[tuple[str, ...]] = [()] * len(flat)
    for name in names:
        finer = [(*values, setting_text(one.get(name))) for values, one in zip(found, flat, strict=True)]
        # A setting that goes with those before it would only make the name longer.
        if len(set(finer)) > len(set(found)):
            kept.append(name)
            found = finer
    return kept


def _called(names: Sequence[str], values: Sequence[str]) -> str:
    return " · ".join(f"{name} {value}" for name, value in zip(names, values, strict=True)) or "all runs"


def _labelled(names: Sequence[str], values: Sequence[str]) -> str:
    """Of several settings the values alone: the table of differences says what they are of."""
    return _called(names, values) if len(names) < 2 else " · ".join(values)


def band(curves: Sequence[Curve], spread: Spread, *, share: bool = False) -> Band | None:
    """Mean and spread of the runs' curves, each run counting as one; None where none of them has a finite value.

    spread: "std" is the standard deviation over the runs (n − 1 below), "interval" the 95 % interval of the mean by Student's t,
    which of two runs is six times as wide as of three: it begins at `FEWEST_SURE`. Where
    less than half of the runs are left there is no band at all. share: values lie from 0 to 1, and so does the band.
    Where a run has no row at a place but has on both sides, it is interpolated; beyond its ends it is not.
    """
    known = [curve for curve in curves if np.isfinite(curve.mean).any()]
    if not known:
        return None
    places = grid(known)
    values = np.vstack([_on(curve, places) for curve in known])
    kinds = np.bitwise_or.reduce([_kinds_on(curve, places) for curve in known])
    finite = np.isfinite(values)
    n = finite.sum(axis=0)
    filled = np.where(finite, values, 0.0)
    mean = np.where(n > 0, filled.sum(axis=0) / np.maximum(n, 1), np.nan)
    squares = np.where(finite, (values - mean) ** 2, 0.0).sum(axis=0)
    deviation = np.sqrt(squares / np.maximum(n - 1, 1))
    half = deviation
    if spread == "interval":
        half = deviation * stdtrit(np.maximum(n - 1, 1), 0.975) / np.sqrt(np.maximum(n, 1))
        half = np.where(n >= FEWEST_SURE, half, 0.0)
    half = np.where(2 * n >= len(known), half, 0.0)
    low, high = mean - half, mean + half
    if share:
        low, high = np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0)
    some = (n > 0) | (kinds > 0)
    return Band(
        x=places.centres[some],
        mean=mean[some],
        low=low[some],
        high=high[some],
        deviation=deviation[some],
        n=n[some].astype(np.int64),
        kinds=kinds[some],
        whole=len(known),
    )


@dataclass(frozen=True, slots=True)
class Grid:
    """Cells of the shared axis. edges: (m + 1,) increasing; centres: (m,)."""

    edges: Floats
    centres: Floats


def grid(curves: Sequence[Curve]) -> Grid:
    """Cells over all that the curves cover: their own places where those are few, else cells of one width."""
    own = np.unique(np.concatenate([curve.x[np.isfinite(curve.x)] for curve in curves]))
    if own.size <= MOST_CELLS:
        between = (own[1:] + own[:-1]) / 2
        return Grid(np.concatenate([[-np.inf], between, [np.inf]]), own)
    sparsest = min(curve.x.size for curve in curves)
    cells = max(8, min(MOST_CELLS, sparsest // FEWEST_ROWS))
    edges = np.linspace(own[0], own[-1], cells + 1)
    return Grid(edges, (edges[1:] + edges[:-1]) / 2)


def _cell_of(curve: Curve, places: Grid) -> Ints:
    inner = places.edges[1:-1]
    return np.searchsorted(inner, curve.x, side="right").astype(np.int64)


def _on(curve: Curve, places: Grid) -> Floats:
    """The curve's mean in each cell; interpolated where a cell inside its span holds no row, NaN outside and beside what is not finite."""
    size = places.centres.size
    cell, finite = _cell_of(curve, places), np.isfinite(curve.mean)
    weight = np.where(finite, np.maximum(curve.count, 1), 0).astype(float)
    sums = np.bincount(cell, weights=np.where(finite, curve.mean, 0.0) * weight, minlength=size)
    weights = np.bincount(cell, weights=weight, minlength=size)
    rows = np.bincount(cell, minlength=size)
    values = np.where(weights > 0, sums / np.where(weights > 0, weights, 1.0), np.nan)
    filled = np.flatnonzero(rows > 0)
    inside = (rows == 0) & (np.arange(size) > filled[0]) & (np.arange(size) < filled[-1])
    values[inside] = np.interp(places.centres[inside], places.centres[filled], values[filled])
    return values


def _kinds_on(curve: Curve, places: Grid) -> NDArray[np.uint8]:
    kinds = np.zeros(places.centres.size, dtype=np.uint8)
    np.bitwise_or.at(kinds, _cell_of(curve, places), curve.kinds)
    return kinds


def said_of(found: Band, write: Callable[[float], str]) -> str:
    """How many runs the curve is of, and from where on they are fewer: "n 5, 4 from step 180". write: a place on the axis in words."""
    top = int(found.n.max(initial=0))
    whole = found.whole
    at_top = np.flatnonzero(found.n == top)
    fewer = np.flatnonzero((found.n < top) & (np.arange(found.n.size) > at_top[0])) if at_top.size else np.array([])
    said = f"n {top}" if top == whole else f"n {top} of {whole}"
    if not fewer.size:
        return said
    first = int(fewer[0])
    return f"{said}, {int(found.n[first])} from {write(float(found.x[first]))}"
