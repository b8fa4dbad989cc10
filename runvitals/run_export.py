"""`runvitals runs --json`: runs for other programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from runvitals.diagnostics.convert import number_to_json
from runvitals.found_runs import found_runs
from runvitals.settings import Settings
from runvitals.store.open import open_store
from runvitals.store.types import RunInfo
from runvitals.tables import make_console


def print_json(settings: Settings, query: str = "") -> None:
    """Prints the runs that answer a query as JSON, newest first, one a line; nothing where none does."""
    write = make_console().file.write
    for run in found_runs(open_store(settings.store), query):
        write(json.dumps(as_plain(run), allow_nan=False) + "\n")


def as_plain(run: RunInfo) -> dict[str, Any]:
    """A run as JSON values, times in seconds since 1970. Numbers of its settings that are none are words ("NaN")."""
    found: dict[str, Any] = _in_words(
        {
            "id": run.id,
            "name": run.name,
            "project": run.project,
            "trainer": run.trainer,
            "health": run.health,
            "status": run.status,
            "finding": run.finding,
            "alerts": run.alerts,
            "step": run.last_step,
            "max_steps": run.max_steps,
            "created_s": run.created_s,
            "last_step_s": run.last_step_s,
            "ended_s": run.ended_s,
            "tags": run.tags,
            "group": run.group,
            "description": run.description,
            "config": run.config,
        }
    )
    return found


def _in_words(value: Any) -> Any:
    """The value with a word for each number that JSON does not have."""
    if isinstance(value, float):
        return number_to_json(value)
    if isinstance(value, Mapping):
        return {key: _in_words(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_in_words(item) for item in value]
    return value
