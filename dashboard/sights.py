"""What the browser tells of what it shows: the range of a zoom, and which series its page needs now."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MOST_BUCKETS = 4000
"""The most a zoom may ask for, whatever the browser says."""

FIRST_CHARTS = 8
"""Charts whose points go with the first message: what a common screen shows at once. Fewer, and the first screen takes two answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What is in or near sight. id: the browser's name for what it told last, "" where this is a guess. ids: of the series that it needs."""

    id: str
    blocks: tuple[str, ...]
    ids: frozenset[str]

    @classmethod
    def of_state(cls, state: object, frame: Mapping[str, Any]) -> Sight:
        """What the component reports of this frame; where it has said nothing legible yet, the first charts."""
        found = {block["id"]: block for section in frame["sections"] for block in section["blocks"]}
        told = state if isinstance(state, Mapping) else {}
        listed = [told.get("blocks"), told.get("axis")]
        if all(isinstance(one, list) for one in listed):
            names, axis = ([str(name) for name in one] for one in listed)  # type: ignore[union-attr]
            chosen = [name for name in names if name in found]
        else:
            chosen, axis = [name for name, block in found.items() if block["kind"] == "chart"][:FIRST_CHARTS], []
        clocks = [clock[name] for clock in frame["clocks"].values() for name in ("steps", "tokens") if clock[name]]
        ids = [series_id for name in chosen for series_id in _series_of(found[name])]
        return cls(id=str(told.get("id", "")), blocks=tuple(chosen), ids=frozenset([*ids, *axis, *clocks]))


def _series_of(block: Mapping[str, Any]) -> list[str]:
    """The series that a block of the frame draws: a chart's lines with their errors, or what small multiples show."""
    lines = [
        series_id for line in block.get("series", ()) for series_id in (line["id"], line.get("error")) if series_id
    ]
    for item in block.get("items", ()):
        lines += [item["series"], *item.get("bar", ()), *(foot["series"] for foot in item.get("feet", ()))]
    return lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A range of one run: in steps, and in seconds since the run began."""

    start: float
    stop: float
    start_s: float
    stop_s: float


def spans_of(told: object) -> dict[str, Span]:
    """Clock → range, as the component reports it; what is not legible is left out."""
    found = {}
    for clock, span in told.items() if isinstance(told, Mapping) else ():
        try:
            names = ("start", "stop", "start_s", "stop_s")
            found[str(clock)] = Span(**{name: _finite(span[name]) for name in names})
        except (KeyError, TypeError, ValueError):
            continue
    return found


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"a range needs finite ends, got {value!r}")
    return number


@dataclass(frozen=True, slots=True, kw_only=True)
class Zoom:
    """What the browser shows and wants finer: for each clock (one run) its range, in at most n buckets a series."""

    id: str
    again: int
    spans: Mapping[str, Span]
    n: int

    @classmethod
    def of_state(cls, state: object) -> Zoom | None:
        """The zoom that the component reports, or None where it shows the whole run or says nothing legible."""
        if not isinstance(state, Mapping):
            return None
        spans = spans_of(state.get("spans"))
        try:
            n = max(10, min(MOST_BUCKETS, int(state["n"])))
            return cls(id=str(state["id"]), again=int(state["again"]), spans=spans, n=n) if spans else None
        except (KeyError, TypeError, ValueError):
            return None
