"""What a reader arranged on a run's page: pinned charts, opened sections, the map's measure. It lives in the address, so a link shares it.

The browser writes the address (`components/run_layout.js`) and tells the page; a page that opens reads it from its address.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runvitals.dashboard.panels import MOST_PINS

LONGEST = 500
"""A name in an address may have any length; a longer one is no key of a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """pins: ids of charts in their order. open: sections unfolded. measure: what the map of ranks and devices shows, "" for its first."""

    pins: tuple[str, ...] = ()
    open: frozenset[str] = frozenset()
    measure: str = ""

    @classmethod
    def of_query(cls, query: Mapping[str, Sequence[str]]) -> Layout:
        """The layout that an address asks for: `?pin=loss&pin=key:my/metric&open=others&map=gpu_power_w`."""
        return cls._of(query.get("pin", ()), query.get("open", ()), query.get("map", ()))

    @classmethod
    def told(cls, said: object) -> Layout | None:
        """The layout as the browser tells it, or None where it has told none, or nothing legible."""
        if not isinstance(said, Mapping):
            return None
        return cls._of(said.get("pin"), said.get("open"), [said.get("map")])

    @classmethod
    def _of(cls, pins: Any, opened: Any, measure: Any) -> Layout:
        return cls(
            pins=tuple(dict.fromkeys(_words(pins)))[:MOST_PINS],
            open=frozenset(_words(opened)),
            measure=next(iter(_words(measure)), ""),
        )


def _words(said: Any) -> list[str]:
    """The words of a list; anything else in it, or in its place, is left out."""
    listed = said if isinstance(said, Sequence) and not isinstance(said, (str, bytes)) else ()
    return [word for word in listed if isinstance(word, str) and 0 < len(word) <= LONGEST]
