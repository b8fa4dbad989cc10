"""Finds signals among all that the runs of a comparison logged. The browser sends what is typed and gets the best few back.

Fifty runs may log ten thousand keys each, so the names stay here: the list is made when somebody begins to look, and never for a page
that is only read.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import Any

from runvitals.dashboard.compare_pins import KEY, of_one_place, signal_of_pin, title_of_pin
from runvitals.dashboard.compare_read import Member
from runvitals.diagnostics.signals import canonical

MOST_FOUND = 12
"""Signals that one answer names: the best; another word narrows the rest down."""

LONGEST = 200
"""Characters of a search that are looked at."""


@dataclass(frozen=True, slots=True)
class Names:
    """All that can be found. keys: as logged, one for each signal. runs: how many runs logged it. low: what is searched, in lower case."""

    keys: Sequence[str]
    runs: Sequence[int]
    low: Sequence[str]


def names_of(members: Sequence[Member]) -> Names:
    """The names of the runs' signals, those of runvitals' vocabulary once however each run spells them."""
    logged = Counter[str]()
    for one in members:
        logged.update(one.names)
    # Of a signal that every library calls otherwise, the spelling of the first run stands for all.
    spelled: dict[str, str] = {}
    many = Counter[str]()
    for one in members:
        for signal, key in one.best.items():
            if not of_one_place(key):
                spelled.setdefault(signal, key)
                many[signal] += 1
    stands = {key: signal for signal, key in spelled.items()}
    others = {one.best[signal] for one in members for signal in spelled if signal in one.best} - stands.keys()
    keys = [key for key in logged if key not in others]
    return Names(
        keys=keys,
        runs=[many[stands[key]] if key in stands else logged[key] for key in keys],
        low=[_searched(key, key in stands) for key in keys],
    )


def _searched(key: str, titled: bool) -> str:
    low = key.lower()
    if titled:
        return f"{title_of_pin(KEY + key).lower()}\n{low}"
    return key if low == key else low


def found(names: Names, text: str, *, of: int) -> dict[str, Any]:
    """The best matches of what was typed: {text, rows: [{key, title, unit, meaning, runs}], more}. of: how many runs there are.

    Every word must be in the name. First the name itself, then names that begin so, then names with a word that does.
    """
    words = text[:LONGEST].lower().split()
    if not words:
        return {"text": text, "rows": [], "more": 0}
    first = words[0]
    at = [place for place, low in enumerate(names.low) if first in low]
    for word in words[1:]:
        at = [place for place in at if word in names.low[place]]
    starts = [re.compile(rf"(?:^|[^a-z0-9]){re.escape(word)}") for word in words]
    typed = " ".join(words)
    best = nsmallest(MOST_FOUND, at, key=lambda place: (_rank(names.low[place], typed, starts), place))
    rows = [_row(names.keys[place], names.runs[place], of) for place in best]
    return {"text": text, "rows": rows, "more": len(at) - len(best)}


def _rank(low: str, typed: str, starts: Sequence[re.Pattern[str]]) -> int:
    spellings = low.split("\n")
    if typed in spellings:
        return 0
    if any(one.startswith(typed) for one in spellings):
        return 1
    return 2 if all(start.search(low) for start in starts) else 3


def _row(key: str, runs: int, of: int) -> dict[str, Any]:
    pin = KEY + key
    signal = signal_of_pin(pin)
    named = canonical(key) is not None and not of_one_place(key)
    return {
        "key": key,
        "title": title_of_pin(pin),
        "unit": signal.unit if named else "",
        "meaning": signal.meaning,
        "runs": "all runs" if runs >= of else f"{runs} of {of} runs",
    }


@dataclass(slots=True)
class Search:
    """One reader's search. text: what was typed last, None before anybody looked."""

    text: str | None = None
    _of: tuple[object, ...] = ()
    _names: Names | None = None
    _told: Mapping[str, Any] = field(default_factory=dict)

    def answer(self, members: Sequence[Member]) -> Mapping[str, Any]:
        """What was found for `text`; the names are gathered anew where other runs are chosen or one has logged since."""
        if self.text is None:
            return {}
        of = tuple((one.run.id, len(one.names)) for one in members)
        if self._names is None or self._of != of:
            self._names, self._of = names_of(members), of
            self._told = {}
        if self._told.get("text") != self.text:
            self._told = found(self._names, self.text, of=len(members))
        return self._told
