"""The charts of a report: the same sections, curves and verdicts as on the run's page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from runvitals.dashboard import families
from runvitals.dashboard.formatter import count
from runvitals.dashboard.panel_json import chart_json
from runvitals.dashboard.panel_plans import Chart
from runvitals.dashboard.panels import OTHERS, Section
from runvitals.dashboard.report.document import Block, Figure, Figures, Heading, Mark, Paragraph, Quiet
from runvitals.dashboard.report.gather import Gathered
from runvitals.dashboard.report.svg_chart import Curve, Plan, draw
from runvitals.dashboard.tokens import DASHES
from runvitals.dashboard.verdicts import NEUTRAL, SectionWords, agreed, chart_sentence, section_words
from runvitals.store.types import AlertRow, Envelope, Floats

SIGNS = {"checkpoint": "▪", "eval": "▵", "resume": "↻"}


def charts_part(found: Gathered) -> list[Block]:
    """The sections with their verdicts in words and their charts."""
    if not found.keys:
        return [Heading(2, ["Curves"]), Paragraph(["The run has logged nothing yet."])]
    blocks: list[Block] = [Heading(2, ["Curves"]), Paragraph([Quiet(_intro(found))])]
    said = section_words(found.run, found.series, found.limits)
    for section in found.sections:
        words = agreed(said.get(section.id, SectionWords()), section, found.alerts)
        blocks += _section(section, words, found)
    return [*blocks, Paragraph([Quiet(_KEY)])]


def _intro(found: Gathered) -> str:
    first, last = found.span
    most = max((int(one.count.max()) for one in found.curves.values() if one.count.size), default=1)
    where = f"Steps {count(first)} to {count(last)}, around the incident. " if found.incident is not None else ""
    places = (
        f"Each place of a curve is the mean of up to {count(most)} values; the band spans their smallest and largest."
    )
    return where + (places if most > 1 else "Every value is drawn.")


_KEY = (
    "Dotted line: the condition began; solid line with ◆ or ▲: the alert fired; tinted: it held, then fired. "
    "▵ evaluation, ▪ checkpoint, ↻ resume, × not a number, ○ value of an evaluation."
)


def _section(section: Section, words: SectionWords, found: Gathered) -> list[Block]:
    heading: list[Any] = [section.title]
    if words.severity and words.severity != NEUTRAL:
        heading += ["  ", Mark(words.severity, words.word)]
    elif words.word:
        heading += ["  ", Quiet(words.word)]
    blocks: list[Block] = [Heading(3, heading)]
    if words.sentence:
        blocks.append(Paragraph([words.sentence]))
    if section.missing:
        blocks.append(Paragraph([Quiet(f"Not logged. {section.missing}")]))
    figures = [figure for chart in section.charts if (figure := _figure(chart, section, found)) is not None]
    return [*blocks, Figures(figures)] if figures else blocks


def _figure(chart: Chart, section: Section, found: Gathered) -> Figure | None:
    spec = chart_json(chart, found.run, found.keys)
    curves: list[Curve] = []
    for line in spec["series"]:
        if line["id"] in found.curves:
            curves.append(_told_apart(_curve(line, found, stack=spec["stack"]), curves))
    if not curves:
        return None
    plan = Plan(
        curves=curves,
        kind=spec["values"],
        log=spec["log"],
        references=[(one["value"], f"{one['label']} {one['text']}".strip()) for one in spec["references"]],
        alerts=[_alert(alert, own=own) for alert, own in _alerts(chart.signals, section, found.alerts)],
        marks={sign: _steps(found, kind) for kind, sign in SIGNS.items()},
        span=found.span,
    )
    signal = chart.lines[0].signals[0]
    sentence = chart_sentence(signal, _envelope(found, chart.lines[0].key))
    drawing = draw(plan, says=f"{spec['title']}: {sentence}")
    key = ", ".join(curve.label for curve in curves if curve.label)
    return Figure(
        name=f"{section.id}-{file_word(chart.id)}",
        title=spec["title"],
        unit=spec["unit"],
        svg=drawing.svg,
        says=f"{spec['title']}: {sentence}",
        caption="; ".join(part for part in (_key(curves) if key else "", sentence, drawing.caption) if part),
    )


def file_word(name: str) -> str:
    """A name as a part of a file's name: letters, digits, dot, dash and underscore, at most 60, never empty nor hidden."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:60].strip("-.") or "unnamed"


def _envelope(found: Gathered, key: str) -> Envelope | None:
    return found.curves.get(key)


def _curve(line: dict[str, Any], found: Gathered, *, stack: bool) -> Curve:
    # The parts of a step are stacked on the page; here each stands as it was logged, and the total is the whole step.
    label = "whole step" if stack and line.get("total") else line["label"]
    return Curve(
        label=label if label != "now" else "",
        color=line["color"],
        envelope=found.curves[line["id"]],
        older=found.older.get(line["id"]),
        error=_error(line.get("error"), found.curves[line["id"]], found),
        dash=line["dash"],
        rings=line["style"] == "rings",
    )


def _error(key: str | None, envelope: Envelope, found: Gathered) -> Floats | None:
    """The standard error at the places of the envelope; None where none was logged."""
    logged = found.curves.get(key or "")
    if logged is None or not np.isfinite(logged.mean).any():
        return None
    known = np.isfinite(logged.mean)
    return np.interp(envelope.x, logged.x[known], logged.mean[known])


def _told_apart(curve: Curve, before: Sequence[Curve]) -> Curve:
    """The curve, dotted where its run happens to have the colour of another line on the chart."""
    alike = any((one.color, one.dash) == (curve.color, curve.dash) and not one.rings for one in before)
    return replace(curve, dash=DASHES[-1]) if alike and not curve.rings else curve


def _key(curves: Sequence[Curve]) -> str:
    """Which curve is which, in words: colour alone tells nobody on paper."""
    looks = dict(zip(DASHES, ("solid", "dashed", "dotted"), strict=True))
    return ", ".join(
        f"{curve.label} {'rings' if curve.rings else looks.get(curve.dash, 'dashed')}"
        for curve in curves
        if curve.label
    )


def _alerts(signals: Sequence[str], section: Section, alerts: Sequence[AlertRow]) -> list[tuple[AlertRow, bool]]:
    """Alerts on the chart's own curves; without any, the first of the section's, which lends its lines but no tint."""
    shown = [alert for alert in families.shown(alerts) if alert.fired_s is not None]
    own = families.about(signals, shown)
    if own or section.id == OTHERS:
        return [(alert, True) for alert in own]
    beside = sorted(families.about(section.signals, shown), key=lambda alert: alert.onset_s)
    return [(alert, False) for alert in beside[:1]]


def _alert(alert: AlertRow, *, own: bool) -> dict[str, Any]:
    return {
        "severity": alert.severity,
        "onset_step": alert.onset_step,
        "fired_step": alert.fired_step,
        "resolved_step": alert.resolved_step if alert.state == "resolved" else None,
        "acknowledged": alert.acknowledged_s is not None,
        "own": own,
    }


def _steps(found: Gathered, kind: str) -> list[int]:
    return sorted({event.step for event in found.events if event.kind == kind and event.step is not None})
