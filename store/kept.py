"""What people keep with runs: tags, a group, a description; and which runs they put away or want deleted."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, select, update

from runvitals.errors import StoreError, UnknownRun
from runvitals.store.clean_text import clean
from runvitals.store.json_text import dumps, loads
from runvitals.store.schema import runs
from runvitals.store.types import LIVE

LONGEST_TAG = 60
"""Characters of a tag or a group: they stand in a row of a list."""

LONGEST_DESCRIPTION = 4000
"""Characters: a paragraph, not a report."""

MOST_TAGS = 50
"""Tags of one run."""


def tag_runs(connection: Connection, run_ids: Collection[str], *, add: Sequence[str], remove: Sequence[str]) -> None:
    """Adds and removes tags; a tag differs from another by more than case. Raises UnknownRun, and StoreError for a tag that is none."""
    added, removed = [_tag(one) for one in add], {_tag(one).casefold() for one in remove}
    for row in _locked(connection, run_ids):
        before = loads(row.tags)
        kept = [one for one in before if one.casefold() not in removed]
        known = {one.casefold() for one in kept}
        for one in added:
            if one.casefold() not in known:
                known.add(one.casefold())
                kept.append(one)
        if len(kept) > MOST_TAGS:
            raise StoreError(f"run {row.id}: expected at most {MOST_TAGS} tags, got {len(kept)}; remove some first")
        _change(connection, row, {"tags": dumps(kept)})


def describe_runs(connection: Connection, run_ids: Collection[str], values: Mapping[str, str]) -> None:
    """Sets `group` or `description` of runs. Raises UnknownRun, and StoreError where one is too long."""
    longest = {"group": LONGEST_TAG, "description": LONGEST_DESCRIPTION}
    changes = {name: clean(value.strip()) for name, value in values.items()}
    for name, value in changes.items():
        if len(value) > longest[name]:
            raise StoreError(f"a run's {name}: expected at most {longest[name]} characters, got {len(value)}")
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


def _tag(text: str) -> str:
    """The tag as it is kept: no space around it. Raises StoreError where it is empty, too long or more than one line."""
    tag = clean(" ".join(text.split()))
    if not 0 < len(tag) <= LONGEST_TAG or "," in tag:
        raise StoreError(f"a tag: expected 1 to {LONGEST_TAG} characters without a comma, got {tag[:LONGEST_TAG]!r}")
    return tag


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
