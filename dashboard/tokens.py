"""Design tokens that Streamlit's theme has no key for, and the words and shapes of severity and status.

Colours that have a key live in `.streamlit/config.toml` beside the app, once; components read them as CSS variables.
"""

from __future__ import annotations

from dataclasses import dataclass

SERIES: tuple[str, ...] = (
    "#2D75D8",
    "#E16C00",
    "#A248A2",
    "#09A2C6",
    "#007E5A",
    "#8787FC",
    "#BD4809",
    "#63907E",
    "#E16CAB",
    "#2DA248",
)
"""The ten colours of runs, the same on both themes; a run's index is stored with it."""

DASHES: tuple[str, ...] = ("solid", "6px 3px", "2px 3px")
"""Second code of runs in comparisons, in Plotly's spelling."""

ROLES: dict[str, str] = {
    "chosen": "#007E5A",
    "rejected": "#E16C00",
    "forward": "#09A2C6",
    "backward": "#2D75D8",
    "optimizer": "#8787FC",
    "data": "#E16C00",
    "eval": "#A248A2",
    "save": "#A248A2",
    "other": "#63907E",
}
"""Colours of roles inside one run; rejected is also dashed."""

REJECTED_DASH = DASHES[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ink:
    """One colour on the light and on the dark page."""

    light: str
    dark: str


INK3 = Ink(light="#6E7782", dark="#8B95A3")
"""Labels and ticks."""

GRID = Ink(light="#ECEEF0", dark="#262C35")
"""Horizontal lines of charts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Severity:
    """Shape, word and colours of one severity; colour never stands alone."""

    shape: str
    word: str
    text: Ink
    mark: Ink


SEVERITIES: dict[str, Severity] = {
    "critical": Severity(
        shape="◆", word="Critical", text=Ink(light="#B42335", dark="#FF8B92"), mark=Ink(light="#B42335", dark="#FF8B92")
    ),
    "warning": Severity(
        shape="▲", word="Warning", text=Ink(light="#8A5A00", dark="#F0BE62"), mark=Ink(light="#C47F00", dark="#F0BE62")
    ),
    "healthy": Severity(
        shape="●", word="Healthy", text=Ink(light="#2B6B45", dark="#86CFA3"), mark=Ink(light="#3C8F5F", dark="#63B88A")
    ),
    "unknown": Severity(shape="◌", word="Unknown", text=INK3, mark=INK3),
}
"""What a run's health can be; `info` alerts are drawn as unknown."""

HOLDING_OPACITY = (0.03, 0.055)
"""Opacity of the tint while an alert's condition holds but has not fired: light, dark."""

FIRING_OPACITY = (0.06, 0.085)
"""Opacity of the tint while an alert fires: light, dark."""

STATUS_WORDS: dict[str, str] = {
    "starting": "Starting",
    "running": "Running",
    "stalled": "Stalled",
    "hung": "Hung",
    "crashed": "Crashed",
    "stopped": "Stopped",
    "finished": "Finished",
}
"""A status has a glyph (drawn by base.js) and this word, no colour."""

STATUS_IN_BOLD: frozenset[str] = frozenset({"stalled", "hung", "crashed"})
