"""Tags, group and description of a run, on the run's own page: what they are, and what a reader changes of them."""

from __future__ import annotations

from typing import Any

from runvitals.dashboard.run_actions import act
from runvitals.errors import StoreError
from runvitals.store import Store
from runvitals.store.types import RunInfo

DEEDS = frozenset({"tag", "untag", "group", "describe"})
"""What the page may ask for; the rest of `run_actions` is done on the Runs page, where it can be taken back."""


def labels_json(run: RunInfo, *, said: str = "") -> dict[str, Any]:
    """What stands under the run's name. said: why the last change was refused, "" where it was not."""
    return {
        "tags": list(run.tags),
        "group": run.group,
        "description": run.description,
        "archived": run.archived_s is not None,
        "delete_after_s": run.delete_after_s,
        "said": said,
    }


def change(store: Store, told: Any, run_id: str, *, now_s: float) -> str:
    """Does what the browser asks with this run, and says why where the store refuses it. What is no such deed does nothing.

    told: `{"do", "text", "run"}`; `run` is the one that the reader saw, so that a late word changes no other.
    """
    if not isinstance(told, dict) or told.get("do") not in DEEDS or told.get("run") != run_id:
        return ""
    try:
        act(store, told, [run_id], now_s=now_s)
    except StoreError as error:
        return f"Not done: {error}"
    return ""
