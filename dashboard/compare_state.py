"""What the address of the Compare page says: which runs, on which axis, grouped how, read where. All of the page's state is in it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from runvitals.dashboard.compare_pins import pins_of
from runvitals.dashboard.formatter import count, duration, number, percent

Axis = Literal["step", "tokens", "since", "time", "share"]
"""As the charts have them: `since` counts seconds from each run's start, `time` from that of the first run of the page."""

Spread = Literal["std", "interval"]

MOST_RUNS = 50
"""Runs that one page takes; more would not be read by anybody."""

MOST_IN_COLOUR = 6
"""Runs or groups in colour on one chart; more cannot be told apart."""

SEEDS = "~seeds"
"""In place of a setting's name: runs whose settings are all equal but for their seeds are one group."""

_LONGEST = 200
"""Characters of a name in the address; a setting's name is never longer, a link may be."""

MOST_GROUPINGS = 4
"""Settings that groups are made by at once: with more, nearly every run is a group of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What to show.

    run_ids: the first is the baseline, the first `MOST_IN_COLOUR` are in colour. dropped: how many the address names beyond `MOST_RUNS`.
    group: names of settings, () for none. at: "last", "best", or a step. outcome: the signal that settings are held against, "" for the
    first that there is. against: the setting of the scatter, "" for the first. pins: signals that were pinned (`compare_pins`).
    """

    run_ids: tuple[str, ...] = ()
    dropped: int = 0
    axis: Axis = "step"
    group: tuple[str, ...] = ()
    spread: Spread = "std"
    at: Literal["last", "best"] | int = "last"
    outcome: str = ""
    against: str = ""
    pins: tuple[str, ...] = ()


def of_query(query: Mapping[str, Any]) -> Shown:
    """What the query of the address says. What it does not say, or says illegibly, is as on a fresh page."""
    named = list(dict.fromkeys(run_id for run_id in _word(query, "compare", longest=None).split(",") if run_id))
    axis, spread = _word(query, "x"), _word(query, "spread")
    return Shown(
        run_ids=tuple(named[:MOST_RUNS]),
        dropped=max(0, len(named) - MOST_RUNS),
        axis=axis if axis in get_args(Axis) else "step",  # type: ignore[arg-type]
        group=tuple(dict.fromkeys(name for name in _word(query, "group").split(",") if name))[:MOST_GROUPINGS],
        spread=spread if spread in get_args(Spread) else "std",  # type: ignore[arg-type]
        at=_at(_word(query, "at")),
        outcome=_word(query, "outcome"),
        against=_word(query, "against"),
        pins=pins_of(query.get("pin")),
    )


def query_of(shown: Shown) -> dict[str, str]:
    """What an address says for this; "" for what is as on a fresh page. Axis and pins are not in it: the charts keep them there themselves."""
    return {
        "compare": ",".join(shown.run_ids),
        "group": ",".join(shown.group),
        "spread": "" if shown.spread == "std" else shown.spread,
        "at": "" if shown.at == "last" else str(shown.at),
        "outcome": shown.outcome,
        "against": shown.against,
    }


def place_text(place: float, axis: Axis) -> str:
    """A place on the axis in words: step 180, 1.20e6 tokens, 3 min 20 s, 45 % of the run."""
    if axis == "step":
        return f"step {count(math.ceil(place))}"
    if axis == "tokens":
        return f"{number(place)} tokens"
    return f"{percent(place)} of the run" if axis == "share" else duration(place)


def _word(query: Mapping[str, Any], name: str, longest: int | None = _LONGEST) -> str:
    return str(query.get(name, ""))[:longest]


def _at(word: str) -> Literal["last", "best"] | int:
    if word == "best":
        return "best"
    return int(word) if word.isascii() and word.isdigit() and len(word) < 16 else "last"
