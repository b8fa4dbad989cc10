"""Archived runs that an earlier runvitals wrote, as the tables are now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ADDED: Mapping[str, Mapping[str, Any]] = {
    "runs": {"tags": [], "group": "", "description": "", "archived_s": None},
    "alerts": {"acknowledged_by": ""},
    "notifications": {"sent_s": None},
}
"""Columns of version 2 that a row of version 1 lacks, with what they hold where nobody did anything."""


def as_now(tables: Mapping[str, Any], version: int) -> dict[str, Any]:
    """The tables of a file of this version, with the columns of today. What is no row stays as it is: `restore` names it."""
    found: dict[str, Any] = dict(tables)
    if version > 1:
        return found
    mutes = [_mute(row) for row in _rows(found, "alerts") if row.get("muted_until_s") is not None]
    for name, added in _ADDED.items():
        rows = _rows(found, name)
        if rows:
            found[name] = [{**added, **{key: row[key] for key in row if key != "muted_until_s"}} for row in rows]
    return {**found, "mutes": mutes}


def _rows(tables: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The rows of a table, none where one of them is no row."""
    rows = tables.get(name, [])
    whole = isinstance(rows, list) and all(isinstance(row, Mapping) for row in rows)
    return rows if whole else []


def _mute(alert: Mapping[str, Any]) -> dict[str, Any]:
    """The mute that stood in its alert."""
    return {
        "alert_id": alert.get("id"),
        "rule": None,
        "project": None,
        "since_s": alert.get("onset_s"),
        "until_s": alert["muted_until_s"],
        "who": "",
        "note": "",
        "ended_s": None,
        "ended_by": "",
    }
