"""What a reader arranged on a run's page: pinned charts, opened sections, what is looked for in them, the map's measure. It lives in the address, so a link shares it.

The browser writes the address (`components/run_layout.js`) and tells the page; a page that opens reads it from its address.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runvitals.dashboard.panel_others import OTHERS_A_PART, Asked
from runvitals.dashboard.panels import MOST_PINS

LONGEST = 500
"""A name in an address may have any length; a longer one is no key of a run."""

ADDRESSED = ("pin", "open", "map", "also", "part")
"""The names under which the address holds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """pins: ids of charts in their order. open: sections unfolded. measure: what the map of ranks and devices shows, "" for its first.

    also, part: the words that narrow the section of the user's own metrics, and which part of it is shown, from 0.
    """

    pins: tuple[str, ...] = ()
    open: frozenset[str] = frozenset()
    measure: str = ""
    also: str = ""
    part: int = 0

    @property
    def asked(self) -> Asked:
        """Which of the user's own metrics the page draws."""
        return Asked(words=self.also, part=self.part, size=OTHERS_A_PART)

    @classmethod
    def of_query(cls, query: Mapping[str, Sequence[str]]) -> Layout:
        """The layout that an address asks for: `?pin=loss&pin=key:my/metric&open=others&also=layer+norm&part=2&map=gpu_power_w`."""
        return cls._of({name: query.get(name, ()) for name in ADDRESSED})

    @classmethod
    def told(cls, said: object) -> Layout | None:
        """The layout as the browser tells it, or None where it has told none, or nothing legible."""
        if not isinstance(said, Mapping):
            return None
        single = {name: [said.get(name)] for name in ("map", "also", "part")}
        return cls._of({"pin": said.get("pin"), "open": said.get("open"), **single})

    @classmethod
    def _of(cls, lists: Mapping[str, Any]) -> Layout:
        words = {name: _words(lists[name]) for name in ADDRESSED}
        return cls(
            pins=tuple(dict.fromkeys(words["pin"]))[:MOST_PINS],
            open=frozenset(words["open"]),
            measure=next(iter(words["map"]), ""),
            also=next(iter(words["also"]), ""),
            part=_number(next(iter(words["part"]), "")),
        )


def _number(word: str) -> int:
    """The part that an address names, which counts from 1, as one from 0; the first for anything that is none."""
    return max(0, int(word) - 1) if word.isdecimal() and len(word) < 7 else 0


def _words(said: Any) -> list[str]:
    """The words of a list; anything else in it, or in its place, is left out."""
    listed = said if isinstance(said, Sequence) and not isinstance(said, (str, bytes)) else ()
    return [word for word in listed if isinstance(word, str) and 0 < len(word) <= LONGEST]
