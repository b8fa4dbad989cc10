"""Settings against outcome: each run a line over parallel axes, and a point of a scatter."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from runvitals.dashboard.compare_entries import Entry
from runvitals.dashboard.compare_groups import SEED_NAMES, natural
from runvitals.dashboard.compare_judge import Reading
from runvitals.dashboard.compare_read import Member
from runvitals.dashboard.compare_state import MOST_IN_COLOUR, Shown
from runvitals.dashboard.compare_values import signal_of, signals_of, title_of
from runvitals.dashboard.differences import Settings, flat_settings, setting_text, telling
from runvitals.dashboard.formatter import MISSING
from runvitals.dashboard.signal_facts import value_kind

MOST_AXES = 6
"""Settings that parallel axes have room for, beside the outcome."""

MOST_CHOICES = 40
"""Settings that the scatter offers."""

_DECADES = 20.0
"""A setting that spans more than this factor, all above zero, stands on a logarithmic axis."""


def outcome(
    members: Sequence[Member],
    entries: Sequence[Entry],
    settings: Settings,
    readings_of: Sequence[Mapping[str, Reading | str]],
    shown: Shown,
) -> dict[str, Any]:
    """What the browser draws: runs {name, color, values}, axes of settings, and the outcome's values as the table reads them."""
    names = signals_of(members)
    chosen = shown.outcome if shown.outcome in names else next(iter(names), "")
    flat = [flat_settings(one.run) for one in members]
    axes = [axis for name in _settings(settings) if (axis := _axis(name, flat)) is not None]
    # A setting that has one value wherever it is set separates nobody along its axis.
    axes.sort(key=lambda axis: len(set(axis["texts"]) - {MISSING}) < 2)
    against = shown.against if any(axis["name"] == shown.against for axis in axes) else ""
    colors = {place: entry for entry in entries[:MOST_IN_COLOUR] for place in entry.members}
    return {
        "signals": [{"name": name, "title": title_of(name)} for name in names],
        "signal": chosen,
        "unit": signal_of(chosen).unit if chosen else "",
        "values": value_kind(signal_of(chosen).name) if chosen else "plain",
        "axes": axes,
        "wide": MOST_AXES,
        "against": against or (axes[0]["name"] if axes else ""),
        "runs": [
            {
                "id": one.run.id,
                "name": one.run.name,
                "color": colors[place].color if place in colors else None,
                "group": colors[place].name if place in colors and not colors[place].run_id else "",
                "value": _value(readings_of[place].get(chosen)),
                "why": _why(readings_of[place].get(chosen, "not logged")),
            }
            for place, one in enumerate(members)
        ],
    }


def _value(reading: Reading | str | None) -> float | None:
    return reading.value if isinstance(reading, Reading) and math.isfinite(reading.value) else None


def _why(reading: Reading | str) -> str:
    """Why a run has no place on the axis of the outcome; "" where it has one."""
    if isinstance(reading, str):
        return reading
    return "" if math.isfinite(reading.value) else "not a number"


def _settings(settings: Settings) -> list[str]:
    """Unequal settings, the most telling first; what tells seeds of one setting apart comes last."""
    names = [row["name"] for row in (*settings.rows, *settings.some)]
    return sorted(names, key=lambda name: (name.split(".")[-1] in SEED_NAMES, *telling(name)))[:MOST_CHOICES]


def _axis(name: str, flat: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """One setting as an axis: {name, log, ticks: [[share, text]], places: share from 0 to 1 for each run}; a run without it has None."""
    values = [one.get(name) for one in flat]
    texts = [setting_text(value) for value in values]
    numbers = [_number(value) for value in values]
    known = [number for number, text in zip(numbers, texts, strict=True) if text != MISSING]
    if known and all(number is not None for number in known):
        return _numeric(name, numbers, dict(zip(texts, numbers, strict=True)))
    words = sorted({text for text in texts if text != MISSING}, key=natural)
    if not words:
        return None
    places = {word: (at + 0.5) / len(words) for at, word in enumerate(words)}
    return {
        "name": name,
        "log": False,
        "ticks": [[place, word] for word, place in places.items()],
        "places": [places.get(text) for text in texts],
        "texts": texts,
    }


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)


def _numeric(name: str, numbers: Sequence[float | None], by_text: Mapping[str, float | None]) -> dict[str, Any]:
    known = sorted({number for number in numbers if number is not None})
    low, high = known[0], known[-1]
    log = low > 0 and high / low > _DECADES

    def place(number: float | None) -> float | None:
        if number is None:
            return None
        if high == low:
            return 0.5
        share = math.log(number / low) / math.log(high / low) if log else (number - low) / (high - low)
        return 0.04 + 0.92 * share

    ticks = [[place(number), text] for text, number in by_text.items() if number is not None]
    texts = {number: text for text, number in by_text.items()}
    return {
        "name": name,
        "log": log,
        "ticks": sorted(ticks),
        "places": [place(number) for number in numbers],
        "texts": [texts.get(number, MISSING) for number in numbers],
    }
