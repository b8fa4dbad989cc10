"""Moments in a report: in UTC, because whoever reads it may sit anywhere."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from runvitals.dashboard.formatter import MISSING


def moment(time_s: float | None) -> str:
    """`2026-11-24 04:10:11 UTC`; "—" for what is missing or no time that a calendar has."""
    if time_s is None or not math.isfinite(time_s):
        return MISSING
    try:
        return f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):
        return MISSING
