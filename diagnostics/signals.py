"""From the keys that libraries log to canonical signals, and back.

`canonical` names the signal of a key, `translate` turns a row into signals, `translation` keeps how for rows with the same keys,
`best_key` picks the key to draw. Keys that mean nothing to us (run summaries, a reward function's own mean) have no signal: they are kept and drawn, and no rule reads them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from runvitals.diagnostics.signal_aliases import ALIASES, DEVICE_ALIASES
from runvitals.diagnostics.signal_table import EVALUATED, SIGNALS, Reference, Signal

__all__ = [
    "NODE",
    "SIGNALS",
    "Device",
    "Reference",
    "Signal",
    "Translation",
    "best_key",
    "best_keys",
    "canonical",
    "device",
    "translate",
    "translation",
]

NODE = "node/"
"""What the keys of machines other than the first rank's begin with: `node/<host>/gpu/0/power_w`."""

_EXACT: dict[str, tuple[str, int]] = {
    key: (signal, rank) for signal, keys in ALIASES.items() for rank, key in enumerate(keys)
}
_CORRECTED = "corrected/"
_TRAIN_PREFIXES = ("train/", "training/")
_EVAL_PREFIXES = ("eval/", "eval_", "validation/", "val/")
_EVALUATED = frozenset(EVALUATED)
_DEVICE = re.compile(r"(?:node/([^/]+)/)?(?:system[./])?gpu([/.])(\d+)\2(\w+)", re.ASCII)
# A prefixed key stands behind every plain one, a corrected one before.
_PREFIX_RANK = 100
_CORRECTED_RANK = -1000
# Devices of another node stand behind all of the first rank's.
_NODE_RANK = 10_000


@dataclass(frozen=True, slots=True, order=True)
class Device:
    """A device of a run, in the order in which people count them. node: its host, "" on the first rank's machine."""

    node: str
    index: int

    def __str__(self) -> str:
        """`3`, or `worker-1/3` on another node."""
        return f"{self.node}/{self.index}" if self.node else str(self.index)


@dataclass(frozen=True, slots=True)
class Translation:
    """How rows with one set of keys become signals: those that one key gives, and device signals that several give."""

    single: tuple[tuple[str, str], ...]
    devices: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def signals(self) -> tuple[str, ...]:
        """The signals that such rows give, in the order in which `of` gives them."""
        return tuple(signal for signal, _ in self.single + self.devices)

    def of(self, values: Mapping[str, float | None]) -> dict[str, float | None]:
        """A row with these keys as signals; see `translate`."""
        signals = {signal: values[key] for signal, key in self.single}
        for signal, keys in self.devices:
            signals[signal] = _over_devices(signal, [values[key] for key in keys])
        return signals


def canonical(key: str) -> str | None:
    """The signal that a key stands for, or None. Device keys give the signal without its device; see `device`."""
    found = _find(key)
    return None if found is None else found[0]


@lru_cache(maxsize=4096)
def device(key: str) -> tuple[str, Device] | None:
    """The signal and the device of a per-device key (`gpu/3/power_w`, `node/worker-1/gpu/3/power_w`), else None."""
    match = _DEVICE.fullmatch(key)
    if match is None or match[4] not in DEVICE_ALIASES:
        return None
    return DEVICE_ALIASES[match[4]], Device(match[1] or "", int(match[3]))


def translate(values: Mapping[str, float | None]) -> dict[str, float | None]:
    """A row as signals. Of several keys for one signal a corrected one wins, then the trainer's own, then ours.

    A signal of several devices is their mean (`gpu_throttled`: the largest); a rule that needs each device reads the raw row
    with `device`. Values pass as they are: None stays None, NaN stays NaN.
    """
    return translation(tuple(values)).of(values)


def best_key(signal: str, keys: Iterable[str]) -> str | None:
    """The key to draw for a signal among those a run has, or None where it logs none. Of devices, the lowest."""
    best: tuple[int, str] | None = None
    for key in keys:
        found = _find(key)
        if found is not None and found[0] == signal and (best is None or (found[1], key) < best):
            best = (found[1], key)
    return None if best is None else best[1]


def best_keys(keys: Iterable[str]) -> dict[str, str]:
    """For every signal that the keys give, the key that `best_key` picks: all signals in one pass over the keys."""
    best: dict[str, tuple[int, str]] = {}
    for key in keys:
        found = _find(key)
        if found is None:
            continue
        signal, rank = found
        if signal not in best or (rank, key) < best[signal]:
            best[signal] = (rank, key)
    return {signal: key for signal, (_, key) in best.items()}


@lru_cache(maxsize=4096)
def _find(key: str) -> tuple[str, int] | None:
    """Signal and rank of a key; the lower rank wins."""
    exact = _EXACT.get(key)
    if exact is not None:
        return exact
    if key.startswith(_CORRECTED):
        return _stripped(key, _CORRECTED, _CORRECTED_RANK)
    on_device = device(key)
    if on_device is not None:
        signal, place = on_device
        return signal, place.index + (_NODE_RANK if place.node else 0)
    for prefix in _TRAIN_PREFIXES:
        if key.startswith(prefix):
            return _stripped(key, prefix, _PREFIX_RANK)
    for prefix in _EVAL_PREFIXES:
        if key.startswith(prefix):
            inner = _EXACT.get(key.removeprefix(prefix))
            return (f"eval_{inner[0]}", inner[1]) if inner is not None and inner[0] in _EVALUATED else None
    return None


def _stripped(key: str, prefix: str, rank: int) -> tuple[str, int] | None:
    inner = _find(key.removeprefix(prefix))
    return None if inner is None else (inner[0], inner[1] + rank)


@lru_cache(maxsize=1024)
def translation(keys: tuple[str, ...]) -> Translation:
    """The translation of rows with these keys; the same few sets come again and again, so it is worth keeping."""
    best: dict[str, tuple[int, str]] = {}
    on_devices: dict[str, list[str]] = {}
    for key in keys:
        found = _find(key)
        if found is None:
            continue
        signal, rank = found
        if device(key) is not None:
            on_devices.setdefault(signal, []).append(key)
        elif signal not in best or rank < best[signal][0]:
            best[signal] = (rank, key)
    return Translation(
        single=tuple((signal, key) for signal, (_, key) in best.items()),
        devices=tuple((signal, tuple(found)) for signal, found in on_devices.items()),
    )


def _over_devices(signal: str, values: list[float | None]) -> float | None:
    """Mean over the devices that gave a finite number; the largest for the bit mask of throttle reasons."""
    finite = [value for value in values if value is not None and math.isfinite(value)]
    if not finite:
        return values[0]
    return max(finite) if signal == "gpu_throttled" else sum(finite) / len(finite)
