"""What people do on the Runs page with the runs that they chose, and what the page says of it afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runvitals.dashboard.formatter import count
from runvitals.errors import StoreError
from runvitals.store import Store
from runvitals.store.types import LIVE

UNDO_S = 600.0
"""How long a deletion can be taken back: time to notice, and to find out what is missing."""

PAGE = "runs"
"""Under this name the page keeps its views."""

_SAID = {
    "archive": "archived: out of the list, nothing removed",
    "unarchive": "back in the list",
    "undelete": "kept",
}


def act(store: Store, told: Mapping[str, Any], run_ids: Sequence[str], *, now_s: float) -> dict[str, Any]:
    """Does what the browser asks with these runs: what to say of it, the deed that takes it back (`undo`), until when (`until_s`).

    Raises StoreError where the store refuses it.

    told: `{"do": …}` with tag and untag (`text`), group (`text`), describe (`text`), archive, unarchive, delete, undelete, save_view
    (`name`, `text`), forget_view (`name`). What is none of these does nothing.
    """
    text = str(told.get("text") or "")
    what = {
        "tag": lambda: store.tag_runs(run_ids, add=_tags(text)),
        "untag": lambda: store.tag_runs(run_ids, remove=[text]),
        "group": lambda: store.group_runs(run_ids, text),
        "describe": lambda: store.describe_run(run_ids[0], text),
        "archive": lambda: store.archive_runs(run_ids, now_s),
        "unarchive": lambda: store.archive_runs(run_ids, None),
        "undelete": lambda: store.delete_later(run_ids, None),
    }
    do = str(told.get("do"))
    if do == "save_view":
        store.save_view(PAGE, str(told.get("name") or ""), text, now_s)
        return {"text": ""}
    if do == "forget_view":
        store.delete_view(PAGE, str(told.get("name") or ""))
        return {"text": ""}
    if not run_ids or (do == "describe" and len(run_ids) != 1):
        return {"text": ""}
    if do == "delete":
        return _delete(store, run_ids, now_s)
    if do in what:
        what[do]()
    undo = {"do": "unarchive", "ids": list(run_ids)} if do == "archive" else None
    return {"text": f"{_runs(len(run_ids))} {_SAID[do]}" if do in _SAID else "", "undo": undo}


def _tags(text: str) -> list[str]:
    """Tags as they are typed: several with commas between."""
    return [one for one in text.split(",") if one.strip()]


def _delete(store: Store, run_ids: Sequence[str], now_s: float) -> dict[str, Any]:
    """Marks those that have ended to be deleted, and says which were left. Raises StoreError where all are live."""
    runs = store.runs(ids=run_ids)
    ended = [run.id for run in runs if run.status not in LIVE]
    live = len(runs) - len(ended)
    if not ended:
        raise StoreError(f"{_runs(live)} still live: end the process first, then delete")
    store.delete_later(ended, now_s + UNDO_S)
    left = f"; {_runs(live)} left, still live" if live else ""
    undo = {"do": "undelete", "ids": ended}
    return {"text": f"{_runs(len(ended))} deleted{left}", "undo": undo, "until_s": now_s + UNDO_S}


def _runs(number: int) -> str:
    return f"{count(number)} {'run' if number == 1 else 'runs'}"
