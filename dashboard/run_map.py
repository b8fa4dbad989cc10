"""The map of a run's devices, ranks and hosts: one row each, time along it, ink by value; the odd one out is the row that differs.

Made on the server in cells, a few times a minute: the curves of a thousand ranks would be megabytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from runvitals.dashboard.formatter import data_rate, number, percent
from runvitals.dashboard.signal_facts import about, value_kind
from runvitals.dashboard.signal_keys import RANK
from runvitals.diagnostics.signals import NODE, SIGNALS, Device, canonical, device
from runvitals.store.types import Envelope, Floats

CELLS = 96
"""Cells along the time axis: one for eight to twenty pixels."""

MOST_ROWS = 128
"""Rows drawn; of more, those furthest from the median of all, for the odd one out is what the map is for."""

MOST_MEASURES = 20

_DEVICE_SIGNALS = (
    "gpu_utilization",
    "gpu_memory_used_gib",
    "gpu_power_w",
    "gpu_temperature_c",
    "gpu_sm_clock_mhz",
    "gpu_throttled",
)
_HOST_SIGNALS = (
    "host_cpu_percent",
    "host_memory_gib",
    "host_disk_read_mib_s",
    "host_disk_write_mib_s",
    "host_net_sent_mib_s",
    "host_net_received_mib_s",
)
_RANKS_OWN = ("data_wait_s", "forward_time_s")
"""What a rank spends itself: the measures that show who keeps the others waiting, before all else. A whole step is equally long on all."""

_RANKS_FIRST = (*_RANKS_OWN, "step_time_s", "optimizer_time_s", "loss", "grad_norm", "tokens_per_s", "samples_per_s")
_BRIDGED = 3
"""Empty cells between two samples that still count as the first one's: samples and cells do not keep the same beat."""

MISSING, NOT_A_NUMBER = -1, -2
LEVELS = 255
ODD_SPREADS = 8.0
"""A row is odd where its mean lies this many median deviations from the median of the rows."""
_ODD_SHARE = 0.02
"""And at least this share of the median away: rows that agree to the last digit have no spread at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One device, rank or host. group: what it belongs to (a host), "" for the first rank's."""

    label: str
    group: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One thing that several of a kind measure. of: "device", "rank" or "host"."""

    id: str
    of: str
    title: str
    unit: str
    kind: str
    signal: str
    rows: tuple[Row, ...]


def measures(keys: Sequence[str]) -> tuple[Measure, ...]:
    """What the map can show of a run with these keys, in order; nothing of which there is one only."""
    return _measures(tuple(keys))


@lru_cache(maxsize=32)
def _measures(names: tuple[str, ...]) -> tuple[Measure, ...]:
    ranks = _of_ranks(names)
    own = [measure for measure in ranks if measure.signal in _RANKS_OWN]
    found = [*own, *_of_devices(names), *(measure for measure in ranks if measure not in own), *_of_hosts(names)]
    return tuple(measure for measure in found if len(measure.rows) > 1)[:MOST_MEASURES]


def map_json(
    measure: Measure, read: Callable[[list[str]], Mapping[str, Envelope]], *, span_s: tuple[float, float], zero_s: float
) -> dict[str, Any]:
    """The map as the component takes it. read: keys → envelopes along time. span_s: from when to when; zero_s: the run's start.

    cells: a row of numbers for each, 0 to 255 between low and high; -1 where nothing was logged, -2 where it was no number.
    """
    envelopes = read([row.key for row in measure.rows])
    grids = {row.key: _grid(envelopes.get(row.key), span_s) for row in measure.rows}
    rows, left = _furthest(measure.rows, {key: values for key, (values, _) in grids.items()})
    shown = [grids[row.key][0] for row in rows]
    finite = np.concatenate([values[np.isfinite(values)] for values in shown]) if shown else np.empty(0)
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if measure.unit == "%":
        low, high = 0.0, 100.0
    return {
        "measure": measure.id,
        "of": measure.of,
        "title": measure.title,
        "unit": measure.unit,
        "values": measure.kind,
        "about": about(measure.signal or None, measure.id),
        "low": low,
        "high": high,
        "from_s": span_s[0] - zero_s,
        "to_s": span_s[1] - zero_s,
        "rows": [
            {
                "label": row.label,
                "group": row.group,
                "key": row.key,
                "now": _newest(grids[row.key][0]),
                "cells": _levels(*grids[row.key], low=low, high=high),
            }
            for row in rows
        ],
        "left": left,
        "sentence": _sentence(measure, rows, shown),
    }


def _of_devices(names: Sequence[str]) -> list[Measure]:
    rows: dict[str, list[tuple[Device, str]]] = {}
    for name in names:
        found = device(name)
        if found is not None:
            rows.setdefault(found[0], []).append((found[1], name))
    return [
        _measure(
            signal,
            "device",
            signal,
            [Row(label=f"GPU {place.index}", group=place.node, key=key) for place, key in sorted(rows[signal])],
        )
        for signal in _DEVICE_SIGNALS
        if signal in rows
    ]


def _of_ranks(names: Sequence[str]) -> list[Measure]:
    plain = set(names)
    rows: dict[str, list[tuple[int, str]]] = {}
    for name in names:
        rank, _, key = name.removeprefix(RANK).partition("/")
        if name.startswith(RANK) and rank.isdecimal() and key:
            rows.setdefault(key, []).append((int(rank), name))
    first = {signal: place for place, signal in enumerate(_RANKS_FIRST)}
    ordered = sorted(rows, key=lambda key: (first.get(canonical(key) or "", len(first)), key))
    return [
        _measure(
            f"{RANK}{key}",
            "rank",
            canonical(key) or "",
            [
                Row(label=f"rank {rank}", group="", key=name)
                for rank, name in sorted([*rows[key], *([(0, key)] if key in plain else [])])
            ],
            title=key,
        )
        for key in ordered
    ]


def _of_hosts(names: Sequence[str]) -> list[Measure]:
    rows: dict[str, list[tuple[str, str]]] = {}
    for name in names:
        host, plain = host_of(name)
        signal = canonical(plain)
        if signal in _HOST_SIGNALS and plain.startswith("host/"):
            rows.setdefault(signal, []).append((host, name))
    return [
        _measure(
            signal,
            "host",
            signal,
            [Row(label=host or "first host", group="", key=key) for host, key in sorted(rows[signal])],
        )
        for signal in _HOST_SIGNALS
        if signal in rows
    ]


def host_of(key: str) -> tuple[str, str]:
    """The host that a key names, "" for the first rank's, and the key without it."""
    if not key.startswith(NODE):
        return "", key
    host, _, plain = key.removeprefix(NODE).partition("/")
    return host, plain


def _measure(measure_id: str, of: str, signal: str, rows: Sequence[Row], *, title: str = "") -> Measure:
    known = SIGNALS.get(signal)
    return Measure(
        id=measure_id,
        of=of,
        title=known.title.removeprefix("GPU ").capitalize() if known else title,
        unit=known.unit if known else "",
        kind=value_kind(signal),
        signal=signal,
        rows=tuple(rows),
    )


def _grid(envelope: Envelope | None, span_s: tuple[float, float]) -> tuple[Floats, Floats]:
    """The means of the cells, NaN where there is none, and how many values of each were not numbers."""
    values, lost = np.full(CELLS, np.nan), np.zeros(CELLS)
    if envelope is None or not envelope.x.size:
        return values, lost
    width = max(span_s[1] - span_s[0], 1e-9)
    places = np.clip(((envelope.times_s - span_s[0]) / width * CELLS).astype(int), 0, CELLS - 1)
    np.add.at(lost, places, envelope.nonfinite)
    good = np.isfinite(envelope.mean)
    weights = np.maximum(envelope.count - envelope.nonfinite, 1)[good]
    total, many = np.zeros(CELLS), np.zeros(CELLS)
    np.add.at(total, places[good], envelope.mean[good] * weights)
    np.add.at(many, places[good], weights)
    np.divide(total, many, out=values, where=many > 0)
    _bridge(values, lost, beat=width / max(envelope.x.size, 1) / width * CELLS)
    return values, lost


def _bridge(values: Floats, lost: Floats, *, beat: float) -> None:
    """Fills cells that lie empty only because samples come less often than cells: with the sample before them."""
    filled = np.flatnonzero(np.isfinite(values) | (lost > 0))
    most = max(_BRIDGED, int(np.ceil(beat)))
    for before, after in pairwise(filled.tolist()):
        if 1 < after - before <= most + 1:
            values[before + 1 : after], lost[before + 1 : after] = values[before], lost[before]


def _levels(values: Floats, lost: Floats, *, low: float, high: float) -> list[int]:
    width = high - low
    share = np.clip((values - low) / width, 0.0, 1.0) if width > 0 else np.where(np.isfinite(values), 0.5, np.nan)
    levels = np.where(np.isfinite(share), np.round(np.nan_to_num(share) * LEVELS), MISSING)
    levels = np.where(~np.isfinite(values) & (lost > 0), NOT_A_NUMBER, levels)
    listed: list[int] = levels.astype(int).tolist()
    return listed


def _newest(values: Floats) -> float | None:
    """The newest number of a row, None where it has none."""
    finite = values[np.isfinite(values)]
    return float(finite[-1]) if finite.size else None


def _means(grids: Sequence[Floats]) -> Floats:
    return np.array([values[np.isfinite(values)].mean() if np.isfinite(values).any() else np.nan for values in grids])


def _furthest(rows: Sequence[Row], grids: Mapping[str, Floats]) -> tuple[list[Row], int]:
    """The rows to draw in their order, and how many are left out: those nearest to the median of all."""
    if len(rows) <= MOST_ROWS:
        return list(rows), 0
    means = _means([grids[row.key] for row in rows])
    away = np.nan_to_num(np.abs(means - np.nanmedian(means)), nan=np.inf)
    chosen = sorted(np.argsort(-away, kind="stable")[:MOST_ROWS].tolist())
    return [rows[place] for place in chosen], len(rows) - MOST_ROWS


def _sentence(measure: Measure, rows: Sequence[Row], grids: Sequence[Floats]) -> str:
    """Names the row that stands apart from the others over the time that is shown, with both numbers; else nothing."""
    means = _means(grids)
    good = np.flatnonzero(np.isfinite(means))
    if good.size < 3:
        return ""
    middle = float(np.median(means[good]))
    away = np.abs(means[good] - middle)
    spread = max(float(np.median(away)), _ODD_SHARE * abs(middle) / ODD_SPREADS)
    odd = int(np.argmax(away))
    if spread <= 0 or away[odd] < ODD_SPREADS * spread:
        return ""
    row = rows[int(good[odd])]
    name = f"{row.label} of {row.group}" if row.group else row.label
    mean = float(means[good[odd]])
    return f"{name} stands apart: mean {_written(mean, measure)}, the others {_written(middle, measure)}"


def _written(value: float, measure: Measure) -> str:
    if measure.kind == "percent":
        return percent(value)
    if measure.unit == "MiB/s":
        return data_rate(value)
    return f"{number(value)} {measure.unit}" if measure.unit in ("%", "GiB", "W", "°C", "MHz", "s") else number(value)
