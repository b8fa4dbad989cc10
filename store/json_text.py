"""JSON in text columns, NaN and Inf included: evidence may hold them, and a fact must not become null."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import orjson


def dumps(value: Any) -> str:
    """JSON text; NaN and Inf are written as NaN and Infinity, numpy scalars as their numbers."""
    return json.dumps(value, default=_plain, separators=(",", ":"))


def _plain(value: Any) -> Any:
    """The plain object behind a numpy one. Raises TypeError for anything else, as json does."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"expected JSON, got {type(value).__name__}")


def loads(text: str) -> Any:
    """The value that `dumps` took. orjson reads several times faster but knows no NaN; the standard library does."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)
