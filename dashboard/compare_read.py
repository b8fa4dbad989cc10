"""Reads the runs of a comparison: what each logged, and its curves on the page's axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from runvitals.dashboard.compare_pins import KEY, key_for
from runvitals.dashboard.compare_state import Axis
from runvitals.dashboard.run_body import CLOCK_SIGNALS, clock_key
from runvitals.dashboard.signal_keys import picks
from runvitals.store import Store
from runvitals.store import types as stored
from runvitals.store.types import Envelope, Floats, Ints, Latest, RunInfo

BUCKETS = 400
"""Buckets of a curve that is compared: as fine as a chart over two thirds of the page is wide."""


_BESIDE = ("tokens", "probe_margin_se")
"""Signals that are read beside those that are shown: the axis of tokens, and the error of the held-out margin."""


@dataclass(frozen=True, slots=True)
class Member:
    """One run of the comparison. names: of all that it logged, sorted. keys: the newest points of what the page reads of it.

    best: canonical signal → the key that the run logged it under, of all signals that it logged. chosen: the same of those that the page
    shows, and pin → key of what a reader pinned.
    """

    run: RunInfo
    names: tuple[str, ...]
    keys: Mapping[str, Latest]
    best: Mapping[str, str]
    chosen: Mapping[str, str]

    def timed(self, key: str) -> bool:
        """Whether the key's rows have a time and no step: samples of devices and machines."""
        return self.keys[key].step < 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A series on the page's axis. x: (m,) increasing; mean, low, high: (m,) NaN where no value is finite.

    count: (m,) rows of each bucket. kinds: (m,) bit set of what was not finite: 1 NaN, 2 +Inf, 4 −Inf, 8 None.
    steps: (m,) the step of each bucket's last row. exact: whether each bucket is one row, so that the curve is all that was logged.
    """

    x: Floats
    mean: Floats
    low: Floats
    high: Floats
    count: Ints
    kinds: NDArray[np.uint8]
    steps: Ints
    exact: bool = False


def member(store: Store, run: RunInfo, signals: Sequence[str]) -> Member:
    """The run and which of the signals it logged. Of ten thousand keys only the names are read, and the newest points of a few."""
    names = tuple(store.names(run.id))
    best = picks(names)
    chosen = {signal: best[signal] for signal in signals if signal in best}
    clocks = [best[signal] for signal in CLOCK_SIGNALS if signal in best]
    beside = [best[signal] for signal in _BESIDE if signal in best]
    # Without any of the usual clocks, whatever is logged at steps has to say which step was when.
    only = {*chosen.values(), *clocks, *beside} if clocks else None
    return Member(run=run, names=names, keys=store.keys(run.id, only=only), best=best, chosen=chosen)


def with_pins(store: Store, one: Member, pins: Sequence[str]) -> Member:
    """The run with what it logged of the pinned keys."""
    found = {pin: key for pin in pins if (key := key_for(pin, one.names, one.best)) is not None}
    new = set(found.values()) - one.keys.keys()
    keys = {**one.keys, **store.keys(one.run.id, only=new)} if new else one.keys
    return replace(one, keys=keys, chosen={**one.chosen, **found}) if found else one


def without_pins(one: Member) -> Member:
    """The run as it was before anything was pinned; the points that were read for a pin stay."""
    return replace(one, chosen={name: key for name, key in one.chosen.items() if not name.startswith(KEY)})


@dataclass(slots=True)
class Curves:
    """Curves of the page's runs, read again only where a run's revision has changed; of a pin, that one curve."""

    _kept: dict[str, tuple[object, dict[str, Curve]]] = field(default_factory=dict)

    def of(self, store: Store, one: Member, keys: Sequence[str], axis: Axis, zero_s: float) -> dict[str, Curve]:
        """The run's curves by key; on the axis of tokens they are empty where the run counted none. zero_s: when the first run began."""
        wanted = (one.run.revision, axis, zero_s if axis == "time" else 0.0)
        known = self._kept.get(one.run.id)
        if known is None or known[0] != wanted:
            known = self._kept[one.run.id] = (wanted, {})
        curves = known[1]
        new = [key for key in keys if key not in curves]
        if new:
            curves |= _read(store, one, new, axis, zero_s)
        return {key: curves[key] for key in keys if key in curves}

    def keep_only(self, run_ids: Sequence[str]) -> None:
        """Forgets the curves of all other runs."""
        self._kept = {run_id: kept for run_id, kept in self._kept.items() if run_id in run_ids}


_STORED: Mapping[Axis, stored.Axis] = {
    "step": "step",
    "share": "step",
    "tokens": "tokens",
    "since": "time",
    "time": "time",
}


def _read(store: Store, one: Member, keys: Sequence[str], axis: Axis, zero_s: float) -> dict[str, Curve]:
    start = one.run.created_s if axis == "since" else zero_s if axis == "time" else 0.0
    unit = length(one.run) if axis == "share" else 1.0
    timed = [key for key in keys if one.timed(key)]
    stepped = [key for key in keys if not one.timed(key)]
    found = store.envelope(one.run.id, stepped, n=BUCKETS, axis=_STORED[axis])
    if timed:
        samples = store.envelope(one.run.id, timed, n=BUCKETS, axis="time")
        found |= samples if _STORED[axis] == "time" else _on_steps(store, one, samples, axis)
    return {key: _placed(envelope, start, unit) for key, envelope in found.items()}


def _on_steps(store: Store, one: Member, samples: Mapping[str, Envelope], axis: Axis) -> dict[str, Envelope]:
    """Samples that have a time only, at the steps (or tokens) of that time; before the first step and after the last they have no place."""
    name = clock_key(one.keys)
    clock = store.envelope(one.run.id, [name], n=BUCKETS, axis="time")[name] if name else None
    found = {}
    for key, envelope in samples.items():
        steps = np.full(envelope.x.size, np.nan)
        if clock is not None and clock.x.size:
            steps = np.interp(envelope.x, clock.times_s, clock.steps, left=np.nan, right=np.nan)
        known = np.isfinite(steps)
        rows = np.where(known, steps, -1.0).astype(np.int64)
        x = steps
        if axis == "tokens":
            tokens = store.tokens_at(one.run.id, rows)
            x = np.full(steps.size, np.nan) if tokens is None else np.where(known, tokens, np.nan)
        found[key] = replace(envelope, x=x, steps=rows)
    return found


def _placed(envelope: Envelope, start: float, unit: float) -> Curve:
    x = (envelope.x - start) / unit
    # Rows before the first count of tokens have no place on that axis.
    known = np.isfinite(x)
    return Curve(
        x=x[known],
        mean=envelope.mean[known],
        low=envelope.low[known],
        high=envelope.high[known],
        count=envelope.count[known],
        kinds=envelope.kinds[known],
        steps=envelope.steps[known],
        exact=bool((envelope.count == 1).all() and known.all()),
    )


def length(run: RunInfo) -> float:
    """The steps of the whole run, as planned or, where nobody said, as far as it got; at least 1."""
    return float(max(1, run.max_steps or run.last_step or 1))
