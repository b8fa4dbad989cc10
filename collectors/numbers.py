"""The slow path of `Run.log`: whatever was logged, as float64 where it can be one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runvitals.collectors.jsonable import MAX_DEPTH, as_key, text
from runvitals.collectors.records import NO_STEP, NONE_VALUE

_INT64_MAX = 2**63 - 1


def as_numbers(values: Any) -> tuple[dict[str, float], list[str]]:
    """The numbers by key, and one sentence for each value that cannot be a number.

    None becomes NONE_VALUE; strings that are numbers, Decimal, numpy and torch scalars become floats; nested dicts are flattened with "/".
    """
    numbers: dict[str, float] = {}
    refused: list[str] = []
    if isinstance(values, Mapping):
        _flatten(dict(values), "", numbers, refused)
    else:
        refused.append(f"expected a dict of numbers, got {type(values).__name__}")
    return numbers, refused


def as_step(step: Any) -> tuple[int, list[str]]:
    """The step as an int64, NO_STEP where there is none, and why it was refused where it was."""
    if step is None:
        return NO_STEP, []
    try:
        whole = int(step)
        if whole != step or abs(whole) > _INT64_MAX:
            raise ValueError
    except Exception:  # noqa: BLE001 - the step's own code, which may raise anything
        return NO_STEP, [f"step: expected a whole number, got {text(step)[:40]!r}; the row was kept without it"]
    return whole, []


def _flatten(values: Mapping[Any, Any], prefix: str, numbers: dict[str, float], refused: list[str]) -> None:
    for key, value in values.items():
        name = prefix + as_key(key)
        if value is None:
            numbers[name] = NONE_VALUE
        elif isinstance(value, Mapping) and name.count("/") < MAX_DEPTH:
            _flatten(value, name + "/", numbers, refused)
        else:
            try:
                numbers[name] = float(value)
            except Exception:  # noqa: BLE001 - the value's own code, which may raise anything
                refused.append(f"{name[:200]}: a {type(value).__name__} cannot be one number")
