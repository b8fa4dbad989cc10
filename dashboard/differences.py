"""What differs between runs: unequal settings, and each signal's final and best value against the baseline's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from runvitals.dashboard.formatter import MISSING, number, percent, signed
from runvitals.diagnostics.signals import SIGNALS, Signal, best_key
from runvitals.store import Store
from runvitals.store.types import Floats, Latest, RunInfo

LAST_ROWS = 10
"""A run's final value is the mean of its last rows: one row of a noisy signal says little."""

FIRST = ("trainer", "recipe", "model", "dataset", "injected_fault", "learning_rate", "beta")
"""Settings that explain the most; listed first, also where only some runs have them."""

SLIGHT = 0.02
"""A difference of at most this share of the baseline is called neither better nor worse."""

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
_NOT_SETTINGS = ("output_dir", "run_name", "logging_dir", "hub_model_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Unequal settings as rows {name, values}: those of all runs (and `FIRST`), then those that only some runs have."""

    rows: list[dict[str, Any]]
    some: list[dict[str, Any]]
    equal: int

    @property
    def unequal(self) -> int:
        """How many settings differ."""
        return len(self.rows) + len(self.some)


def settings_table(runs: Sequence[RunInfo]) -> Settings:
    """What differs between the runs' settings, the most telling first."""
    flat = [{"trainer": run.trainer, **_flat(run.config), **_real_steps(run)} for run in runs]
    rows, some, equal = [], [], 0
    for name in sorted({name for one in flat for name in one} - set(_NOT_SETTINGS), key=_telling):
        values = [_text(one.get(name)) for one in flat]
        if all(value == values[0] for value in values):
            equal += 1
        elif MISSING in values and _telling(name)[0] == len(FIRST):
            some.append({"name": name, "values": values})
        else:
            rows.append({"name": name, "values": values})
    return Settings(rows=rows, some=some, equal=equal)


def _real_steps(run: RunInfo) -> dict[str, Any]:
    """The run's length where its `max_steps` only says that epochs or episodes set it."""
    wanted = run.config.get("max_steps")
    return {"max_steps": run.max_steps} if isinstance(wanted, (int, float)) and wanted <= 0 else {}


def _telling(name: str) -> tuple[int, str]:
    """Where a setting stands in the list. `model_name_or_path` and `dataset.revision` are about model and dataset too."""
    for place, word in enumerate(FIRST):
        if name == word or (word in ("model", "dataset") and name.startswith((f"{word}_name", f"{word}."))):
            return place, name
    return len(FIRST), name


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def _text(value: Any) -> str:
    if value is None or value == "":
        return MISSING
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}".replace("e-0", "e-")
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(item) for item in value)
    return str(value)


def signals_table(
    store: Store, runs: Sequence[RunInfo], keys: Mapping[str, Mapping[str, Latest]]
) -> list[dict[str, Any]]:
    """Rows {title, unit, cells} of the signals that at least one run logged; the first cell is the baseline's."""
    rows = []
    for name in SIGNALS_COMPARED:
        signal = SIGNALS.get(name) or SIGNALS[name.removeprefix("eval_")]
        chosen = [best_key(name, keys[run.id]) for run in runs]
        if not any(chosen):
            continue
        finals = [_final(store, run.id, key) for run, key in zip(runs, chosen, strict=True)]
        bests = [_best(signal, keys[run.id], key) for run, key in zip(runs, chosen, strict=True)]
        cells = [_cell(signal, final, finals[0], best) for final, best in zip(finals, bests, strict=True)]
        plain = SIGNALS[name.removeprefix("eval_")]
        title = f"Evaluation {plain.title.lower()}" if name.startswith("eval_") else plain.title
        rows.append({"title": title, "unit": "%" if signal.kind == "percent" else signal.unit, "cells": cells})
    return rows


def _final(store: Store, run_id: str, key: str | None) -> float | None:
    """The mean of the last rows that are finite; NaN where none of them is, None where the run never logged it."""
    if key is None:
        return None
    last_step = store.keys(run_id)[key].step
    points = store.envelope(run_id, [key], n=LAST_ROWS * 20, start=max(0, last_step * 0.9))[key]
    values: Floats = points.mean[-LAST_ROWS:]
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else float("nan")


def _best(signal: Signal, keys: Mapping[str, Latest], key: str | None) -> float | None:
    """The best value of the whole run, for signals with a direction."""
    # The one fastest step of a run says nothing about the run.
    if key is None or signal.group == "throughput" or signal.direction not in ("up", "down"):
        return None
    return keys[key].best_max if signal.direction == "up" else keys[key].best_min


def _cell(signal: Signal, final: float | None, baseline: float | None, best: float | None) -> dict[str, Any]:
    if final is None:
        return {"text": "not logged", "missing": True}
    cell: dict[str, Any] = {"text": _write(signal, final)}
    if best is not None and np.isfinite(best):
        cell["best"] = _write(signal, best)
    if baseline is None or not (np.isfinite(final) and np.isfinite(baseline)):
        return cell
    delta = final - baseline
    cell["delta"] = signed(100 * delta) if signal.kind == "percent" else signed(delta)
    cell["verdict"] = _better(signal, delta, baseline)
    return cell


def _better(signal: Signal, delta: float, baseline: float) -> str:
    """Better or worse, for signals with a direction; nothing for a difference too small to be told from noise."""
    slight = SLIGHT * (1.0 if signal.kind == "percent" else abs(baseline))
    if abs(delta) <= slight or signal.direction not in ("up", "down"):
        return ""
    return "better" if (delta > 0) == (signal.direction == "up") else "worse"


def _write(signal: Signal, value: float) -> str:
    if signal.kind == "percent":
        return percent(value, decimals=1)
    return signed(value) if signal.kind == "signed" else number(value)
