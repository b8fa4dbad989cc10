"""What a run says of itself, read with tolerance: a process may write any JSON, and no value of it may stop the watching of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

MOST = 2**63 - 1
"""The largest integer that a database column holds."""

ENDED = frozenset({"finished", "stopped", "crashed"})


def text(value: Any, otherwise: str) -> str:
    """The text, or `otherwise` where the value is empty or no text."""
    return value if isinstance(value, str) and value else otherwise


def positive(value: Any) -> int | None:
    """The integer from 1 to 2⁶³−1, or None."""
    return value if integer(value) is not None and value > 0 else None


def integer(value: Any) -> int | None:
    """The integer that a database column can hold, or None."""
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if -MOST <= value <= MOST else None


def moment(value: Any) -> float | None:
    """The finite time in seconds, or None."""
    try:
        found = float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:  # an integer beyond float64
        return None
    return found if math.isfinite(found) else None


def mapping(value: Any) -> dict[str, Any]:
    """The JSON object, or an empty one."""
    return dict(value) if isinstance(value, Mapping) else {}


def ended_status(value: Any) -> str:
    """How the run ended: finished where nothing is said, stopped where what is said is no such word."""
    if not value:
        return "finished"
    return value if isinstance(value, str) and value in ENDED else "stopped"


def rank(info: Any) -> int:
    """The rank of the process that an `info` describes; 0 where it says none."""
    return integer(mapping(info).get("rank")) or 0
