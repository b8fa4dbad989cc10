"""JSON of anything that a user hands us: what JSON cannot hold is stored as its `str()`; NaN and infinities stay what they are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Set
from typing import Any

MAX_DEPTH = 32
"""Deeper nesting (or a circle) becomes a string instead of a RecursionError in somebody's training."""


def dumps(value: Any) -> bytes:
    """UTF-8 JSON; never raises for odd values. NaN, Infinity and -Infinity are written as those words, which `json.loads` reads."""
    return json.dumps(plain(value), separators=(",", ":")).encode()


def plain(value: Any, depth: int = 0) -> Any:
    """The value out of dicts with string keys, lists, strings, numbers, booleans and None."""
    if value is None or type(value) in (bool, int, float):
        return value
    if isinstance(value, str):
        return as_key(value)
    if depth < MAX_DEPTH:
        if isinstance(value, Mapping):
            return {as_key(key): plain(item, depth + 1) for key, item in value.items()}
        if isinstance(value, Sequence | Set) and not isinstance(value, bytes | bytearray):
            return [plain(item, depth + 1) for item in value]
        number = _number(value)
        if number is not None:
            return number
    return as_key(text(value))


def as_key(key: Any) -> str:
    """The key as a plain string that UTF-8 can hold; a member of a string enumeration is its value."""
    return (str.__str__(key) if isinstance(key, str) else text(key)).encode("utf-8", "replace").decode()


def text(value: Any) -> str:
    """`str(value)`, or the type's name where even that fails."""
    try:
        return str(value)
    except (TypeError, ValueError, AttributeError, RuntimeError, NotImplementedError):
        return f"<{type(value).__name__}>"


def _number(value: Any) -> int | float | None:
    """The value of a numpy or torch scalar, which have `item()`; None for anything else."""
    item = getattr(value, "item", None)
    if item is None or getattr(value, "shape", ()) != ():
        return None
    try:
        number = item()
    except (TypeError, ValueError, RuntimeError):
        return None
    return number if isinstance(number, int | float) else None
