"""An incident by onset: its alerts, and what else of the run left its course around it, in order and with lags."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from runvitals.dashboard.component import plain
from runvitals.dashboard.formatter import count, duration
from runvitals.dashboard.incidents import Incident
from runvitals.dashboard.onsets import Worse, first_move
from runvitals.diagnostics.signals import SIGNALS, best_key
from runvitals.store import Store
from runvitals.store.types import AlertRow, Floats, RunInfo, SeriesPoints

SUSPECTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("learning rate", ("learning_rate",)),
    ("data", ("data_wait_s",)),
    ("GPU", ("gpu_utilization", "gpu_sm_clock_mhz")),
    ("gradient", ("grad_norm",)),
    ("loss", ("loss",)),
    ("policy", ("kl", "sequence_kl", "entropy", "sequence_entropy", "reward")),
    ("margin", ("reward_margin",)),
)
"""What may have moved first, and the signals that show it, causes before what follows from them."""

_ALWAYS_NAMED = frozenset({"learning rate", "data", "GPU", "gradient", "loss"})
_BEFORE = 120
_AFTER = 60
_MOST_AFTER = 480
"""Rows before the first onset, after the last firing, and in all after the first onset, that are looked at."""

_DEVICE_S = 300.0
"""Devices are sampled every five seconds, whatever a step takes; so much is read of them before the onset."""

_DRAWN = 60
"""A drawn course has the lowest and highest of so many stretches."""

_LEAST_WAIT = 0.1
"""A wait for data that is no tenth of a step slows nothing down, however it changes."""

_TOLD = 5
"""As many as a sentence can name and still be read; the rows below it name all."""

_MOST_KEPT = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """What is looked at. since_s: when the first alert began; row_s: between rows; steps and times of rows tell one from the other."""

    start_s: float
    since_s: float
    stop_s: float
    row_s: float
    steps: Floats
    times_s: Floats

    def step(self, time_s: float) -> float | None:
        """The step at a time, None where no row has one."""
        return float(np.interp(time_s, self.times_s, self.steps)) if len(self.steps) else None


_kept: WeakKeyDictionary[Store, OrderedDict[tuple[object, ...], dict[str, Any]]] = WeakKeyDictionary()
_lock = threading.Lock()


def by_onset(store: Store, incident: Incident, run: RunInfo | None) -> dict[str, Any] | None:
    """The incident's rows in order of onset, with what did not move and what was not logged; None where the run is gone.

    Kept until an alert of the incident changes, or the run logs rows that lie in the window.
    """
    if run is None or run.last_step_s is None:
        return None
    row_s = max((run.last_step_s - run.created_s) / max(run.last_step or 1, 1), 1e-3)
    stop_s = _stop_s(incident, row_s)
    alerts = tuple(
        (alert.id, alert.onset_s, alert.fired_s, alert.resolved_s, alert.acknowledged_s, alert.muted_until_s)
        for alert in incident.alerts
    )
    asked = (run.id, alerts, min(run.last_step_s, stop_s))
    with _lock:
        kept = _kept.setdefault(store, OrderedDict())
        if asked in kept:
            kept.move_to_end(asked)
            return kept[asked]
    found = _by_onset(store, incident, run, row_s=row_s, stop_s=stop_s)
    with _lock:
        kept[asked] = found
        while len(kept) > _MOST_KEPT:
            kept.popitem(last=False)
    return found


def _stop_s(incident: Incident, row_s: float) -> float:
    since_s = incident.alerts[0].onset_s
    last_s = max(alert.fired_s or alert.onset_s for alert in incident.alerts)
    return min(last_s + _AFTER * row_s, since_s + _MOST_AFTER * row_s)


def _by_onset(store: Store, incident: Incident, run: RunInfo, *, row_s: float, stop_s: float) -> dict[str, Any]:
    since_s = incident.alerts[0].onset_s
    known = store.keys(run.id)
    chosen = {
        signal: key for _, signals in SUSPECTS for signal in signals if (key := best_key(signal, known)) is not None
    }
    rows = {signal: key for signal, key in chosen.items() if not signal.startswith("gpu_")}
    devices = {signal: key for signal, key in chosen.items() if signal.startswith("gpu_")}
    start_s = since_s - _BEFORE * row_s
    series = _read(store, run.id, rows, start_s, stop_s) | _read(
        store, run.id, devices, min(start_s, since_s - _DEVICE_S), stop_s
    )
    window = _window(series, rows, start_s=start_s, since_s=since_s, stop_s=stop_s, row_s=row_s)
    moves, still, unsure = _moves(series, incident, window)
    found = sorted([_alert_row(alert, window) for alert in incident.alerts] + moves, key=lambda row: row["onset_s"])
    first_s = found[0]["onset_s"]
    for row in found:
        row["lag_s"] = row["onset_s"] - first_s
        places = (found[0]["onset"], row["onset"])
        row["lag_steps"] = None if None in places else round(places[1] - places[0])
    missing = [kind for kind, signals in SUSPECTS if kind in _ALWAYS_NAMED and not set(signals) & chosen.keys()]
    told: dict[str, Any] = plain(
        {
            "sentence": _sentence(found),
            "rows": found,
            "still": still,
            "unsure": unsure,
            "missing": missing,
            "from": window.step(min(start_s, first_s)),
            "to": window.step(stop_s),
        }
    )
    return told


def _read(store: Store, run_id: str, keys: Mapping[str, str], start_s: float, stop_s: float) -> dict[str, SeriesPoints]:
    found = store.read_many(run_id, list(keys.values()), start=start_s, stop=stop_s, axis="time")
    return {signal: found[key] for signal, key in keys.items() if key in found and len(found[key].values)}


def _window(
    series: Mapping[str, SeriesPoints],
    rows: Mapping[str, str],
    *,
    start_s: float,
    since_s: float,
    stop_s: float,
    row_s: float,
) -> _Window:
    stepped = [series[signal] for signal in rows if signal in series and (series[signal].steps >= 0).any()]
    longest = max(stepped, key=lambda points: len(points.steps), default=None)
    good = np.empty(0, dtype=bool) if longest is None else longest.steps >= 0
    return _Window(
        start_s=start_s,
        since_s=since_s,
        stop_s=stop_s,
        row_s=row_s,
        steps=np.empty(0) if longest is None else longest.steps[good].astype(float),
        times_s=np.empty(0) if longest is None else longest.times_s[good],
    )


def _moves(
    series: Mapping[str, SeriesPoints], incident: Incident, window: _Window
) -> tuple[list[dict[str, Any]], list[str], list[str]]:
    """Rows for what moved, the names of what did not, and of what has too few points to tell."""
    rows: list[dict[str, Any]] = []
    still: list[str] = []
    unsure: list[str] = []
    for kind, signals in SUSPECTS:
        for signal in signals:
            points = series.get(signal)
            if points is None:
                continue
            title = SIGNALS[signal].title
            if any(title == row["title"] for row in rows) or title in (*still, *unsure):
                continue  # the same quantity, counted a token and an answer
            try:
                move = first_move(
                    points.times_s,
                    points.values,
                    since_s=window.since_s,
                    worse=_worse(signal),
                    least=_LEAST_WAIT * window.row_s if signal == "data_wait_s" else 0.0,
                )
            except ValueError:
                unsure.append(title)
                continue
            if move is None:
                still.append(title)
                continue
            moved_s = float(points.times_s[move.at])
            rows.append(
                {
                    "key": f"move:{signal}",
                    "kind": kind,
                    "title": title,
                    "signal": signal,
                    "write": SIGNALS[signal].kind,
                    "unit": SIGNALS[signal].unit,
                    "alert": None,
                    "severity": "",
                    "onset_s": moved_s,
                    "onset": window.step(moved_s),
                    "before": move.before,
                    "after": move.after,
                    "course": _course(points, window),
                }
            )
    return rows, still, unsure


def _worse(signal: str) -> Worse:
    if signal == "learning_rate":
        return "rate"
    better = SIGNALS[signal].direction
    return "down" if better == "up" else "up" if better == "down" else "either"


def _alert_row(alert: AlertRow, window: _Window) -> dict[str, Any]:
    signal = SIGNALS.get(alert.signal)
    kind = next((kind for kind, signals in SUSPECTS if alert.signal in signals), "")
    return {
        "key": alert.id,
        "kind": kind,
        "title": str(alert.detail.get("title") or alert.rule),
        "signal": signal.title if signal is not None else alert.signal,
        "alert": alert.id,
        "severity": alert.severity,
        "state": alert.state,
        "acknowledged": alert.acknowledged_s is not None,
        "muted_until_s": alert.muted_until_s,
        "onset_s": alert.onset_s,
        "onset": _place(alert.onset_step, alert.onset_s, window),
        "fired": None if alert.fired_s is None else _place(alert.fired_step, alert.fired_s, window),
        "until": None if alert.resolved_s is None else _place(alert.resolved_step, alert.resolved_s, window),
    }


def _place(step: int | None, time_s: float, window: _Window) -> float | None:
    return float(step) if step is not None else window.step(time_s)


def _course(points: SeriesPoints, window: _Window) -> list[list[float]]:
    """Lowest and highest value of each stretch of the window, in order, by step."""
    inside = (points.times_s >= window.start_s) & np.isfinite(points.values)
    times_s, values = points.times_s[inside], points.values[inside]
    if not len(window.steps) or not len(values):
        return []
    steps = np.interp(times_s, window.times_s, window.steps)
    found: list[list[float]] = []
    for part in np.array_split(np.arange(len(values)), min(_DRAWN, len(values))):
        ends = sorted({int(part[np.argmin(values[part])]), int(part[np.argmax(values[part])])})
        found += [[round(float(steps[at]), 1), float(f"{values[at]:.4g}")] for at in ends]
    return found


def _sentence(rows: Sequence[Mapping[str, Any]]) -> str:
    """What came first and what followed, each kind once: "Learning rate moved first, at step 121; loss 26 steps later."."""
    first = rows[0]
    where = f", at step {count(round(first['onset']))}" if first["onset"] is not None else ""
    head = f"{_named(first)} came first{where}" if first["alert"] else f"{first['title']} moved first{where}"
    told, seen = [head], {first["kind"] or first["title"]}
    for row in rows[1:]:
        name = row["kind"] or row["title"]
        if name in seen:
            continue
        seen.add(name)
        told.append(f"{_named(row) if row['alert'] else _lower(row['title'])} {_lag(row)}")
    more = [f"and {count(len(told) - _TOLD)} more, listed below"] if len(told) > _TOLD + 1 else []
    return "; ".join(told[:_TOLD] + more if more else told) + "."


def _lower(title: str) -> str:
    """The title in the middle of a sentence; KL and GPU stay as they are."""
    return title if title[1:2].isupper() else title[:1].lower() + title[1:]


def _named(row: Mapping[str, Any]) -> str:
    return f"“{row['title']}”"


def _lag(row: Mapping[str, Any]) -> str:
    steps, seconds = row["lag_steps"], row["lag_s"]
    if not seconds:
        return "at once"
    if steps:
        return f"{count(steps)} step{'' if steps == 1 else 's'} later"
    return f"{duration(seconds)} later"
