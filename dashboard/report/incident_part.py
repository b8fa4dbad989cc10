"""An incident in a report: what moved first, each alert with its frozen evidence, causes, remedies, and what people did."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from runvitals.dashboard.formatter import count, number, signed
from runvitals.dashboard.incidents import Incident
from runvitals.dashboard.report.charts_part import file_word
from runvitals.dashboard.report.document import (
    Block,
    Bold,
    Code,
    Figure,
    Figures,
    Heading,
    Items,
    Link,
    Mark,
    Paragraph,
    Piece,
    Pieces,
    Quiet,
    Table,
)
from runvitals.dashboard.report.moment import moment
from runvitals.dashboard.report.svg_chart import Curve, Plan, draw
from runvitals.dashboard.signal_facts import value_kind
from runvitals.dashboard.tokens import SERIES
from runvitals.dashboard.verdicts import title_of
from runvitals.diagnostics.signals import SIGNALS
from runvitals.store.levels import kinds_of
from runvitals.store.types import AlertRow, Envelope, Floats

_ANSWERS = {"real": "yes, a real fault", "false_alarm": "no, a false alarm", "unsure": "not sure"}
_STATES = {"open": "open", "acknowledged": "acknowledged", "muted": "muted", "resolved": "resolved"}


def incident_part(incident: Incident, moved: Mapping[str, Any] | None, *, color: int, level: int) -> list[Block]:
    """One incident, its root cause first. level: of its heading."""
    root = incident.root
    blocks: list[Block] = [
        Heading(level, [Mark(incident.severity, title_of(root)), " ", Quiet(_STATES[incident.state])]),
        Paragraph([Quiet("Incident "), Code(root.incident)]),
    ]
    if moved is not None and len(moved["rows"]) > 1:
        blocks.append(Paragraph([Bold("What moved first. "), str(moved["sentence"])]))
    if len(incident.alerts) > 1:
        blocks.append(_members(incident))
    shown = [root, *(alert for alert in incident.alerts if alert.id != root.id and alert.fired_s is not None)]
    advised: set[str] = set()
    for alert in shown:
        blocks += _alert(alert, color=color, alone=len(shown) == 1, advise=alert.rule not in advised)
        advised.add(alert.rule)
    return blocks


def _members(incident: Incident) -> Table:
    """All alerts of the incident by onset."""
    rows: list[list[Pieces]] = [
        [
            [Mark(alert.severity, title_of(alert)), *(_root_mark(alert, incident))],
            [Code(alert.rule)],
            [_place(alert.onset_step, alert.onset_s)],
            [_place(alert.fired_step, alert.fired_s)],
            [_place(alert.resolved_step, alert.resolved_s) if alert.state == "resolved" else alert.state],
        ]
        for alert in incident.alerts
    ]
    return Table(("Alert, by onset", "Rule", "Began", "Fired", "Resolved"), rows)


def _root_mark(alert: AlertRow, incident: Incident) -> list[Piece]:
    if alert.id == incident.root.id:
        return [Quiet(" root cause")]
    return [Quiet(" follows from another")] if alert.detail.get("inhibited_by") else []


def _place(step: int | None, time_s: float | None) -> str:
    if time_s is None:
        return "—"
    return f"step {count(step)}, {moment(time_s)}" if step is not None else moment(time_s)


def _alert(alert: AlertRow, *, color: int, alone: bool, advise: bool) -> list[Block]:
    """advise: also causes and remedies, which an earlier alert of the same rule may have told."""
    detail = alert.detail
    blocks: list[Block] = []
    if not alone:
        blocks.append(Heading(3, [Mark(alert.severity, title_of(alert)), " ", Quiet(f"rule {alert.rule}")]))
    sentence = str(detail.get("sentence", ""))
    if sentence:
        blocks.append(Paragraph([sentence]))
    blocks.append(Paragraph([Quiet(_times(alert))]))
    blocks += _evidence(alert, color)
    if advise:
        blocks += _causes(detail.get("causes") or [])
    if advise or alert.ticked:
        blocks += _remedies(alert)
    return [*blocks, *_people(alert)]


def _times(alert: AlertRow) -> str:
    parts = [f"began at {_place(alert.onset_step, alert.onset_s)}"]
    if alert.fired_s is not None:
        parts.append(f"fired at {_place(alert.fired_step, alert.fired_s)}")
    if alert.state == "resolved":
        parts.append(f"resolved at {_place(alert.resolved_step, alert.resolved_s)}")
    return "; ".join([*parts, f"rule {alert.rule} on {alert.signal}"])


def _evidence(alert: AlertRow, color: int) -> list[Block]:
    """The numbers and the curves as they were when the alert fired."""
    evidence = alert.detail.get("evidence") or {}
    blocks: list[Block] = []
    figures = [
        figure
        for at, curve in enumerate(evidence.get("curves") or [])
        if (
            figure := _frozen(
                curve, alert, color=color, name=f"evidence-{file_word(alert.rule)}-{alert.onset_step}-{at}"
            )
        )
    ]
    numbers = evidence.get("numbers") or []
    if numbers or figures:
        window = evidence.get("window") or [None, None]
        frozen = f" frozen at step {count(window[1])}" if isinstance(window[1], (int, float)) else ""
        blocks.append(Paragraph([Bold("Evidence"), Quiet(frozen)]))
    if numbers:
        rows = [[[str(one.get("label", ""))], [_written(one)], [str(one.get("expected", ""))]] for one in numbers]
        blocks.append(Table(("Number", "Value", "Expected"), rows, numeric=frozenset({1})))
    return [*blocks, Figures(figures)] if figures else blocks


def _written(one: Mapping[str, Any]) -> str:
    value, unit = _float(one.get("value")), str(one.get("unit", ""))
    if value is None:
        return "—"
    whole = unit in ("steps", "rows", "runs") and math.isfinite(value) and value == int(value)
    write = signed if unit.startswith("reward") else count if whole else number
    return f"{write(value)} {unit.split(',')[0]}".strip()


def _float(value: Any) -> float | None:
    """The number that JSON holds; NaN and infinities stand there as words."""
    if value is None:
        return None
    try:
        return float(str(value).replace("Infinity", "inf"))
    except ValueError:
        return None


def _frozen(curve: Mapping[str, Any], alert: AlertRow, *, color: int, name: str) -> Figure | None:
    steps = [int(step) for step in curve.get("steps") or []]
    values = np.array([math.nan if (one := _float(value)) is None else one for value in curve.get("values") or []])
    if not steps or len(steps) != len(values):
        return None
    signal = str(curve.get("signal", ""))
    known = SIGNALS.get(signal)
    title = known.title if known is not None else signal
    marked = {
        "severity": alert.severity,
        "onset_step": alert.onset_step,
        "fired_step": alert.fired_step,
        "resolved_step": None,
        "acknowledged": alert.acknowledged_s is not None,
        "own": signal == alert.signal,
    }
    plan = Plan(
        curves=[Curve(label="", color=SERIES[color % len(SERIES)], envelope=_exact(steps, values))],
        kind=value_kind(signal),
        log=bool(known and known.log_scale),
        alerts=[marked],
        span=(steps[0], max(steps[-1], steps[0] + 1)),
    )
    says = f"{title} as frozen when the alert fired, steps {count(steps[0])} to {count(steps[-1])}"
    drawing = draw(plan, says=says)
    unit = known.unit if known is not None else ""
    return Figure(name=name, title=title, unit=unit, svg=drawing.svg, says=says, caption=drawing.caption)


def _exact(steps: Sequence[int], values: Floats) -> Envelope:
    """Single points as an envelope."""
    lost = ~np.isfinite(values)
    mean = np.where(lost, np.nan, values)
    at = np.array(steps, np.int64)
    ones = np.ones(len(at), np.int64)
    return Envelope(
        x=at.astype(np.float64),
        steps=at,
        times_s=at.astype(np.float64),
        low=mean,
        high=mean,
        mean=mean,
        last=mean,
        count=ones,
        nonfinite=lost.astype(np.int64),
        kinds=kinds_of(values).astype(np.uint8),
        exact=True,
    )


def _causes(causes: Sequence[Mapping[str, Any]]) -> list[Block]:
    if not causes:
        return []
    rows: list[list[Piece]] = []
    for cause in causes:
        likelihood = str(cause.get("likelihood", ""))
        because = str(cause.get("because", ""))
        rows.append([str(cause.get("text", "")), Quiet(f" ({likelihood})") if likelihood else ""])
        if because:
            rows[-1].append(Quiet(f" {because}"))
    return [Paragraph([Bold("Likely causes")]), Items(rows)]


def _remedies(alert: AlertRow) -> list[Block]:
    remedies = alert.detail.get("remedies") or []
    if not remedies:
        return []
    rows: list[list[Piece]] = []
    for remedy in remedies:
        rows.append([str(remedy.get("text", ""))])
        if remedy.get("detail"):
            rows[-1].append(Quiet(f" {remedy['detail']}"))
        if remedy.get("source"):
            rows[-1] += [" ", Link(str(remedy["source"]), str(remedy.get("url") or ""))]
    ticked = [at in alert.ticked for at in range(len(rows))]
    done = f" {count(sum(ticked))} of {count(len(rows))} done"
    return [Paragraph([Bold("What to do"), Quiet(done)]), Items(rows, ticked)]


def _people(alert: AlertRow) -> list[Block]:
    """Acknowledgement, mute, answer and history."""
    rows: list[list[Piece]] = []
    if alert.acknowledged_s is not None:
        by = f" by {alert.acknowledged_by}" if alert.acknowledged_by else ""
        note = f": {alert.acknowledged_note}" if alert.acknowledged_note else ""
        rows.append([f"acknowledged {moment(alert.acknowledged_s)}{by}{note}"])
    if alert.muted_until_s is not None:
        rows.append([f"muted until {moment(alert.muted_until_s)}"])
    if alert.feedback:
        rows.append([f"Was this right? {_ANSWERS.get(alert.feedback, alert.feedback)}"])
    for entry in alert.history:
        at = entry.get("time_s")
        rows.append([Quiet(f"{moment(at)} " if isinstance(at, (int, float)) else ""), str(entry.get("text", ""))])
    return [Paragraph([Bold("History")]), Items(rows)] if rows else []
