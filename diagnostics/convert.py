"""Alerts as JSON, for the store and the screen.

JSON has no NaN and no infinity, and an alert about NaN must keep its numbers: a non-finite float becomes the string "NaN",
"Infinity" or "-Infinity". `number_from_json` turns it back.
"""

from __future__ import annotations

import math
from typing import Any

from runvitals.diagnostics.types import Alert, Evidence

_WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def alert_detail(alert: Alert) -> dict[str, Any]:
    """What the engine says of an alert, as plain JSON values.

    Keys: title, sentence, causes [{text, likelihood, because}], remedies [{text, detail, source, url}], inhibited_by, and
    evidence {numbers: [{label, value, unit, expected}], window: [first, last], curves: [{signal, steps, values}]} or None.
    """
    return {
        "title": alert.title,
        "sentence": alert.sentence,
        "evidence": None if alert.evidence is None else _evidence(alert.evidence),
        "causes": [
            {"text": cause.text, "likelihood": cause.likelihood, "because": cause.because} for cause in alert.causes
        ],
        "remedies": [
            {"text": remedy.text, "detail": remedy.detail, "source": remedy.source, "url": remedy.url}
            for remedy in alert.remedies
        ],
        "inhibited_by": alert.inhibited_by,
    }


def number_to_json(value: float) -> float | str:
    """The value itself where it is finite, else the word that stands for it."""
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def number_from_json(value: float | str) -> float:
    """The float that `number_to_json` wrote."""
    return _WORDS[value] if isinstance(value, str) else float(value)


def _evidence(evidence: Evidence) -> dict[str, Any]:
    return {
        "numbers": [
            {
                "label": number.label,
                "value": number_to_json(number.value),
                "unit": number.unit,
                "expected": number.expected,
            }
            for number in evidence.numbers
        ],
        "window": list(evidence.window),
        "curves": [
            {
                "signal": curve.signal,
                "steps": list(curve.steps),
                "values": [number_to_json(value) for value in curve.values],
            }
            for curve in evidence.curves
        ],
    }
