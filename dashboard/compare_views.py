"""Saved views of the Compare page: a name for what an address says, shared by all who open this store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runvitals.store import Store

PAGE = "compare"

_LONGEST_NAME = 100
_LONGEST_QUERY = 8192


def told(store: Store) -> dict[str, Any]:
    """The views as the browser takes them: {views: [{name, query}]}, by name."""
    return {"views": [{"name": view.name, "query": view.query} for view in store.views(PAGE)]}


def take(store: Store, wanted: Mapping[str, Any], *, now_s: float) -> None:
    """Saves `{name, query}`, over one of the same name, or deletes `{name, delete}`. What cannot be a view is left alone."""
    name = str(wanted.get("name", "")).strip()[:_LONGEST_NAME]
    query = str(wanted.get("query", ""))
    if not name or len(query) > _LONGEST_QUERY:
        return
    if wanted.get("delete"):
        store.delete_view(PAGE, name)
    else:
        store.save_view(PAGE, name, query, now_s)
