"""Mutes: of an alert, a run, a rule or a project, or of several of these at once, each until a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, insert, select, true, update

from runvitals.errors import StoreError
from runvitals.store.schema import alerts, mutes, runs
from runvitals.store.types import AlertRow, Mute

_NAMED = ("alert_id", "run_id", "rule", "project")


def add_mute(connection: Connection, mute: Mute) -> int:
    """The number of the mute, now in the store. A mute of an alert is one of that alert's run. Raises StoreError."""
    if all(getattr(mute, name) is None for name in _NAMED):
        raise StoreError("a mute: expected an alert, a run, a rule or a project; name what it covers")
    if not (math.isfinite(mute.since_s) and math.isfinite(mute.until_s) and mute.since_s < mute.until_s):
        raise StoreError(f"a mute: expected an end after its beginning, got {mute.since_s} to {mute.until_s}")
    if mute.alert_id is not None:
        run_id = connection.execute(select(alerts.c.run_id).where(alerts.c.id == mute.alert_id)).scalar_one_or_none()
        if run_id is None:
            raise StoreError(f"alert {mute.alert_id}: the store has no such alert")
        mute = replace(mute, run_id=run_id)
    values = {name: value for name, value in asdict(mute).items() if name != "id"}
    number = connection.execute(insert(mutes).values(**values)).inserted_primary_key
    _touch_covered(connection, mute)
    return int(number[0]) if number else 0


def end_mute(connection: Connection, mute_id: int, who: str, now_s: float) -> None:
    """Ends a mute before its time; one that has ended stays as it is. Raises StoreError where there is no such mute."""
    row = connection.execute(select(mutes).where(mutes.c.id == mute_id)).first()
    if row is None:
        raise StoreError(f"mute {mute_id}: the store has no such mute")
    if row.ended_s is None:
        connection.execute(update(mutes).where(mutes.c.id == mute_id).values(ended_s=now_s, ended_by=who))
        _touch_covered(connection, Mute(**row._mapping))


def end_mutes_of(connection: Connection, alert_id: str, who: str, now_s: float) -> None:
    """Ends the mutes of this very alert; those of its run, rule or project go on."""
    mine = (mutes.c.alert_id == alert_id) & mutes.c.ended_s.is_(None)
    for mute_id in connection.execute(select(mutes.c.id).where(mine)).scalars().all():
        end_mute(connection, mute_id, who, now_s)


def list_mutes(connection: Connection) -> list[Mute]:
    """All mutes, also those that have ended, the newest first."""
    query = select(mutes).order_by(mutes.c.since_s.desc(), mutes.c.id.desc())
    return [Mute(**row._mapping) for row in connection.execute(query)]


def with_mutes(connection: Connection, found: Sequence[AlertRow]) -> list[AlertRow]:
    """The alerts with `muted_until_s`: the latest end of the mutes that cover each and that nobody ended."""
    standing = [Mute(**row._mapping) for row in connection.execute(select(mutes).where(mutes.c.ended_s.is_(None)))]
    if not standing or not found:
        return list(found)
    projects: dict[str, str] = {}
    if any(mute.project is not None for mute in standing):
        projects = {row.id: row.project for row in connection.execute(select(runs.c.id, runs.c.project))}
    # Most mutes are of one alert: found by its id, a long list of alerts is not compared with each of them.
    of_alert: dict[str, list[Mute]] = {}
    wider = [mute for mute in standing if mute.alert_id is None]
    for mute in standing:
        if mute.alert_id is not None:
            of_alert.setdefault(mute.alert_id, []).append(mute)
    return [_muted(alert, [*of_alert.get(alert.id, ()), *wider], projects.get(alert.run_id, "")) for alert in found]


def _muted(alert: AlertRow, possible: Sequence[Mute], project: str) -> AlertRow:
    ends = [mute.until_s for mute in possible if mute.covers(alert, project)]
    return replace(alert, muted_until_s=max(ends)) if ends else alert


def _touch_covered(connection: Connection, mute: Mute) -> None:
    """Raises the revision of every run with an alert that the mute covers: what lists show of them has changed."""
    covered: list[ColumnElement[bool]] = [true()]
    for column, value in ((alerts.c.id, mute.alert_id), (alerts.c.run_id, mute.run_id), (alerts.c.rule, mute.rule)):
        if value is not None:
            covered.append(column == value)
    which: ColumnElement[Any] = runs.c.id.in_(select(alerts.c.run_id).where(and_(*covered)))
    if mute.project is not None:
        which = which & (runs.c.project == mute.project)
    connection.execute(update(runs).where(which).values(revision=runs.c.revision + 1))
