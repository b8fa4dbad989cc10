"""Whether a difference from the baseline is one, and which way is good.

A run is read as the mean of its last few rows. How sure that mean is comes from how its rows scatter, and there one row must not decide: of
ten rows of which one is a million, the scatter is as large as the mean, and nothing would ever be called worse. So rows that lie far
off are drawn in to `FAR` times the usual scatter before the error is worked out (Huber's proposal 2, 1964, in one step); rows that are
merely noisy stay as they are, and the error is then that of Welch's test. Where a verdict rests on such rows alone, it says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtri, stdtrit

from runvitals.diagnostics.signals import Signal
from runvitals.store.types import Floats

SLIGHT = 0.02
"""A difference of at most this share of the baseline is called neither better nor worse."""

SURE = 0.975
"""A difference is named only where it is beyond its own 95 % interval."""

FAR = 5.0
"""Usual scatters from the median beyond which a row is far off: of ten thousand rows of plain noise, none is."""

USUAL_ROWS = 40
"""Rows, the last ones, that say how a run usually scatters from row to row."""

FEWEST_USUAL = 5
"""Rows without which that cannot be said."""

CERTAIN = 1e6
"""Degrees of freedom of an error that came with its value."""

_MAD_TO_SIGMA = 1.4826
_SECOND_DIFFERENCE = math.sqrt(1.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One run's value of one signal. value: NaN where no row read is finite. error: its standard error, NaN where unknown.

    doubt: the error by which the value is judged: one in which rows far off do not decide; it has `freedom` degrees of freedom.
    steady: the value without the rows that are far off, of which there are `far`, and reach: from the lowest to the highest of those. unsound: rows among those read that are not finite.
    """

    value: float
    error: float = math.nan
    doubt: float = math.nan
    freedom: float = CERTAIN
    steady: float = math.nan
    reach: tuple[float, float] = (math.nan, math.nan)
    rows: int = 1
    far: int = 0
    unsound: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What one column holds, a run's reading or a mean over runs; or why it holds nothing. Fields as those of a reading."""

    value: float = math.nan
    error: float = math.nan
    doubt: float = math.nan
    freedom: float = CERTAIN
    steady: float = math.nan
    reach: tuple[float, float] = (math.nan, math.nan)
    spread: float = math.nan
    runs: int = 1
    of: int = 1
    far: int = 0
    unsound: int = 0
    rows: int = 0
    missing: str = ""


def reading(points: Floats, rows: int, error: Floats | None, *, share: bool = False) -> Reading:
    """The mean of the last `rows` points with its error. error: the standard error that was logged with each point, None where none was.

    points: all that was read, which may be more: how it usually scatters is learned from up to `USUAL_ROWS` of them.
    share: values lie from 0 to 1, so none of them can be far off.
    """
    values = points[-rows:]
    finite = values[np.isfinite(values)]
    unsound = int(values.size - finite.size)
    if not finite.size:
        return Reading(value=math.nan, rows=int(values.size), unsound=unsound)
    usual = 0.0 if share else _usual(points[-USUAL_ROWS:], finite)
    middle = float(np.median(finite))
    off = np.zeros(finite.size, dtype=bool) if share or finite.size < 3 else np.abs(finite - middle) > FAR * usual
    drawn_in = np.where(off, np.clip(finite, middle - FAR * usual, middle + FAR * usual), finite)
    found = Reading(
        value=float(finite.mean()),
        error=_error(finite),
        doubt=_error(drawn_in),
        freedom=max(1, finite.size - 1),
        steady=float(finite[~off].mean()),
        reach=(float(finite[~off].min()), float(finite[~off].max())),
        rows=int(values.size),
        far=int(off.sum()),
        unsound=unsound,
    )
    single = usual_scatter(points)
    if finite.size == 1 and single > 0:
        # One row has no scatter of its own; that of the rows before it is the best guess.
        found = replace(found, doubt=single, freedom=max(1, min(USUAL_ROWS, int(np.isfinite(points).sum())) - 2))
    return _measured(found, error[-rows:]) if error is not None else found


def _measured(found: Reading, errors: Floats) -> Reading:
    """The reading of what was measured with a known error: the mean of repeated readings on the same pairs is no surer than one of them.

    But where the readings themselves are apart (a run that blew up) that is the larger doubt.
    """
    known = errors[np.isfinite(errors)]
    if not known.size:
        return found
    sampled = math.sqrt(float(np.mean(known**2)))
    if not found.doubt > sampled:
        found = replace(found, doubt=sampled, freedom=CERTAIN)
    return found if found.error > sampled else replace(found, error=sampled)


def _error(values: Floats) -> float:
    """The standard error of the mean; NaN of a single value."""
    return float(values.std(ddof=1)) / math.sqrt(values.size) if values.size > 1 else math.nan


def usual_scatter(points: Floats) -> float:
    """How far a row lies off where the run is calm, learned from the last `USUAL_ROWS`; NaN where there are too few.

    By the lower quartile: of six evaluations two may be of a run that is blowing up, which says nothing about how well they measure.
    """
    finite = points[-USUAL_ROWS:][np.isfinite(points[-USUAL_ROWS:])]
    return _bends(finite, 0.25) if finite.size >= FEWEST_USUAL else math.nan


def _usual(points: Floats, read: Floats) -> float:
    """How a row usually lies off, by medians: around the middle of those read, or from row to row where that is more. 0 where all are equal."""
    around = _MAD_TO_SIGMA * float(np.median(np.abs(read - np.median(read))))
    finite = points[np.isfinite(points)]
    if finite.size < FEWEST_USUAL:
        return around
    return max(around, _bends(finite))


def _bends(values: Floats, share: float = 0.5) -> float:
    """The scatter from row to row, in which a trend or a jump is none: a quantile of second differences (von Neumann 1941 has the first)."""
    bends = np.abs(values[1:-1] - (values[:-2] + values[2:]) / 2)
    return float(np.quantile(bends, share)) / float(ndtri((1 + share) / 2)) / _SECOND_DIFFERENCE


def verdict(signal: Signal, cell: Cell, baseline: Cell) -> str:
    """Better or worse, for signals with a direction, and where a few rows alone make the difference, how many.

    Nothing for a difference that is slight or within its 95 % interval.
    """
    delta = cell.value - baseline.value
    if signal.direction not in ("up", "down") or not _differs(signal, delta, cell, baseline):
        return ""
    word = "better" if (delta > 0) == (signal.direction == "up") else "worse"
    if not cell.far + baseline.far or _differs_without(signal, delta, cell, baseline):
        return word
    return f"{word}, by {_rows(cell)}" if cell.far else f"{word}, by {_rows(baseline)} of the baseline"


def leaders(signal: Signal, cells: Sequence[Cell]) -> frozenset[int]:
    """Places of the best cell and of those that are not worse than it; none where no cell is worse, or the signal has no direction."""
    valued = [place for place, cell in enumerate(cells) if math.isfinite(cell.value)]
    if signal.direction not in ("up", "down") or len(valued) < 2:
        return frozenset()
    best = (max if signal.direction == "up" else min)(valued, key=lambda place: cells[place].value)
    found = frozenset(
        place for place in valued if place == best or not verdict(signal, cells[place], cells[best]).startswith("worse")
    )
    return found if len(found) < len(valued) else frozenset()


def _differs_without(signal: Signal, delta: float, cell: Cell, baseline: Cell) -> bool:
    """Whether the rows that are not far off differ the same way, by their means or because all of one run's lie beyond all of the other's."""
    without = cell.steady - baseline.steady
    apart = cell.reach[0] > baseline.reach[1] or cell.reach[1] < baseline.reach[0]
    return without * delta > 0 and (apart or _differs(signal, without, cell, baseline))


def _rows(cell: Cell) -> str:
    return f"{cell.far} of {cell.rows} rows"


def _differs(signal: Signal, delta: float, cell: Cell, baseline: Cell) -> bool:
    slight = SLIGHT * (1.0 if signal.kind == "percent" else abs(baseline.value))
    return abs(delta) > slight and abs(delta) > _half_width(cell, baseline)


def _half_width(cell: Cell, baseline: Cell) -> float:
    """Half of the 95 % interval of the difference (Welch 1947); what is not known of one side is taken from the other, 0 of neither."""
    known = [one for one in (cell, baseline) if math.isfinite(one.doubt)]
    if all(one.rows == 1 and one.freedom < CERTAIN for one in known):
        # Two single readings of one measure: how sure it is says the calmer run, not the one that swings.
        known = sorted(known, key=lambda one: one.doubt)[:1]
    total = sum(one.doubt**2 for one in known)
    if total == 0:
        return 0.0
    freedom = total**2 / sum(one.doubt**4 / one.freedom for one in known)
    return float(stdtrit(max(1.0, freedom), SURE)) * math.sqrt(total * 2 / len(known))
