"""What differs between runs' settings: unequal ones only, nested ones flattened, the most telling first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runvitals.dashboard.formatter import MISSING
from runvitals.store.types import RunInfo

FIRST = ("trainer", "recipe", "model", "dataset", "injected_fault", "learning_rate", "beta")
"""Settings that explain the most; listed first, also where only some runs have them."""

_NOT_SETTINGS = frozenset({"output_dir", "run_name", "logging_dir", "hub_model_id"})

_MOST_VALUES = 8
"""Values of one setting that are told one by one where many runs are compared; a seed has as many as there are runs."""


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
    flat = [flat_settings(run) for run in runs]
    rows, some, equal = [], [], 0
    for name in sorted({name for one in flat for name in one}, key=telling):
        values = [setting_text(one.get(name)) for one in flat]
        if all(value == values[0] for value in values):
            equal += 1
        elif MISSING in values and telling(name)[0] == len(FIRST):
            some.append({"name": name, "values": values})
        else:
            rows.append({"name": name, "values": values})
    return Settings(rows=rows, some=some, equal=equal)


def summed_up(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows of `settings_table` for many runs: each value once with how many runs have it, the most frequent first.

    Rows {name, values: [[text, runs, is_baseline]], more}; more: how many further values there are.
    """
    summed = []
    for row in rows:
        counts: dict[str, int] = {}
        for value in row["values"]:
            counts[value] = counts.get(value, 0) + 1
        ordered = sorted(counts.items(), key=lambda item: -item[1])
        shown = [[text, count, text == row["values"][0]] for text, count in ordered[:_MOST_VALUES]]
        summed.append({"name": row["name"], "values": shown, "more": max(0, len(ordered) - _MOST_VALUES)})
    return summed


def flat_settings(run: RunInfo) -> dict[str, Any]:
    """The run's settings by dotted name, its trainer among them; paths and names of this one run left out."""
    flat = {"trainer": run.trainer, **_flat(run.config), **_real_steps(run)}
    return {name: value for name, value in flat.items() if name not in _NOT_SETTINGS}


def setting_text(value: Any) -> str:
    """A setting's value as people write it; what is not set, and what is empty, is "—"."""
    if value is None or value == "":
        return MISSING
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}".replace("e-0", "e-")
    if isinstance(value, (list, tuple)):
        return ", ".join(setting_text(item) for item in value)
    return str(value)


def telling(name: str) -> tuple[int, str]:
    """Where a setting stands in the list. `model_name_or_path` and `dataset.revision` are about model and dataset too."""
    for place, word in enumerate(FIRST):
        if name == word or (word in ("model", "dataset") and name.startswith((f"{word}_name", f"{word}."))):
            return place, name
    return len(FIRST), name


def _real_steps(run: RunInfo) -> dict[str, Any]:
    """The run's length where its `max_steps` only says that epochs or episodes set it."""
    wanted = run.config.get("max_steps")
    return {"max_steps": run.max_steps} if isinstance(wanted, (int, float)) and wanted <= 0 else {}


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found
