"""Reads from the store what a report tells, once, before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from runvitals.dashboard import families
from runvitals.dashboard.data import shown_health, watching
from runvitals.dashboard.first_moves import by_onset
from runvitals.dashboard.incidents import Incident, group
from runvitals.dashboard.panel_json import error_keys
from runvitals.dashboard.panel_plans import Chart
from runvitals.dashboard.panels import Section, sections
from runvitals.dashboard.run_devices import device_sections
from runvitals.dashboard.verdicts import BUCKETS, keys_read, title_of
from runvitals.diagnostics.margin import MarginLimits
from runvitals.diagnostics.user_rules.user_rules import UserRules
from runvitals.errors import SettingsError
from runvitals.store import Store
from runvitals.store.types import AlertRow, Envelope, EventRow, Health, Latest, Note, RunInfo

PLACES = 240
"""Buckets of a curve on a report's chart: some two pixels each, so that the file stays small however long the run."""

MOST_INCIDENTS = 30
"""Incidents told in full; a run with more says how many there were."""

_AROUND = 1.0
_LEAST_AROUND = 40
"""An incident's charts show as many steps before and after it as it lasted, and at least this many."""

_TOLD_KINDS = ("resume", "exception", "signal", "absent", "fault", "finish", "alert", "checkpoint", "eval", "summary")

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """All that a report is made of. incident: the one it is about, None for a report of the whole run.

    span: first and last step that the charts show. series: by signal, what the verdicts read; limits: what that on the margin is made by. curves, older: by key, within the span.
    first_moves: by incident, what moved first. store_kind: sqlite or postgresql.
    """

    run: RunInfo
    keys: Mapping[str, Latest]
    sections: Sequence[Section]
    series: Mapping[str, Envelope]
    limits: MarginLimits
    curves: Mapping[str, Envelope]
    older: Mapping[str, Envelope]
    devices: Mapping[str, Envelope]
    alerts: Sequence[AlertRow]
    incidents: Sequence[Incident]
    all_incidents: Sequence[Incident]
    incident: Incident | None
    first_moves: Mapping[str, Mapping[str, Any]]
    events: Sequence[EventRow]
    notes: Sequence[Note]
    health: Health
    span: tuple[float, float]
    store_kind: str
    now_s: float


def gather(
    store: Store,
    run_id: str,
    *,
    incident_id: str | None = None,
    rules: UserRules,
    now_s: float,
    progress: Progress = lambda done, of: None,
) -> Gathered:
    """Everything about the run, or about one incident of it. rules: the user's. Raises UnknownRun, and SettingsError where no incident has this id."""
    run = store.run(run_id)
    keys = store.keys(run.id)
    alerts = store.alerts(run_id=run.id)
    incidents = group(alerts, now_s=now_s)
    incident = _named(incidents, incident_id) if incident_id is not None else None
    told = [incident] if incident is not None else incidents[:MOST_INCIDENTS]
    drawn = sections(run, keys)
    if incident is not None:
        drawn = _about(incident, drawn)
    span = _span(run, keys, incident)
    charted = [line.key for section in drawn for chart in section.charts for line in chart.lines]
    asked = list(dict.fromkeys([*charted, *error_keys(keys).values()]))
    curves, older = _curves(store, run.id, asked, span if incident is not None else None, progress)
    chosen = keys_read(keys)
    by_key = store.envelope(run.id, list(chosen.values()), n=BUCKETS)
    timed = [key for section in device_sections(run, keys) for key in section.keys]
    return Gathered(
        run=run,
        keys=keys,
        sections=drawn,
        series={signal: by_key[key] for signal, key in chosen.items()},
        limits=rules.margin_limits(run.project),
        curves=curves,
        older=older,
        devices=store.envelope(run.id, timed, n=PLACES, axis="time") if timed else {},
        alerts=alerts,
        incidents=told,
        all_incidents=incidents,
        incident=incident,
        first_moves={one.root.incident: moved for one in told if (moved := by_onset(store, one, run)) is not None},
        events=store.events(run.id, kinds=_TOLD_KINDS),
        notes=store.notes(run.id),
        health=shown_health(run, watched=watching(store, now_s=now_s).alive),
        span=span,
        store_kind=str(store.describe()["kind"]),
        now_s=now_s,
    )


def _named(incidents: Sequence[Incident], wanted: str) -> Incident:
    """The incident with this id, or the one that holds the alert of this id, or the only one with an alert of this rule."""
    for found in (
        [one for one in incidents if one.root.incident == wanted or wanted in {alert.id for alert in one.alerts}],
        [one for one in incidents if wanted in {alert.rule for alert in one.alerts}],
    ):
        if len(found) == 1:
            return found[0]
        if found:
            break
    listed = ", ".join(f"{one.root.incident} ({title_of(one.root)})" for one in incidents[:5])
    several = "several incidents have it; " if len(found) > 1 else ""
    raise SettingsError(
        f"--incident: expected the id of an incident or alert of this run, or a rule's name, got {wanted!r}; {several}"
        + (f"the run has {listed}" if incidents else "no alert of this run has fired")
    )


def _about(incident: Incident, drawn: Sequence[Section]) -> list[Section]:
    """The sections with those charts alone on which an alert of the incident lies; the loss where there is none."""

    def kept(chart: Chart) -> bool:
        return bool(families.about(chart.signals, incident.alerts))

    found = [replace(one, charts=tuple(filter(kept, one.charts)), missing="") for one in drawn]
    if not any(section.charts for section in found):
        found = [replace(one, charts=tuple(c for c in one.charts if "loss" in c.signals), missing="") for one in drawn]
    return [section for section in found if section.charts]


def _span(run: RunInfo, keys: Mapping[str, Latest], incident: Incident | None) -> tuple[float, float]:
    """The steps that the charts show: all of the run, or those around the incident."""
    last = float(max((latest.step for latest in keys.values()), default=run.last_step or 0))
    if incident is None:
        return 0.0, last
    began = [alert.onset_step for alert in incident.alerts if alert.onset_step is not None]
    if not began:
        return 0.0, last
    ended = [alert.resolved_step if alert.state == "resolved" else last for alert in incident.alerts]
    first, stop = float(min(began)), float(max([step for step in ended if step is not None], default=last))
    room = max(_LEAST_AROUND, _AROUND * (stop - first))
    return max(0.0, first - room), min(last, stop + room)


def _curves(
    store: Store, run_id: str, keys: Sequence[str], span: tuple[float, float] | None, progress: Progress
) -> tuple[dict[str, Envelope], dict[str, Envelope]]:
    """Envelopes of the series over the span or over all, and of what was superseded. A few at a time, so that progress shows."""
    start, stop = span if span is not None else (None, None)
    curves: dict[str, Envelope] = {}
    older: dict[str, Envelope] = {}
    at_once = 8
    for first in range(0, len(keys), at_once):
        part = keys[first : first + at_once]
        drawn = store.drawn(run_id, part, n=PLACES, start=start, stop=stop)
        curves |= drawn.envelopes
        if drawn.rewound:
            older |= store.envelope(
                run_id, sorted(drawn.rewound), n=PLACES, start=start, stop=stop, generation="superseded"
            )
        progress(min(first + at_once, len(keys)), len(keys))
    return curves, older
