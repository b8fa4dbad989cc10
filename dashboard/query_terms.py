"""Takes a query apart: its terms, and the numbers in them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

TERM = re.compile(r"(?P<key>\"[^\"]+\"|[A-Za-z_][\w./-]*)(?P<sign><=|>=|!=|:|=|<|>)(?P<value>.*)", re.DOTALL)
"""A term that asks for more than a name."""

UNITS: Mapping[str, float] = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "%": 0.01}
TIME_UNITS: Mapping[str, float] = (
    dict.fromkeys(("", "s"), 1.0) | dict.fromkeys(("min", "m"), 60.0) | {"h": 3600.0, "d": 86400.0, "w": 604800.0}
)

NOT_FINITE: Mapping[str, Callable[[float], bool]] = {
    "nan": math.isnan,
    "inf": lambda have: have == math.inf,
    "-inf": lambda have: have == -math.inf,
}
"""What a measured value can be exactly."""

_WORDS = re.compile(r'(?:[^\s"]|"[^"]*"?)+')
_SIGN = re.compile(r"<=|>=|!=|[:=<>]")
_KEY = re.compile(r'[-−]?(?:"[^"]+"|[A-Za-z_][\w./-]*)')
_BEGUN = re.compile(rf"(?:{_KEY.pattern})(?:{_SIGN.pattern})")
_NUMBER = re.compile(r"(?P<number>[-−+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)(?P<unit>[a-z%]*)", re.IGNORECASE)
_MINUS = ("-", "−")


def terms_of(text: str) -> list[str]:
    """The terms and the `or` between them; `lr = 1e-3`, as a formula is written, is one term."""
    terms: list[str] = []
    for word in _WORDS.findall(text):
        before = terms[-1] if terms and terms[-1].lower() != "or" else ""
        goes_on = _BEGUN.fullmatch(before) and word.lower() != "or" and not _SIGN.search(word)
        if goes_on or (_SIGN.match(word) and _KEY.fullmatch(before)):
            terms[-1] += word
        else:
            terms.append(word)
    return terms


def unsigned(term: str) -> str:
    """The term without the minus that turns it round."""
    return term[1:] if len(term) > 1 and term.startswith(_MINUS) else term


def number_of(text: str, units: Mapping[str, float]) -> float | None:
    """The number with its unit, `5min` or `10k`; None where it is none."""
    match = _NUMBER.fullmatch(text)
    if match is None or match["unit"].lower() not in units:
        return None
    return float(match["number"].replace("−", "-")) * units[match["unit"].lower()]
