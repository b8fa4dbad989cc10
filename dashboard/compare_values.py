"""The table of a comparison: each signal at its last rows, at its best or at one step, and the difference from the baseline."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from runvitals.dashboard.compare_judge import (
    CERTAIN,
    USUAL_ROWS,
    Cell,
    Reading,
    leaders,
    reading,
    usual_scatter,
    verdict,
)
from runvitals.dashboard.compare_pins import KEY, keys_pinned, signal_of_pin, title_of_pin
from runvitals.dashboard.compare_read import Curve, Member
from runvitals.dashboard.formatter import count, number, percent, signed
from runvitals.diagnostics.signals import SIGNALS, Signal, canonical
from runvitals.store import Store
from runvitals.store.types import Floats

LAST_ROWS = 10
"""A value is the mean of this many rows: one row of a noisy signal says little."""

LAST_SHARE = 10
"""But of no more than a tenth of a series' rows: what is measured a dozen times is read at its last row."""

SIGNALS_COMPARED = (
    "probe_margin",
    "reward_margin",
    "probe_accuracy",
    "reward_accuracy",
    "loss",
    "eval_loss",
    "logps_chosen",
    "reward",
    "sequence_kl",
    "kl",
    "entropy",
    "grad_norm",
    "step_time_s",
    "tokens_per_s",
)

_ERRORS = {"probe_margin": "probe_margin_se"}
"""Signals whose standard error is logged beside them."""

_OWN_OF_TRAINER = frozenset({"loss", "eval_loss", "grad_norm"})

GOOD = {"up": "higher is better", "down": "lower is better"}
"""Which way is good, in words; of the other signals nobody can say so."""

NO_BEST = "no best"
"""In place of the best value of a signal that has none; a row of nothing else is left out."""

At = Literal["last", "best"] | int


def signals_of(members: Iterable[Member]) -> list[str]:
    """The compared signals that at least one run logged, and pinned keys that are none of them."""
    logged = dict.fromkeys(signal for one in members for signal in one.chosen)
    compared = [name for name in SIGNALS_COMPARED if name in logged]
    keys = {one.chosen[name] for one in members for name in compared if name in one.chosen}
    own = [
        name
        for name in keys_pinned(logged)
        if any(name in one.chosen and one.chosen[name] not in keys for one in members)
    ]
    return [*compared, *own]


def signal_of(name: str) -> Signal:
    """The signal, of an evaluation its training twin, of a pin what is known of its key."""
    if name.startswith(KEY):
        return signal_of_pin(name)
    return SIGNALS.get(name) or SIGNALS[name.removeprefix("eval_")]


def readings(store: Store, one: Member, at: At, curves: Mapping[str, Curve]) -> dict[str, Reading | str]:
    """Signal → what the run has there, or a word for why there is nothing. A signal that the run never logged is left out.

    curves: what has been read of the run; where a curve is all that was logged, nothing is read again.
    """
    wanted = {name: key for name, key in one.chosen.items() if name in SIGNALS_COMPARED or name.startswith(KEY)}
    if at == "best":
        return {name: _best(one, name, key, curves.get(key)) for name, key in wanted.items()}
    errors = {
        name: key for name, signal in _ERRORS.items() if name in wanted and (key := one.best.get(signal)) is not None
    }
    keys = {*wanted.values(), *errors.values()}
    points = {key: _exact(curve, at) for key, curve in curves.items() if key in keys and curve.exact}
    points |= _tails(store, one, keys - points.keys(), at)
    found: dict[str, Reading | str] = {}
    for name, key in wanted.items():
        last = one.keys[key].step
        if isinstance(at, int) and one.timed(key):
            found[name] = "logged without steps"
        elif isinstance(at, int) and last < at:
            found[name] = f"ends at {count(last)}"
        else:
            error = points.get(errors.get(name, ""))
            share = signal_of(name).kind == "percent"
            found[name] = reading(points[key], _rows(one.keys[key].count), error, share=share)
    return found


def table(
    readings_of: Sequence[Mapping[str, Reading | str]],
    bests_of: Sequence[Mapping[str, Reading | str]],
    columns: Sequence[Sequence[int]],
    members: Sequence[Member],
) -> list[dict[str, Any]]:
    """Rows {name, title, unit, cells} of the signals; a column is a run or a group of runs (places in the list), the first is the baseline.

    Across trainers a loss is told with its difference but called neither better nor worse: it is not the same quantity.
    """
    rows = []
    for name in signals_of(members):
        signal = signal_of(name)
        alike = [comparable(name, members, (*columns[0], *column)) for column in columns]
        cells = [_cell(readings_of, column, name) for column in columns]
        if all(cell.missing for cell in cells) and any(cell.missing == NO_BEST for cell in cells):
            continue
        whole = comparable(name, members, [place for column in columns for place in column])
        leads = leaders(signal, cells) if whole else frozenset[int]()
        bests = [_cell(bests_of, column, name) for column in columns] if bests_of else [None] * len(cells)
        rows.append(
            {
                "name": name,
                "title": title_of(name),
                "unit": "%" if signal.kind == "percent" else signal.unit,
                "good": GOOD.get(signal.direction, ""),
                "cells": [
                    _told(signal, cell, cells[0], best)
                    | ({} if judged else {"verdict": ""})
                    | ({"lead": True} if place in leads else {})
                    for place, (cell, best, judged) in enumerate(zip(cells, bests, alike, strict=True))
                ],
            }
        )
    return rows


def comparable(name: str, members: Sequence[Member], places: Sequence[int]) -> bool:
    """Whether the signal is one quantity over these runs: a loss and its gradient are what the trainer makes them."""
    plain = canonical(name.removeprefix(KEY)) if name.startswith(KEY) else name
    return plain not in _OWN_OF_TRAINER or len({members[place].run.trainer for place in places}) == 1


def title_of(name: str) -> str:
    """The signal's title; an evaluation says that it is one."""
    if name.startswith(KEY):
        return title_of_pin(name)
    title = signal_of(name.removeprefix("eval_")).title
    return f"Evaluation {title.lower()}" if name.startswith("eval_") else title


def _rows(count_of: int) -> int:
    return max(1, min(LAST_ROWS, count_of // LAST_SHARE))


def _exact(curve: Curve, at: At) -> Floats:
    """The values of a curve that is all that was logged, up to the step `at`."""
    return curve.mean[curve.steps <= at] if isinstance(at, int) else curve.mean


def _tails(store: Store, one: Member, keys: set[str], at: At) -> dict[str, Floats]:
    """The last few exact rows of each series, up to the step `at`. Series that were logged together are read together."""
    alike: dict[tuple[int, int, bool], list[str]] = {}
    for key in sorted(keys):
        timed = one.timed(key)
        alike.setdefault((one.keys[key].count, -1 if timed else one.keys[key].step, timed), []).append(key)
    found: dict[str, Floats] = {}
    for (rows, last, timed), together in alike.items():
        if timed:
            span = _Span("time", one.run.created_s, max(one.keys[key].time_s for key in together))
        else:
            span = _Span("step", 0.0, min(last, at) if isinstance(at, int) else last)
        long = span.stop - span.start + 1 if timed else last + 1
        found |= _tail(store, one.run.id, together, span=span, stride=max(1.0, long / max(1, rows)))
    return found


@dataclass(frozen=True, slots=True)
class _Span:
    axis: Literal["step", "time"]
    start: float
    stop: float


def _tail(store: Store, run_id: str, keys: list[str], *, span: _Span, stride: float) -> dict[str, Floats]:
    """At least `USUAL_ROWS` rows up to the end, or all there are. Rows need not be even: where they were denser early on, it looks further back."""
    width = 1.5 * stride * USUAL_ROWS
    while True:
        start = max(span.start, span.stop - width)
        points = store.read_many(run_id, keys, start=start, stop=span.stop, axis=span.axis)
        if start == span.start or min(found.values.size for found in points.values()) >= USUAL_ROWS:
            return {key: found.values for key, found in points.items()}
        width *= 8


def _best(one: Member, name: str, key: str, curve: Curve | None) -> Reading | str:
    """The best value of the whole run, for signals with a direction; as sure as the run's curve is smooth, where it is known."""
    signal = signal_of(name)
    # The one fastest step of a run says nothing about the run.
    if signal.group == "throughput" or signal.direction not in ("up", "down"):
        return NO_BEST
    latest = one.keys[key]
    value = latest.best_max if signal.direction == "up" else latest.best_min
    doubt = math.nan if curve is None else usual_scatter(curve.mean)
    return Reading(value=value, doubt=doubt, freedom=USUAL_ROWS - 2, unsound=latest.nonfinite)


def _cell(readings_of: Sequence[Mapping[str, Reading | str]], column: Sequence[int], name: str) -> Cell:
    told = [readings_of[place].get(name, "not logged") for place in column]
    read = [one for one in told if isinstance(one, Reading)]
    sound = [one for one in read if math.isfinite(one.value)]
    if not read:
        return Cell(missing=str(told[0]))
    unsound, rows = sum(one.unsound for one in read), sum(one.rows for one in read)
    if len(column) == 1:
        (only,) = read
        told_of = ("value", "error", "doubt", "freedom", "steady", "reach", "far")
        return Cell(**{name: getattr(only, name) for name in told_of}, unsound=unsound, rows=rows)
    values = np.array([one.value for one in sound])
    spread = float(values.std(ddof=1)) if values.size > 1 else math.nan
    error = spread / math.sqrt(values.size) if values.size > 1 else math.nan
    return Cell(
        value=float(values.mean()) if values.size else math.nan,
        spread=spread,
        error=error,
        doubt=error,
        freedom=values.size - 1 if values.size > 1 else CERTAIN,
        runs=int(values.size),
        of=len(column),
        unsound=unsound,
        rows=rows,
    )


def _told(signal: Signal, cell: Cell, baseline: Cell, best: Cell | None) -> dict[str, Any]:
    if cell.missing:
        return {"text": cell.missing, "missing": True}
    told: dict[str, Any] = {
        "text": _written(signal, cell.value),
        "value": cell.value if math.isfinite(cell.value) else None,
    }
    notes = []
    if cell.of > 1:
        if math.isfinite(cell.spread):
            told["spread"] = f"± {_plain(signal, cell.spread)}"
        notes.append(f"n {cell.runs}" if cell.runs == cell.of else f"n {cell.runs} of {cell.of}")
    elif signal.name in _ERRORS and math.isfinite(cell.error):
        told["spread"] = f"± {_plain(signal, cell.error)}"
    if cell.unsound and cell.rows > cell.unsound:
        notes.append(f"{cell.unsound} of {cell.rows} rows not finite")
    if best is not None and not best.missing and math.isfinite(best.value):
        notes.append(f"best {_written(signal, best.value)}")
    if notes:
        told["note"] = " · ".join(notes)
    if cell is baseline or baseline.missing or not (math.isfinite(cell.value) and math.isfinite(baseline.value)):
        return told
    delta = cell.value - baseline.value
    told["delta"] = signed(100 * delta) if signal.kind == "percent" else signed(delta)
    told["verdict"] = verdict(signal, cell, baseline)
    return told


def _written(signal: Signal, value: float) -> str:
    if signal.kind == "percent":
        return percent(value, decimals=1)
    return signed(value) if signal.kind == "signed" else number(value)


def _plain(signal: Signal, value: float) -> str:
    return percent(value, decimals=1) if signal.kind == "percent" else number(value, digits=2)
