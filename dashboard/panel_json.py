"""Charts of a run's page as the component takes them: names, colours, reference lines, and what each metric means."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from runvitals.dashboard.formatter import number
from runvitals.dashboard.panel_plans import OWN, SELDOM, Chart, Line
from runvitals.dashboard.signal_facts import about, value_kind
from runvitals.dashboard.signal_keys import picks
from runvitals.dashboard.tokens import ROLES, SERIES
from runvitals.diagnostics.signals import SIGNALS, Reference
from runvitals.store.types import Latest, RunInfo

_SETTINGS_LINES: dict[str, tuple[tuple[str, ...], str]] = {
    "grad_norm": (("max_grad_norm",), "clip"),
    "sequence_kl": (("target_kl", "kl_target", "target"), "target"),
    "kl": (("target_kl", "kl_target", "target"), "target"),
    "completion_length": (("max_completion_length", "response_length", "max_new_tokens"), "limit"),
}
"""Signal → settings of the run that draw a line on its chart, and what the line is called."""

_PENALTIES = {"ppo": ("kl_coef", "init_kl_coef"), "grpo": ("beta",), "rloo": ("beta", "kl_coef")}
"""Trainer → the setting that holds the policy near its reference."""

_KEY_LINE_PX = 20
_KEY_PX = 290
"""Room for a key on a chart of a quarter of the page at 1440 px."""

_VALUE_LETTERS = {"signed": 7, "percent": 4, "rate": 6, "count": 7}
_AVERAGED = ", mean of 25 steps"


def chart_json(chart: Chart, run: RunInfo, keys: Mapping[str, Latest]) -> dict[str, Any]:
    """The chart as the component takes it."""
    errors = error_keys(keys)
    main = SIGNALS.get(chart.lines[0].signals[0])
    lines = (*chart.references, *(main.references if main else ()))
    references = [*_references(lines, run), *_settings_lines(chart, run)]
    tell = len(chart.lines) == 1 or chart.lines[0].style != chart.lines[-1].style
    values = chart.kind or value_kind(chart.lines[0].signals[0])
    series = [_line_json(line, run, chart, tell=tell, errors=errors) for line in chart.lines]
    # Where a narrow chart's key needs two lines, the plot gives up the room, so that it ends where its neighbours end.
    crowded = chart.span <= 3 and _key_px(series, references, values) > _KEY_PX
    return {
        "id": chart.id,
        "kind": "chart",
        "title": chart.title or (main.title if main else chart.id),
        "unit": _unit(chart, main.unit if main else "", run, log=bool(main and main.log_scale)),
        "values": values,
        "log": bool(main and main.log_scale) and len(chart.lines) <= 2,
        "zero": bool(main and any(reference.value == 0 for reference in main.references)),
        "stack": chart.stack,
        "absent": chart.absent,
        "span": chart.span,
        "height": chart.height - (_KEY_LINE_PX if crowded else 0),
        "crowded": crowded,
        "references": references,
        "series": series,
        "about": [about(line.signals[0], line.key) for line in chart.lines],
    }


def _key_px(series: Sequence[Mapping[str, Any]], references: Sequence[Mapping[str, Any]], values: str) -> float:
    """About how wide the key is: a swatch, a label and a value for each entry."""
    labels = [one["label"] + (_AVERAGED if one["tell"] and one["smooth"] else "") for one in series]
    letters = [6.2 * len(label) + 7.2 * _VALUE_LETTERS.get(values, 5) for label in labels]
    letters += [6.2 * len(one["label"]) + 7.2 * len(one["text"]) for one in references]
    return sum(letters) + 36 * len(letters) - 12


def error_keys(keys: Mapping[str, Latest]) -> dict[str, str]:
    """Signal → key of the series that holds its standard error."""
    key = picks(keys).get("probe_margin_se")
    return {"probe_margin": key} if key is not None else {}


def _unit(chart: Chart, unit: str, run: RunInfo, *, log: bool) -> str:
    words = [chart.unit or unit, _penalty(run) if {"kl", "sequence_kl"} & set(chart.signals) else ""]
    return ", ".join(word for word in (*words, "log scale" if log else "") if word)


def _penalty(run: RunInfo) -> str:
    """The weight of the KL penalty, which says how far a policy may go: "kl_coef 0.05"."""
    for name in _PENALTIES.get(run.trainer, ()):
        value = run.config.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return f"{name} {value!r}"
    return ""


def _line_json(line: Line, run: RunInfo, chart: Chart, *, tell: bool, errors: Mapping[str, str]) -> dict[str, Any]:
    color = SERIES[run.color % len(SERIES)] if line.role == OWN else ROLES[line.role]
    if line.role == OWN and color in {ROLES[other.role] for other in chart.lines if other.role != OWN}:
        color = ROLES["forward"]  # the run's own colour may be that of the chosen
    seldom = line.signals[0] in SELDOM
    alone = len(chart.lines) == 1
    return {
        "id": line.key,
        "clock": "run",
        "label": line.label or ("now" if seldom else ""),
        "color": color,
        "dash": line.dash,
        "style": line.style,
        "smooth": line.style == "line" and not chart.stack and not seldom,
        "points": seldom and alone and line.signals[0] != "learning_rate",
        "error": errors.get(line.signals[0]) if alone else None,
        "tell": tell and line.style == "line",
        "total": line.total,
    }


def _references(references: Sequence[Reference], run: RunInfo) -> list[dict[str, Any]]:
    return [
        {"value": reference.value, "label": reference.label, "text": _reference_text(reference)}
        for reference in references
        if reference.value != 0 and (not reference.trainers or run.trainer in reference.trainers)
    ]


def _reference_text(reference: Reference) -> str:
    """The value, where the label does not say it already."""
    return (
        "" if any(character.isdigit() for character in reference.label.replace("ln 2", "")) else number(reference.value)
    )


def _settings_lines(chart: Chart, run: RunInfo) -> list[dict[str, Any]]:
    """Lines that the run's own settings draw: where gradients are clipped, which KL is aimed at, where answers are cut."""
    lines = []
    for signal in chart.signals:
        names, label = _SETTINGS_LINES.get(signal, ((), ""))
        value = next((run.config[name] for name in names if name in run.config), None)
        # Infinity is how loops say that they do not clip: there is nothing to draw, and JSON has no word for it.
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf:
            lines.append({"value": float(value), "label": label, "text": number(float(value))})
    return lines
