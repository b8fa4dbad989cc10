"""Runs, events, alerts and notes as tables: a row each, times in UTC, what is unknown as NaT or <NA>."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from runvitals.store.types import AlertRow, EventRow, Floats, Ints, RunInfo, SeriesPoints


def utc(times_s: Floats | Ints | Sequence[float | None]) -> pd.DatetimeIndex:
    """Times in seconds since 1970 as UTC timestamps with nanoseconds; None and NaN become NaT."""
    seconds = np.array(times_s, np.float64)
    nanoseconds = np.full(seconds.size, np.iinfo(np.int64).min)  # numpy's and pandas' NaT
    known = np.isfinite(seconds)
    nanoseconds[known] = np.round(seconds[known] * 1e9).astype(np.int64)
    return pd.DatetimeIndex(nanoseconds.view("datetime64[ns]")).tz_localize("UTC")


def runs_table(runs: Sequence[RunInfo], *, latest: Sequence[str]) -> pd.DataFrame:
    """A row a run in the given order, indexed by id: what lists show, `config.<key>` a setting and `latest.<key>` a newest value."""
    columns: dict[str, Any] = {
        "project": [run.project for run in runs],
        "name": [run.name for run in runs],
        "trainer": [run.trainer for run in runs],
        "status": [run.status for run in runs],
        "health": [run.health for run in runs],
        "finding": [run.finding for run in runs],
        "alerts": np.array([run.alerts for run in runs], np.int64),
        "created": utc([run.created_s for run in runs]),
        "ended": utc([run.ended_s for run in runs]),
        "last_step": _whole([run.last_step for run in runs]),
        "last_step_time": utc([run.last_step_s for run in runs]),
        "max_steps": _whole([run.max_steps for run in runs]),
    }
    settings = [dict(_flat(run.config)) for run in runs]
    for name in dict.fromkeys(name for one in settings for name in one):
        columns[f"config.{name}"] = pd.Series([one.get(name) for one in settings]).infer_objects().array
    for key in latest:
        values = [run.latest[key].value if key in run.latest else np.nan for run in runs]
        columns[f"latest.{key}"] = np.array(values, np.float64)
    return pd.DataFrame(columns, index=pd.Index([run.id for run in runs], dtype=object, name="id"))


def _flat(config: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Settings by their name; those inside a setting have a dotted one. An empty mapping stays a value."""
    for name, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _whole(numbers: Sequence[int | None]) -> Any:
    """Whole numbers of which some are unknown (<NA>)."""
    return pd.array([pd.NA if number is None else number for number in numbers], dtype="Int64")


def events_table(events: Sequence[EventRow]) -> pd.DataFrame:
    """A row an event in order of arrival, indexed by the store's id: time, step, kind, data (a dict)."""
    columns = {
        "time": utc([event.time_s for event in events]),
        "step": _whole([event.step for event in events]),
        "kind": [event.kind for event in events],
        "data": pd.Series([dict(event.data) for event in events], dtype=object).array,
    }
    return pd.DataFrame(columns, index=pd.Index([event.id for event in events], dtype=np.int64, name="id"))


def alerts_table(alerts: Sequence[AlertRow], names: Mapping[str, str]) -> pd.DataFrame:
    """A row an alert in the given order, indexed by its id. names: of runs by their id."""
    columns = {
        "run": [alert.run_id for alert in alerts],
        "run_name": [names.get(alert.run_id, "") for alert in alerts],
        "rule": [alert.rule for alert in alerts],
        "signal": [alert.signal for alert in alerts],
        "severity": [alert.severity for alert in alerts],
        "state": [alert.state for alert in alerts],
        "title": [str(alert.detail.get("title", alert.rule)) for alert in alerts],
        "sentence": [str(alert.detail.get("sentence", "")) for alert in alerts],
        "onset_step": _whole([alert.onset_step for alert in alerts]),
        "onset": utc([alert.onset_s for alert in alerts]),
        "fired_step": _whole([alert.fired_step for alert in alerts]),
        "fired": utc([alert.fired_s for alert in alerts]),
        "resolved_step": _whole([alert.resolved_step for alert in alerts]),
        "resolved": utc([alert.resolved_s for alert in alerts]),
        "causes": _texts(alerts, "causes"),
        "remedies": _texts(alerts, "remedies"),
        "incident": [alert.incident for alert in alerts],
        "acknowledged": utc([alert.acknowledged_s for alert in alerts]),
        "muted_until": utc([alert.muted_until_s for alert in alerts]),
        "feedback": [alert.feedback for alert in alerts],
        "detail": pd.Series([dict(alert.detail) for alert in alerts], dtype=object).array,
    }
    return pd.DataFrame(columns, index=pd.Index([alert.id for alert in alerts], dtype=object, name="id"))


def _texts(alerts: Sequence[AlertRow], name: str) -> Any:
    """The texts of each alert's causes or remedies, as a list, likeliest or best first."""
    return pd.Series(
        [[str(one.get("text", "")) for one in alert.detail.get(name) or ()] for alert in alerts], dtype=object
    ).array


_KINDS = ("nan", "+inf", "-inf", "none")


def nonfinite_table(found: Mapping[str, SeriesPoints], none_bits: int) -> pd.DataFrame:
    """A row a logged NaN, Inf, -Inf or None, in order of time: time, step, key, kind (nan, +inf, -inf, none)."""
    keys, times, steps, kinds = [], [np.empty(0)], [np.empty(0, np.int64)], [np.empty(0, np.intp)]
    for key, points in found.items():
        odd = ~np.isfinite(points.values)
        values = points.values[odd]
        nones = values.view(np.int64) == none_bits
        keys.append(np.full(values.size, key, object))
        times.append(points.times_s[odd])
        steps.append(points.steps[odd])
        kinds.append(np.select([nones, np.isnan(values), values > 0], [3, 0, 1], 2))
    all_times, all_steps = np.concatenate(times), np.concatenate(steps)
    order = np.argsort(all_times, kind="stable")
    columns = {
        "time": utc(all_times[order]),
        "step": pd.arrays.IntegerArray(all_steps[order], all_steps[order] < 0),
        "key": np.concatenate([np.empty(0, object), *keys])[order],
        "kind": np.array(_KINDS, object)[np.concatenate(kinds)[order]],
    }
    return pd.DataFrame(columns)


def facts_html(facts: Mapping[str, str]) -> str:
    """A small table. Everything is escaped: names come from whoever logged the run."""
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in facts.items() if text)
    return f"<table>{rows}</table>"
