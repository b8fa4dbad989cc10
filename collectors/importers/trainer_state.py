"""Reads `trainer_state.json`, which transformers' Trainer writes into every checkpoint."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from runvitals.errors import LogFileError

FILE_NAME = "trainer_state.json"
_CHECKPOINT = re.compile(r"checkpoint-(\d+)", re.ASCII)
_WORDS = frozenset({"nan", "inf", "-inf", "infinity", "-infinity"})
"""What some writers put in a string because JSON has no such numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRow:
    """What was logged at once. A None is a null of the file; NaN and infinities are what they are."""

    step: int
    values: Mapping[str, float | None]

    @property
    def is_evaluation(self) -> bool:
        """True for the row of an evaluation."""
        return _evaluates(tuple(self.values))


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerState:
    """A log without times. `skipped`: records that have no step or no number and say nothing."""

    path: Path
    rows: tuple[LoggedRow, ...]
    global_step: int | None
    max_steps: int | None
    skipped: int


def read_trainer_state(path: Path) -> TrainerState:
    """The log of a file, of a checkpoint folder, or of the newest checkpoint in a folder of them.

    The record with which transformers sums up a finished run is left out. A null counts as a fact (None), but not where the key is
    null in every record or, in the record of an evaluation, is not one of the evaluation's: such nulls come from padding a table.
    Raises LogFileError where there is no such file, or it is not what transformers writes.
    """
    found = find_trainer_state(path)
    state = _parsed(found)
    records = state.get("log_history") if isinstance(state, dict) else None
    if not isinstance(records, list):
        came = f"an object without one (keys: {_some(state)})" if isinstance(state, dict) else f"a {_kind(state)}"
        raise LogFileError(
            f"{found}: expected a JSON object with a list 'log_history', as transformers writes it, got {came}"
        )
    rows = _rows(records)
    if not rows:
        raise LogFileError(
            f"{found}: expected records with a step and numbers in 'log_history', got {len(records)} without. "
            "Was logging off (logging_strategy='no'), or the checkpoint saved before the first log?"
        )
    summaries = sum(1 for record in records if isinstance(record, dict) and _is_summary(record))
    return TrainerState(
        path=found,
        rows=tuple(rows),
        global_step=_whole(state.get("global_step")),
        max_steps=_whole(state.get("max_steps")) or None,
        skipped=len(records) - len(rows) - summaries,
    )


def find_trainer_state(path: Path) -> Path:
    """The file itself, the one in a checkpoint folder, or the one of the newest checkpoint in a folder. Raises LogFileError."""
    if not path.is_dir():
        return path
    if (path / FILE_NAME).is_file():
        return path / FILE_NAME
    checkpoints = [(int(match[1]), child) for child in path.iterdir() if (match := _CHECKPOINT.fullmatch(child.name))]
    for _, folder in sorted(checkpoints, reverse=True):
        if (folder / FILE_NAME).is_file():
            return folder / FILE_NAME
    raise LogFileError(
        f"{path}: expected a folder with {FILE_NAME}, or with checkpoint-<step> folders that hold one, got neither"
    )


def _parsed(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise LogFileError(f"{path}: expected JSON in UTF-8, got bytes that are no text (at {error.start})") from error
    except OSError as error:
        raise LogFileError(f"{path}: expected a file that can be read, got: {error.strerror or error}") from error
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        is_torn = text.lstrip().startswith("{") and not text.rstrip().endswith("}")
        torn = " The file seems cut off; take an earlier checkpoint's." if is_torn else ""
        raise LogFileError(f"{path}: expected JSON, got: {error.msg} in line {error.lineno}.{torn}") from error
    except (RecursionError, ValueError) as error:  # brackets without end, or a number of thousands of digits
        raise LogFileError(
            f"{path}: expected the JSON of a trainer, got something no trainer writes: {error}"
        ) from error


def _rows(records: Iterable[Any]) -> list[LoggedRow]:
    numbered = [(step, _numbers(record)) for record in records if (step := _step_of(record)) is not None]
    told = {key for _, values in numbered for key, value in values.items() if value is not None}
    kept = ((step, _without_padding(values, told) if None in values.values() else values) for step, values in numbered)
    return [LoggedRow(step=step, values=values) for step, values in kept if values]


def _without_padding(values: Mapping[str, float | None], told: Set[str]) -> dict[str, float | None]:
    """The values but for nulls that are no facts. told: keys that hold a number somewhere in the file."""
    evaluates = _evaluates(tuple(key for key, value in values.items() if value is not None))
    return {
        key: value
        for key, value in values.items()
        if value is not None or (key in told and (not evaluates or key.startswith("eval_")))
    }


@lru_cache(maxsize=256)
def _evaluates(keys: tuple[str, ...]) -> bool:
    """True for the keys of an evaluation's row; the same few sets come again and again."""
    return any(key.startswith("eval_") for key in keys)


def _step_of(record: Any) -> int | None:
    """The step of a record that is a row; None for one that is not."""
    if not isinstance(record, dict) or _is_summary(record):
        return None
    return _whole(record.get("step"))


def _is_summary(record: Mapping[str, Any]) -> bool:
    return "train_loss" in record and "train_runtime" in record


def _numbers(record: Mapping[str, Any]) -> dict[str, float | None]:
    values: dict[str, float | None] = {}
    for key, value in record.items():
        if type(value) is float:  # nearly all of them
            values[key] = value
        elif key == "step" or isinstance(value, bool):
            continue
        elif value is None:
            values[key] = None
        elif isinstance(value, int | float) or (isinstance(value, str) and value.strip().lower() in _WORDS):
            values[key] = _float(value)
    values.pop("step", None)
    return values


def _float(value: float | str) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number beyond what a float holds
        return float("inf") if float(str(value)[:2]) > 0 else float("-inf")


def _whole(value: Any) -> int | None:
    """A step: a whole number from 0 on; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0 or value == float("inf"):
        return None
    return int(value)


def _kind(value: Any) -> str:
    return {list: "list", str: "string", type(None): "null"}.get(type(value), "number")


def _some(state: Mapping[str, Any]) -> str:
    return ", ".join(repr(str(key)[:30]) for key in list(state)[:5]) or "none"
