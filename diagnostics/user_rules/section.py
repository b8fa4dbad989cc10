"""A table of the user's file: gives values that are what they should be, and notes a complaint for each that is not."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """What is wrong at a path of keys: what was expected, what came, what to do."""

    path: tuple[str, ...]
    problem: str


@dataclass(slots=True)
class Section:
    """One table. All sections of a file share one list of complaints. A wrong value counts as one that is missing."""

    path: tuple[str, ...]
    values: Mapping[str, Any]
    complaints: list[Complaint]
    asked: set[str] = field(default_factory=set)

    def complain(self, key: str, problem: str) -> None:
        """Notes what is wrong with a key, or with the table itself where the key is "" or not there."""
        path = (*self.path, key) if key in self.values else self.path
        self.complaints.append(Complaint(path=path, problem=problem))

    def section(self, key: str) -> Section:
        """A table within this one; empty where there is none."""
        values = self._get(key)
        if values is not None and not isinstance(values, dict):
            self.complain(key, f"expected a table, got {shown(values)}; write [{dotted((*self.path, key))}]")
            values = None
        return Section((*self.path, key), values or {}, self.complaints)

    def sections(self) -> list[tuple[str, Section]]:
        """All tables within this one, by name."""
        return [(key, self.section(key)) for key in self.values]

    def tables(self, key: str) -> list[Section]:
        """All tables of a list of tables; the path of the second one ends with "[2]"."""
        values = self._get(key)
        if values is None:
            return []
        if not isinstance(values, list) or not all(isinstance(one, dict) for one in values):
            name = dotted((*self.path, key))
            self.complain(key, f"expected a list of tables, got {shown(values)}; write [[{name}]]")
            return []
        return [
            Section((*self.path, key, f"[{number}]"), one, self.complaints)
            for number, one in enumerate(values, start=1)
        ]

    def number(self, key: str, *, least: float = -math.inf, most: float = math.inf) -> float | None:
        """A finite number within the range, None where it is missing."""
        value = self._get(key)
        if value is None:
            return None
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not is_number or not least <= value <= most:
            self.complain(key, f"expected a number{_between(least, most)}, got {shown(value)}")
            return None
        return float(value)

    def whole(self, key: str, default: int, *, least: int, most: int) -> int:
        """A whole number within the range."""
        value = self._get(key)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            self.complain(key, f"expected a whole number{_between(least, most)}, got {shown(value)}")
            return default
        return value

    def text(self, key: str, default: str = "") -> str:
        """A text that is not empty."""
        value = self._get(key)
        if value is None:
            return default
        if not isinstance(value, str) or not value.strip():
            self.complain(key, f'expected a text in quotes, got {shown(value)}; write {key} = "…"')
            return default
        return value

    def texts(self, key: str, among: Collection[str] = ()) -> tuple[str, ...]:
        """A list of texts, each one of `among` where that is given."""
        value = self._get(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
            self.complain(key, f'expected a list of texts, got {shown(value)}; write {key} = ["…"]')
            return ()
        for one in value:
            if among and one not in among:
                self.complain(key, f"{_expected(among, one)}")
        return tuple(one for one in value if not among or one in among)

    def choice(self, key: str, among: Collection[str], default: str = "") -> str:
        """One of a few words; `default` "" makes the key one that must be there."""
        if key not in self.values and not default:
            self.complain(key, f"expected {key} = one of {', '.join(among)}; it is missing")
        value = self.text(key, default)
        if value and value not in among:
            self.complain(key, _expected(among, value))
            return default
        return value

    def end(self, *, of: str) -> None:
        """Complains of every key that nobody asked for."""
        for key in self.values:
            if key not in self.asked:
                known = sorted(self.asked)
                self.complain(key, f"{of} has no {key}; {nearest(key, known) or 'it takes ' + ', '.join(known)}")

    def _get(self, key: str) -> Any:
        self.asked.add(key)
        return self.values.get(key)


def nearest(word: str, known: Collection[str]) -> str:
    """`did you mean …?` where a known word is close, else nothing."""
    found = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {found[0]}?" if found else ""


def dotted(path: tuple[str, ...]) -> str:
    """A path as TOML writes it; keys that need quotes have them. The place in a list stands in brackets."""
    plain = (key if key.replace("_", "").replace("-", "").isalnum() or key[:1] == "[" else f'"{key}"' for key in path)
    return ".".join(plain).replace(".[", "[")


def shown(value: object) -> str:
    """A value as the file spells it, or nearly."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and "://" in value:
        return "an address"  # which may be the credential of a receiver
    if isinstance(value, str):
        return f'"{value if len(value) <= 60 else value[:57] + "…"}"'
    if isinstance(value, dict):
        return "a table"
    return "a list" if isinstance(value, list) else str(value)


def _expected(among: Collection[str], got: str) -> str:
    hint = nearest(got, among)
    words = f"one of {', '.join(among)}" if len(among) <= 12 else "the name of a rule"
    return f"expected {words}, got {shown(got)}" + (f"; {hint}" if hint else "")


def _between(least: float, most: float) -> str:
    if math.isinf(least) and math.isinf(most):
        return ""
    if math.isinf(most):
        return f" of at least {least:,g}"
    return f" from {least:,g} to {most:,g}"
