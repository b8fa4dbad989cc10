"""Signals that a reader pins on the Compare page: each is a chart, a row of the table and an outcome, whatever runvitals knows of it.

A pin is `key:<key>` as on a run's page, or the name of a chart of this page, which then stands on top too.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from runvitals.dashboard.panels import MOST_PINS
from runvitals.dashboard.run_layout import LONGEST
from runvitals.dashboard.signal_keys import RANK
from runvitals.diagnostics.signals import NODE, SIGNALS, Signal, canonical, device

KEY = "key:"
"""What the pin of a key begins with; the rest of it is the key as it is logged."""

_HOST = "host/"


def pins_of(said: Any) -> tuple[str, ...]:
    """The pins of a list, each once, in its order; what is no word, or longer than any key, is left out."""
    listed = [said] if isinstance(said, str) else said if isinstance(said, (list, tuple)) else []
    legible = (word for word in listed if isinstance(word, str) and 0 < len(word) <= LONGEST)
    return tuple(list(dict.fromkeys(legible))[:MOST_PINS])


def keys_pinned(pins: Iterable[str]) -> list[str]:
    """Those of the pins that are of a key."""
    return [pin for pin in pins if pin.startswith(KEY)]


def key_for(pin: str, names: Sequence[str], best: Mapping[str, str]) -> str | None:
    """The key that the pin means in a run: itself, or what that run calls the same signal; None where it logged neither.

    names: all of the run's keys, sorted. best: signal → the run's key for it. One device, rank or machine is never taken for another.
    """
    key = pin.removeprefix(KEY)
    place = bisect_left(names, key)
    if place < len(names) and names[place] == key:
        return key
    signal = None if of_one_place(key) else canonical(key)
    return best.get(signal) if signal is not None else None


def of_one_place(key: str) -> bool:
    """Whether the key is a copy of one device, rank or machine, and its signal's name would not tell it from the others."""
    return key.startswith((RANK, NODE, _HOST)) or device(key) is not None


@lru_cache(maxsize=256)
def signal_of_pin(pin: str) -> Signal:
    """What is known of the pinned signal; of a key that no signal stands for, its name alone."""
    key = pin.removeprefix(KEY)
    name = canonical(key)
    known = SIGNALS.get(name or "") or SIGNALS.get((name or "").removeprefix("eval_"))
    return known or Signal(name="", title=key, unit="", direction="none", meaning="", group="data")


def title_of_pin(pin: str) -> str:
    """The signal's title, or the key where no signal, or only one of several devices, stands for it."""
    key = pin.removeprefix(KEY)
    signal = signal_of_pin(pin)
    if not signal.name or of_one_place(key):
        return key
    return f"Evaluation {signal.title.lower()}" if (canonical(key) or "").startswith("eval_") else signal.title
