"""Draws one chart as SVG from envelopes: curves with their bands, NaN as marks, alerts, references, what happened on the step axis.

Colours come from classes of `chart.css`, so that one picture fits a light page, a dark one and paper. All text is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np

from runvitals.dashboard.formatter import count, number
from runvitals.dashboard.report.axis import Scale, log_ticks, tick_texts, ticks
from runvitals.dashboard.report.plain import plain
from runvitals.dashboard.tokens import SEVERITIES
from runvitals.store.types import Envelope, Floats

WIDTH, HEIGHT = 400, 190
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 20, 24
MOST_MARKS = 24
"""Crosses, carets and signs of one kind on a chart; of more, every so many-th is drawn, and the caption counts all."""

_NORMAL_95 = 1.96
_CLIP_AT = 12.0
"""The whole span of values may be this many times that of the middle 98 % before the rest is cut off at the edges."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One series. rings: evaluations, points without a line. older: what a later generation of its steps has superseded.

    error: the standard error of each place of the envelope, of which a band of 95 % is drawn.
    """

    label: str
    color: str
    envelope: Envelope
    older: Envelope | None = None
    error: Floats | None = None
    dash: str = "solid"
    rings: bool = False

    @property
    def band(self) -> tuple[Floats, Floats] | None:
        """Lower and upper edge of the band around the line, None without one."""
        if self.error is not None:
            return self.envelope.mean - _NORMAL_95 * self.error, self.envelope.mean + _NORMAL_95 * self.error
        return None if self.envelope.exact else (self.envelope.low, self.envelope.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a chart shows. alerts: {severity, onset_step, fired_step, resolved_step, acknowledged, own}; marks: sign → steps.

    references: (value, label). span: first and last step of the axis. kind: how numbers are written.
    """

    curves: Sequence[Curve]
    kind: str = "plain"
    log: bool = False
    references: Sequence[tuple[float, str]] = ()
    alerts: Sequence[Mapping[str, Any]] = ()
    marks: Mapping[str, Sequence[int]] = field(default_factory=dict)
    span: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Drawing:
    """The `<svg>` element, and what the picture cannot say by itself."""

    svg: str
    caption: str


def draw(plan: Plan, *, says: str) -> Drawing:
    """The chart. says: its content in words, for those who do not see it."""
    low, high, beyond = value_range(plan)
    log = plan.log and low > 0
    y = Scale(low=low, high=high, start=HEIGHT - BOTTOM, stop=TOP, log=log)
    first, last = plan.span
    x = Scale(low=first, high=max(last, first + 1), start=LEFT, stop=WIDTH - RIGHT)
    parts = [
        *_tints(plan, x),
        *_grid(plan, x, y, log_ticks(low, high) if log else ticks(low, high, 4)),
        *_references(plan, y),
        *(part for curve in plan.curves for part in _curve(curve, x, y)),
        *_not_numbers(plan, x),
        *_alert_lines(plan, x),
        *_signs(plan, x),
    ]
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(plain(says))}"><g>{"".join(parts)}</g></svg>'
    )
    return Drawing(svg, _caption(plan, beyond, log=log))


def value_range(plan: Plan) -> tuple[float, float, list[float]]:
    """Lowest and highest value of the axis, and the values that lie beyond because they would flatten all else."""
    finite = [
        column[np.isfinite(column)] for curve in plan.curves for column in (curve.envelope.low, curve.envelope.high)
    ]
    values = np.concatenate([np.empty(0), *finite])
    if plan.log and (values > 0).any():
        values = values[values > 0]
    if not values.size:
        return 0.0, 1.0, []
    low, high = float(values.min()), float(values.max())
    beyond: list[float] = []
    if not plan.log and values.size >= 50:
        inner_low, inner_high = (float(one) for one in np.quantile(values, [0.01, 0.99]))
        inner = inner_high - inner_low
        if inner > 0 and high / 2 - low / 2 > _CLIP_AT * (inner / 2):
            low, high = max(low, inner_low - inner), min(high, inner_high + inner)
            beyond = [float(value) for value in (values.min(), values.max()) if not low <= value <= high]
    near = [value for value, _ in plan.references if low - 0.5 * (high - low) <= value <= high + 0.5 * (high - low)]
    low, high = min([low, *near]), max([high, *near])
    if plan.log and low > 0:
        return (low / 1.15, high * 1.15, beyond) if high > low else (low / 2, high * 2, beyond)
    # A span that floats can hardly tell from none is none.
    flat = high / 2 - low / 2 <= max(1e-290, 1e-13 * max(abs(low), abs(high)))
    room = max(abs(high) * 0.1, 0.05) if flat else (high - low) * 0.06
    if not math.isfinite(room):
        room = 0.0
    return low - room, high + room, beyond


def _grid(plan: Plan, x: Scale, y: Scale, at: Sequence[float]) -> Iterator[str]:
    for tick, text in zip(at, tick_texts(at, plan.kind), strict=True):
        place = y(tick)
        yield f'<path class="grid" d="M{LEFT} {place:.1f}H{WIDTH - RIGHT}"/>'
        yield f'<text x="{LEFT - 6}" y="{place + 3.5:.1f}" text-anchor="end">{escape(text)}</text>'
    yield f'<path class="axis" d="M{LEFT} {HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>'
    steps = [step for step in ticks(x.low, x.high, 5) if step == int(step)]
    for step in steps:
        # The first and the last label would stick out of the picture.
        anchor = "start" if x(step) < LEFT + 12 else "end" if x(step) > WIDTH - RIGHT - 20 else "middle"
        yield f'<text x="{x(step):.1f}" y="{HEIGHT - 7}" text-anchor="{anchor}">{escape(count(step))}</text>'


def _references(plan: Plan, y: Scale) -> Iterator[str]:
    for value, label in plan.references:
        if y.low <= value <= y.high:
            place = y(value)
            yield f'<path class="reference" d="M{LEFT} {place:.1f}H{WIDTH - RIGHT}"/>'
            yield f'<text x="{WIDTH - RIGHT - 2}" y="{place - 3:.1f}" text-anchor="end">{escape(plain(label, most=40))}</text>'


def _curve(curve: Curve, x: Scale, y: Scale) -> Iterator[str]:
    if curve.older is not None and curve.older.x.size:
        yield from _lines(_pieces(curve.older.x, curve.older.mean, x, y), 'class="older"')
    envelope, color = curve.envelope, escape(curve.color)
    if curve.rings:
        for step, value in zip(envelope.x.tolist(), envelope.mean.tolist(), strict=True):
            if math.isfinite(value):
                yield f'<circle class="ring" cx="{x(step):.1f}" cy="{y(value):.1f}" r="3" stroke="{color}"/>'
        return
    if curve.band is not None:
        edges = [_pieces(envelope.x, edge, x, y) for edge in curve.band]
        for low, high in zip(*edges, strict=True):
            yield f'<path class="band" fill="{color}" d="M{" ".join([*low, *reversed(high)])}Z"/>'
    dash = f' stroke-dasharray="{escape(curve.dash.replace("px", ""))}"' if curve.dash != "solid" else ""
    yield from _lines(_pieces(envelope.x, envelope.mean, x, y), f'class="line" stroke="{color}"{dash}', dot=color)


def _pieces(xs: Floats, values: Floats, x: Scale, y: Scale) -> list[list[str]]:
    """Points of each unbroken stretch: a curve breaks where a value is no number, and is never bridged."""
    pieces: list[list[str]] = [[]]
    for at, value in zip(xs.tolist(), values.tolist(), strict=True):
        if math.isfinite(value):
            pieces[-1].append(f"{x(at):.1f},{y(value):.1f}")
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if piece]


def _lines(pieces: Iterable[Sequence[str]], attributes: str, *, dot: str | None = None) -> Iterator[str]:
    for piece in pieces:
        if len(piece) == 1 and dot is not None:
            at, value = piece[0].split(",")
            yield f'<circle cx="{at}" cy="{value}" r="2" fill="{dot}"/>'
        else:
            yield f'<path {attributes} d="M{" ".join(piece)}"/>'


def _thinned(steps: Sequence[float]) -> Sequence[float]:
    return steps[:: max(1, math.ceil(len(steps) / MOST_MARKS))]


def _not_numbers(plan: Plan, x: Scale) -> Iterator[str]:
    for curve in plan.curves:
        envelope = curve.envelope
        for step in _thinned(envelope.x[envelope.nonfinite > 0].tolist()):
            yield f'<path class="cross critical" d="M{x(step) - 4:.1f} {TOP + 2}l8 8m0-8l-8 8"/>'


def _tints(plan: Plan, x: Scale) -> Iterator[str]:
    for alert in plan.alerts:
        onset, fired = alert["onset_step"], alert["fired_step"]
        if onset is None or not alert["own"]:
            continue
        until = alert["resolved_step"] if alert["resolved_step"] is not None else x.high
        stretches = [(onset, until if fired is None else fired, "holding")]
        stretches += [(fired, until, "firing")] if fired is not None else []
        for start, stop, name in stretches:
            width = x(stop) - x(start)
            if width > 0:
                box = f'x="{x(start):.1f}" y="{TOP}" width="{width:.1f}" height="{HEIGHT - TOP - BOTTOM}"'
                yield f'<rect class="{name} {_severity(alert)}" {box}/>'


def _alert_lines(plan: Plan, x: Scale) -> Iterator[str]:
    for alert in plan.alerts:
        for step, name in ((alert["onset_step"], "onset"), (alert["fired_step"], "fired")):
            if step is None or not x.low <= step <= x.high:
                continue
            yield f'<path class="{name} {_severity(alert)}" d="M{x(step):.1f} {TOP}V{HEIGHT - BOTTOM}"/>'
            if name == "fired":
                hollow = " hollow" if alert["acknowledged"] else ""
                shape = SEVERITIES[_severity(alert)].shape
                yield f'<text class="shape {_severity(alert)}{hollow}" x="{x(step):.1f}" y="{TOP - 6}" text-anchor="middle">{shape}</text>'


def _severity(alert: Mapping[str, Any]) -> str:
    severity = str(alert["severity"])
    return severity if severity in SEVERITIES else "unknown"


def _signs(plan: Plan, x: Scale) -> Iterator[str]:
    for sign, steps in plan.marks.items():
        inside = [step for step in steps if x.low <= step <= x.high]
        for step in _thinned(inside):
            if sign == "↻":
                yield f'<path class="reference" d="M{x(step):.1f} {TOP}V{HEIGHT - BOTTOM}"/>'
                yield f'<text x="{x(step):.1f}" y="{TOP - 6}" text-anchor="middle">↻</text>'
            else:
                yield f'<text class="sign" x="{x(step):.1f}" y="{HEIGHT - BOTTOM + 4}" text-anchor="middle">{sign}</text>'


def _caption(plan: Plan, beyond: Sequence[float], *, log: bool) -> str:
    """What the picture cannot say: how much is no number, what lies beyond the axis, what the grey is."""
    words = []
    lost = sum(int(curve.envelope.nonfinite.sum()) for curve in plan.curves)
    if lost:
        words.append(f"× {count(lost)} value{'s are' if lost > 1 else ' is'} not a number")
    if beyond:
        words.append(f"beyond the axis: {' and '.join(number(value) for value in beyond)}")
    if log and any(bool((curve.envelope.low <= 0).any()) for curve in plan.curves):
        words.append("values of 0 and below stand at the lower edge")
    if any(curve.older is not None and curve.older.x.size for curve in plan.curves):
        words.append("grey: superseded by later steps")
    return "; ".join(words)
