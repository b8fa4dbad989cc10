"""What the other ranks say of their own steps, as rows for the rule that compares ranks.

Such a row has no step, as the first rank counts a run's steps; the step that its rank was at is one of its values, so that ranks can be compared
step by step whoever's rows come first. Its keys do not name the rank either, which is a value too: a thousand ranks are one kind of row.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from runvitals.diagnostics.types import Row

NUMBER, STEP = "rank/number", "rank/step"
"""Keys of every such row."""

STEP_TIME, DATA_WAIT, FORWARD_TIME = "rank/step_time_s", "rank/data_wait_s", "rank/forward_time_s"
"""Keys of what it holds, seconds; one at least."""

_TIMES = {
    "perf/step_time_s": STEP_TIME,
    "perf/data_wait_s": DATA_WAIT,
    "perf/forward_time_s": FORWARD_TIME,
}
_STORED = re.compile(r"rank/([1-9]\d*)/(.+)", re.ASCII | re.DOTALL)


@lru_cache(maxsize=16384)
def timed(key: str) -> tuple[int, str] | None:
    """The rank and the key of its row, for a stored key that rules read (`rank/3/perf/data_wait_s`); None for all others."""
    match = _STORED.fullmatch(key)
    if match is None or match[2] not in _TIMES:
        return None
    return int(match[1]), _TIMES[match[2]]


def rank_row(time_s: float, step: int | None, rank: int, values: Mapping[str, float | None]) -> Row | None:
    """The row that rules get for what a rank logged at once. None where it has no step, or no finite time.

    values: by their stored keys; what is not about the rank's times is left out.
    """
    if step is None:
        return None
    times: dict[str, float | None] = {}
    for key, value in values.items():
        found = timed(key)
        if found is not None and value is not None and value - value == 0.0:
            times[found[1]] = value
    if not times:
        return None
    return Row(time_s=time_s, step=None, values={NUMBER: float(rank), STEP: float(step), **times})
