"""The series of a run as one table: a row a step, a column a key.

Trainers log many keys in the same rows, so keys with equal positions are found first and put side by side; only series of
different rows are joined, once for each set of rows and not once for each key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from runvitals.errors import SettingsError
from runvitals.listings import utc
from runvitals.store.store import Store
from runvitals.store.types import Axis, Floats, Generation, Ints, SeriesPoints
from runvitals.thinning import FEWEST, outline_of_envelope, outline_of_values, thinned

Ranks = Literal["mean", "min", "max", "sum"]

RANK = re.compile(r"rank/(\d+)/(.+)", re.DOTALL)
"""The name of another process's series: rank/<r>/<key>."""


MOST_VALUES = 100_000_000
"""Values that a table of all keys may have: 800 MB. A table of named keys may have any number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What of a run's series: those of an axis from `start` to `stop` in its unit (steps, seconds since 1970, tokens), of a generation.

    ranks: how the series of other processes are merged with their own key's, None for not at all. samples: rows at most.
    limited: refuses a table of more than MOST_VALUES.
    """

    axis: Axis = "step"
    start: float | None = None
    stop: float | None = None
    generation: Generation = "current"
    ranks: Ranks | None = None
    samples: int | None = None
    limited: bool = False

    def __post_init__(self) -> None:
        if self.samples is not None and self.samples < FEWEST:
            raise SettingsError(f"samples: expected {FEWEST} or more, got {self.samples}")


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One series. at: (n,) strictly increasing positions, steps or seconds; values: (n,) float64."""

    at: Ints | Floats
    values: Floats


def history(store: Store, run_id: str, keys: Sequence[str], asked: Asked) -> pd.DataFrame:
    """The table of the keys. Raises UnknownRun, and SettingsError where it gets too large or the axis is not there."""
    found = None
    if asked.samples is not None and asked.ranks is None:
        found = _drawn(store, run_id, keys, asked, samples=asked.samples)
    at, block = found or _exact(store, run_id, keys, asked)
    index = utc(at) if asked.axis == "time" else pd.Index(at)
    return pd.DataFrame(block.T, index=index.rename(asked.axis), columns=list(keys), copy=False)


def _drawn(
    store: Store, run_id: str, keys: Sequence[str], asked: Asked, *, samples: int
) -> tuple[Ints | Floats, Floats] | None:
    """Positions and values from envelopes, which cost the same however long the run is; None where those hold exact points."""
    envelopes = store.envelope(
        run_id,
        keys,
        n=samples,
        axis=asked.axis,
        start=asked.start,
        stop=asked.stop,
        generation=asked.generation,
    )
    if all(one.exact for one in envelopes.values()):
        return None
    outlines = {key: outline_of_envelope(one) for key, one in envelopes.items()}
    return thinned(outlines, keys, samples=samples, whole=asked.axis == "step")


def _exact(store: Store, run_id: str, keys: Sequence[str], asked: Asked) -> tuple[Ints | Floats, Floats]:
    """Positions and values from the points themselves, thinned where there are more than asked for."""
    if asked.limited:
        wanted = set(keys)
        _limit(sum(newest.count for key, newest in store.keys(run_id).items() if key in wanted), len(keys))
    columns = read_columns(store, run_id, keys, asked)
    at = united([column.at for column in columns.values()] or [np.empty(0, np.int64)])
    place = _tokens_at(store, run_id, at) if asked.axis == "tokens" else at
    if asked.samples is not None and at.size > asked.samples:
        outlines = {
            key: outline_of_values(place[np.searchsorted(at, column.at)], column.values)
            for key, column in columns.items()
        }
        return thinned(outlines, keys, samples=asked.samples, whole=asked.axis == "step")
    if asked.limited:
        _limit(at.size * len(keys), len(keys))
    return place, side_by_side(columns, keys, at)


def _limit(values: int, keys: int) -> None:
    if values > MOST_VALUES:
        raise SettingsError(
            f"history: a table of all {keys:,} keys would hold {values:,} values, more than {MOST_VALUES:,}; "
            "name the keys, or give samples=1000"
        )


def _tokens_at(store: Store, run_id: str, steps: Ints) -> Floats:
    found = store.tokens_at(run_id, steps)
    if found is None:
        raise SettingsError(f"axis 'tokens': run {run_id} logged no count of tokens; expected step or time")
    return found


def read_columns(store: Store, run_id: str, keys: Sequence[str], asked: Asked) -> dict[str, Column]:
    """Each key's exact points, one a position: of several at one position the last that was logged counts. Raises UnknownRun."""
    wanted = set(keys)
    others = [] if asked.ranks is None else [name for name in store.keys(run_id) if _key_of_rank(name) in wanted]
    found = store.read_many(
        run_id, [*keys, *others], start=asked.start, stop=asked.stop, axis=asked.axis, generation=asked.generation
    )
    positions = _SharedPositions()
    columns = {key: _column(points, positions, asked.axis) for key, points in found.items()}
    return columns if asked.ranks is None else merged_ranks(columns, keys, asked.ranks)


def _key_of_rank(name: str) -> str | None:
    """The key of another process's series, None for any other series."""
    match = RANK.fullmatch(name)
    return match[2] if match else None


def _column(points: SeriesPoints, positions: _SharedPositions, axis: Axis) -> Column:
    shared = positions.like(points.times_s if axis == "time" else points.steps)
    if shared.kept is None:
        return Column(shared.at, points.values)
    return Column(shared.at, points.values[shared.kept])


@dataclass(frozen=True, slots=True, eq=False)
class _Positions:
    """Positions as they were read, and those that are left where a later point replaces an earlier one. kept: None for all."""

    read: Ints | Floats
    at: Ints | Floats
    kept: NDArray[np.bool_] | None


class _SharedPositions:
    """Gives equal positions as one and the same array, so that whoever joins columns sees that they share their rows."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, float, float], list[_Positions]] = {}

    def like(self, positions: Ints | Floats) -> _Positions:
        """The known positions equal to these, else these."""
        ends = (float(positions[0]), float(positions[-1])) if positions.size else (0.0, 0.0)
        alike = self._known.setdefault((positions.size, *ends), [])
        for known in alike:
            if known.read is positions or np.array_equal(known.read, positions):
                return known
        kept = np.append(positions[1:] != positions[:-1], True)[: positions.size]
        new = _Positions(positions, positions, None) if kept.all() else _Positions(positions, positions[kept], kept)
        alike.append(new)
        return new


def merged_ranks(columns: Mapping[str, Column], keys: Iterable[str], how: Ranks) -> dict[str, Column]:
    """Each key's series of all processes as one: at a position the mean, least, greatest or sum of those that logged there.

    A NaN of one process makes the merged value NaN. columns: the keys and their rank/<r>/<key>.
    """
    others: dict[str, list[Column]] = {}
    for name, column in columns.items():
        key = _key_of_rank(name)
        if key is not None:
            others.setdefault(key, []).append(column)
    merged = {}
    for key in keys:
        parts = [*([columns[key]] if key in columns else []), *others.get(key, ())]
        if parts:
            merged[key] = parts[0] if len(parts) == 1 else _merged(parts, how)
    return merged


def _merged(parts: Sequence[Column], how: Ranks) -> Column:
    """The union of the parts' positions with one value each."""
    at = united([part.at for part in parts])
    combine: np.ufunc = {"min": np.minimum, "max": np.maximum}.get(how, np.add)
    values = np.full(at.size, {"min": np.inf, "max": -np.inf}.get(how, 0.0))
    count = np.zeros(at.size, np.int64)
    with np.errstate(invalid="ignore", over="ignore"):
        for part in parts:
            place = np.searchsorted(at, part.at)
            values[place] = combine(values[place], part.values)
            count[place] += 1
        return Column(at, values / count if how == "mean" else values)


def united(positions: Sequence[Ints | Floats]) -> Any:
    """All positions of several increasing arrays, each once, increasing; the array itself where all are the same one."""
    different = list({id(one): one for one in positions}.values())
    if len(different) == 1:
        return different[0]
    return np.unique(np.concatenate(different))


def side_by_side(columns: Mapping[str, Column], keys: Sequence[str], at: Ints | Floats) -> Floats:
    """The values of the keys at the positions `at`, which hold all of theirs: (len(keys), n), NaN where a key has none."""
    block = np.empty((len(keys), at.size))
    places: dict[int, NDArray[np.intp]] = {}
    for row, key in zip(block, keys, strict=True):
        column = columns.get(key)
        if column is not None and column.at.size == at.size:
            row[:] = column.values
            continue
        row[:] = np.nan
        if column is None:
            continue
        if id(column.at) not in places:
            places[id(column.at)] = np.searchsorted(at, column.at)
        row[places[id(column.at)]] = column.values
    return block
