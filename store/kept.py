"""What people keep with runs: tags, a group, a description; and which runs they put away or want deleted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, select, update

from runvitals.collectors.labels import checked_description, checked_group, checked_tag, joined_tags
from runvitals.errors import StoreError, UnknownRun
from runvitals.store.clean_text import clean
from runvitals.store.json_text import dumps, loads
from runvitals.store.schema import runs
from runvitals.store.types import LIVE


def tag_runs(connection: Connection, run_ids: Collection[str], *, add: Sequence[str], remove: Sequence[str]) -> None:
    """Adds and removes tags; a tag differs from another by more than case. Raises UnknownRun, and StoreError for a tag that is none."""
    added, removed = (
        [_judged(checked_tag, one) for one in add],
        {_judged(checked_tag, one).casefold() for one in remove},
    )
    for row in _locked(connection, run_ids):
        standing = [one for one in loads(row.tags) if one.casefold() not in removed]
        try:
            kept = joined_tags(standing, added)
        except ValueError as error:
            raise StoreError(f"run {row.id}: {error}") from None
        _change(connection, row, {"tags": dumps(kept)})


def describe_runs(connection: Connection, run_ids: Collection[str], values: Mapping[str, str]) -> None:
    """Sets `group` or `description` of runs. Raises UnknownRun, and StoreError where one is too long."""
    checks = {"group": checked_group, "description": checked_description}
    changes = {name: _judged(checks[name], value) for name, value in values.items()}
    for row in _locked(connection, run_ids):
        _change(connection, row, changes)


def put_away(connection: Connection, run_ids: Collection[str], archived_s: float | None) -> None:
    """Takes runs out of the list, or with None back into it. Raises UnknownRun."""
    for row in _locked(connection, run_ids):
        if archived_s is None or row.archived_s is None:
            _change(connection, row, {"archived_s": archived_s})


def delete_later(connection: Connection, run_ids: Collection[str], at_s: float | None) -> None:
    """Marks runs to be deleted at a time, or with None takes that back. Raises UnknownRun, and StoreError where one is live."""
    rows = _locked(connection, run_ids)
    live = [row for row in rows if row.status in LIVE]
    if live and at_s is not None:
        raise StoreError(f"run {live[0].id}: is {live[0].status}; end its process before you delete it")
    for row in rows:
        _change(connection, row, {"delete_after_s": at_s})


def due_deletions(connection: Connection, now_s: float) -> list[str]:
    """Ids of the runs whose time to be deleted has come."""
    due = select(runs.c.id).where(runs.c.delete_after_s <= now_s).order_by(runs.c.id)
    return list(connection.execute(due).scalars())


def _judged(check: Callable[[str], str], text: str) -> str:
    """The text as it is kept. Raises StoreError where `check` refuses it."""
    try:
        return check(clean(text))
    except ValueError as error:
        raise StoreError(str(error)) from None


def _locked(connection: Connection, run_ids: Collection[str]) -> list[Row[Any]]:
    """The runs' rows, in an order that two processes share. Raises UnknownRun where one is not there."""
    found = []
    for run_id in sorted(set(run_ids)):
        row = connection.execute(select(runs).where(runs.c.id == run_id).with_for_update()).first()
        if row is None:
            raise UnknownRun(f"run {run_id}: the store has no such run")
        found.append(row)
    return found


def _change(connection: Connection, row: Row[Any], changes: Mapping[str, Any]) -> None:
    """Sets columns of a run; its revision rises where something differs."""
    if any(row._mapping[name] != value for name, value in changes.items()):
        changed = update(runs).where(runs.c.id == row.id)
        connection.execute(changed.values(**changes, revision=runs.c.revision + 1))
