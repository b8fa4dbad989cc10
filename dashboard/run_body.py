"""What a run's page holds: the frame (sections and charts, which seldom change) and the words (numbers, verdicts, marks)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runvitals.dashboard import families
from runvitals.dashboard.incidents import Incident, group
from runvitals.dashboard.live_charts import Want
from runvitals.dashboard.panel_json import chart_json, error_keys
from runvitals.dashboard.panel_others import OTHERS_A_PART
from runvitals.dashboard.panels import ON_POLICY, OTHERS, PINNED, Section
from runvitals.dashboard.rate_changes import rate_changes
from runvitals.dashboard.run_devices import device_sections
from runvitals.dashboard.run_facts import beside_json, facts, incident_json
from runvitals.dashboard.run_map import Measure, measures
from runvitals.dashboard.signal_keys import picks
from runvitals.dashboard.verdicts import SectionWords, agreed, chart_sentence, section_words, title_of
from runvitals.diagnostics.margin import MarginLimits
from runvitals.store.types import LIVE, AlertRow, Envelope, EventRow, Health, Latest, RunInfo

CLOCK_SIGNALS = ("loss", "learning_rate", "grad_norm", "reward", "step_time_s", "reward_margin")
"""Signals that say which step was at which time; of a run that logs none of them, any series that has steps does."""

_CHIPS = (("beta", "beta"), ("kl_coef", "kl_coef"), ("learning_rate", "lr"), ("num_processes", "processes"))
MOST_MARKS = 200
"""Checkpoints and evaluations drawn on the axes; beyond it they would be a line."""


def clock_key(keys: Mapping[str, Latest]) -> str:
    """The series that says which step was at which time: the densest of those that every step logs."""
    best = picks(keys)
    found = [best[signal] for signal in CLOCK_SIGNALS if signal in best]
    stepped = found or [key for key, latest in keys.items() if latest.step >= 0]
    return max(stepped, key=lambda key: keys[key].count, default="")


def wants(run: RunInfo, keys: Mapping[str, Latest], drawn: Sequence[Section]) -> list[Want]:
    """All series that the page needs: charts, devices, the clock and the tokens axis."""
    charted = [line.key for section in drawn for chart in section.charts for line in chart.lines]
    timed = [key for section in device_sections(run, keys) for key in section.keys]
    extra = [key for key in (clock_key(keys), picks(keys).get("tokens"), *error_keys(keys).values()) if key]
    names = list(dict.fromkeys([*charted, *extra, *timed]))
    return [
        Want(id=key, run_id=run.id, key=key, timed=keys[key].step < 0, zero_s=run.created_s)
        for key in names
        if key in keys
    ]


def frame(
    run: RunInfo,
    keys: Mapping[str, Latest],
    drawn: Sequence[Section],
    incident: Incident | None,
    *,
    said: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """The page's frame: head, sections and charts. said: sections of what the policy said, after the training's own."""
    tokens = picks(keys).get("tokens")
    others = [_section_json(section, run, keys) for section in drawn if section.id == OTHERS]
    drawn = [section for section in drawn if section.id != OTHERS]
    sections = [_section_json(section, run, keys) for section in drawn]
    if run.trainer in ON_POLICY and incident is not None and len(incident.alerts) > 1:
        _place_onset(sections)
    devices = [section.json() for section in device_sections(run, keys)]
    mapped = [_map_json(measures(tuple(keys)))] if measures(tuple(keys)) else []
    sections += [*said, *devices[:1], *mapped, *devices[1:], *others]
    sections = sections or [_nothing_yet(run)]
    return {
        "page": "run",
        "head": {
            "id": run.id,
            "name": run.name,
            "color": run.color,
            "chips": _chips(run),
            "live": run.status in LIVE,
            "axes": ["step", "time", *(["tokens"] if tokens else [])],
            "signals": len(keys),
        },
        "clocks": {
            "run": {"steps": clock_key(keys), "tokens": tokens, "start_s": run.created_s, "total": run.max_steps}
        },
        "sections": sections,
        "foot": _foot(),
    }


def _section_json(section: Section, run: RunInfo, keys: Mapping[str, Latest]) -> dict[str, Any]:
    blocks = [chart_json(chart, run, keys) for chart in section.charts]
    if section.missing:
        blocks = [
            {"id": f"{section.id}-missing", "kind": "note", "title": "Not logged", "text": section.missing, "span": 12}
        ]
    if section.id == PINNED and not section.charts:
        blocks = [{"id": "pinned-none", "kind": "note", "title": "Not logged", "text": section.sentence, "span": 12}]
    fold = None
    if section.folds:
        part = {"found": section.found, "first": section.first, "size": OTHERS_A_PART}
        fold = {"count": section.folds, "open": not section.folded, **part}
    return {"id": section.id, "title": section.title, "sentence": section.sentence, "fold": fold, "blocks": blocks}


def _nothing_yet(run: RunInfo) -> dict[str, Any]:
    """What stands in place of the sections of a run without a row."""
    live = run.status in LIVE
    said = (
        "Its curves show here by themselves, seconds after its first step."
        if live
        else "It ended before its first row."
    )
    block = {"id": "nothing", "kind": "note", "title": "No row yet" if live else "No rows", "text": said, "span": 12}
    return {"id": "nothing", "title": "", "sentence": "", "fold": None, "blocks": [block]}


def _map_json(choices: Sequence[Measure]) -> dict[str, Any]:
    """The map's place; what it shows comes apart from the frame."""
    named = {"device": "Devices", "rank": "Ranks", "host": "Hosts"}
    kinds = list(dict.fromkeys(named[measure.of] for measure in choices))
    title = (" and ".join([", ".join(kinds[:-1]), kinds[-1]]) if len(kinds) > 1 else kinds[0]).capitalize()
    listed = [{"id": measure.id, "of": named[measure.of], "title": measure.title} for measure in choices]
    block = {"id": "map", "kind": "map", "span": 12, "choices": listed, "rows": max(len(one.rows) for one in choices)}
    return {"id": "map", "title": title, "blocks": [block]}


def _place_onset(sections: list[dict[str, Any]]) -> None:
    """Puts the incident's bars beside the held-out margin where there is room, else in a section of their own."""
    onset = {"id": "onset", "kind": "onset", "title": "Incident by onset"}
    onset["sentence"] = "the earliest is the root; later ones follow from it"
    probe = next((section for section in sections if section["id"] == "probe"), None)
    if probe is None or len(probe["blocks"]) > 2:
        sections.insert(min(1, len(sections)), {"id": "incident", "title": "", "blocks": [onset | {"span": 12}]})
        return
    span = 12 // (len(probe["blocks"]) + 1)
    probe["blocks"] = [block | {"span": span} for block in (*probe["blocks"], onset)]


def _chips(run: RunInfo) -> list[str]:
    chips = [run.trainer.upper()] if run.trainer and run.trainer != "custom" else []
    for name, label in _CHIPS:
        value = run.config.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            chips.append(f"{label} {value!r}".replace("e-0", "e-"))
    return chips[:4]


def _foot() -> list[dict[str, str]]:
    return [
        {"mark": "critical", "text": "alert fires"},
        {"mark": "holding", "text": "holding"},
        {"mark": "firing", "text": "firing"},
        {"mark": "▵", "text": "eval"},
        {"mark": "▪", "text": "checkpoint"},
        {"mark": "⋈", "text": "learning rate changed"},
        {"mark": "↻", "text": "resume"},
        {"mark": "×", "text": "not a number"},
    ]


def words(
    run: RunInfo,
    drawn: Sequence[Section],
    *,
    series: Mapping[str, Envelope],
    alerts: Sequence[AlertRow],
    events: Sequence[EventRow],
    health: Health,
    limits: MarginLimits | None = None,
    now_s: float,
) -> dict[str, Any]:
    """What the page says now. limits: what the verdict on the margin is made by, ours where None."""
    incidents = group(alerts, now_s=now_s)
    incident = main_incident(incidents)
    shown = incident if incident and incident.state != "resolved" and incident.severity != "info" else None
    said = section_words(run, series, limits)
    return {
        "facts": facts(run, series, health=health, incidents=incidents, now_s=now_s),
        "incident": incident_json(shown, now_s=now_s) if shown else None,
        "beside": beside_json(incidents, shown),
        "sections": {
            section.id: agreed(said.get(section.id, SectionWords()), section, alerts).json()
            for section in drawn
            if section.id not in (OTHERS, PINNED)
        },
        "charts": {
            chart.id: {
                "verdict": chart_sentence(chart.lines[0].signals[0], series.get(chart.lines[0].signals[0])),
                "alerts": _chart_alerts(chart.signals, section, alerts),
                "note": _note(chart.signals, alerts),
            }
            for section in drawn
            for chart in section.charts
        },
        "blocks": {"onset": {"alerts": [_bar(alert) for alert in incident.alerts], "last_step": run.last_step or 1}}
        if incident
        else {},
        "marks": _marks(events, series.get("learning_rate")),
    }


def main_incident(incidents: Sequence[Incident]) -> Incident | None:
    """The incident that the page is about: the worst that is not resolved, else the newest."""
    going = [incident for incident in incidents if incident.state != "resolved" and incident.severity != "info"]
    return going[0] if going else (incidents[0] if incidents else None)


def _chart_alerts(signals: Sequence[str], section: Section, alerts: Sequence[AlertRow]) -> list[dict[str, Any]]:
    """Alerts on the chart's own curves with their tint; without any, the lines of the section's first one."""
    seen = families.shown(alerts)
    own = families.about(signals, seen)
    if own or section.id in (OTHERS, PINNED):
        # Alerts of the same steps look the same: one tint, not one upon the other.
        drawn = [_alert_json(alert, own=True) for alert in own]
        return [one for at, one in enumerate(drawn) if one not in drawn[:at]]
    beside = [alert for alert in families.about(section.signals, seen) if alert.fired_s is not None]
    beside.sort(key=lambda alert: alert.onset_s)
    return [_alert_json(alert, own=False) for alert in beside[:1]]


def _alert_json(alert: AlertRow, *, own: bool) -> dict[str, Any]:
    return {
        "severity": alert.severity,
        "onset_step": alert.onset_step,
        "fired_step": alert.fired_step,
        "resolved_step": alert.resolved_step,
        "acknowledged": alert.acknowledged_s is not None,
        "own": own,
    }


def _bar(alert: AlertRow) -> dict[str, Any]:
    return _alert_json(alert, own=True) | {"id": alert.id, "title": title_of(alert)}


def _note(signals: Sequence[str], alerts: Sequence[AlertRow]) -> str:
    """Says since when the log hides NaN behind the mean of what was left."""
    hiding = [alert for alert in alerts if alert.rule == "masked_nan" and alert.fired_s is not None]
    if not hiding or "loss" not in signals:
        return ""
    return f"the log hides NaN since {hiding[0].onset_step}"


def _marks(events: Sequence[EventRow], rate: Envelope | None) -> dict[str, Any]:
    steps: dict[str, list[int]] = {"checkpoint": [], "eval": []}
    resumes = []
    for event in events:
        if event.step is not None and event.kind in steps:
            steps[event.kind].append(event.step)
        elif event.kind == "resume":
            came_from = event.data.get("from_step")
            step = event.step if event.step is not None else came_from
            if isinstance(step, int):
                resumes.append({"step": step, "from": came_from})
    return {
        "checkpoints": sorted(set(steps["checkpoint"]))[-MOST_MARKS:],
        "evals": sorted(set(steps["eval"]))[-MOST_MARKS:],
        "rates": rate_changes(rate)[-MOST_MARKS:] if rate is not None else [],
        "resumes": resumes[-20:],
    }
