"""Alerts as the engine derives them and as people treat them: neither side ever overwrites the other's columns."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import Column, Connection, Row, Select, func, select, update

from runvitals.errors import StoreError
from runvitals.store.clean_text import clean, cleaned
from runvitals.store.database import Database
from runvitals.store.json_text import dumps, loads
from runvitals.store.mutes import with_mutes
from runvitals.store.runs import touch_run
from runvitals.store.schema import alerts
from runvitals.store.types import AlertRow

_PEOPLES = ("acknowledged_s", "acknowledged_note", "acknowledged_by", "feedback", "ticked", "history")
_WORST_FIRST = {"critical": 0, "warning": 1, "info": 2}
_IDS_AT_ONCE = 500
"""How many ids one statement asks for: databases take only so many parameters."""


def put_alerts(database: Database, connection: Connection, rows: Sequence[AlertRow]) -> None:
    """Inserts or updates alerts by id. Rows that say nothing new change nothing; what people did stays."""
    if not rows:
        return
    query = select(alerts).with_for_update()
    stored = {row.id: row for row in _by_ids(connection, query, [row.id for row in rows])}
    changed = [found for row in rows if (found := _merged(stored.get(clean(row.id)), row)) is not None]
    database.upsert(connection, alerts, changed)
    for run_id in sorted({values["run_id"] for values in changed}):
        touch_run(connection, run_id)


def _merged(stored: Row[Any] | None, row: AlertRow) -> dict[str, Any] | None:
    """The alert's columns after the engine said `row`; None where nothing changes."""
    values = {name: cleaned(value) for name, value in asdict(row).items()}
    del values["muted_until_s"]  # follows from the mutes
    values["detail"] = dumps(row.detail)
    engines = {name: value for name, value in values.items() if name not in _PEOPLES}
    if stored is None:
        peoples = {name: values[name] for name in _PEOPLES} | {"ticked": dumps(list(row.ticked))}
        return {**engines, **peoples, "history": _history(list(row.history), row)}
    if all(stored._mapping[name] == value for name, value in engines.items()):
        return None
    peoples = {name: stored._mapping[name] for name in _PEOPLES}
    if (stored.state, stored.severity) != (row.state, row.severity):
        peoples["history"] = _history(loads(stored.history), row)
    return {**engines, **peoples}


def _history(before: list[Any], row: AlertRow) -> str:
    """The history with the alert's present state appended, at the newest moment that the alert knows."""
    if row.state == "resolved" and row.fired_s is not None and not any(_tells_firing(entry) for entry in before):
        # It came and went between two looks of the watcher: the history says both all the same.
        before = loads(_history(before, replace(row, state="firing")))
    moments = {"resolved": row.resolved_s, "firing": row.fired_s, "pending": row.onset_s}
    steps = {"resolved": row.resolved_step, "firing": row.fired_step, "pending": row.onset_step}
    time_s = moments[row.state] if moments[row.state] is not None else row.onset_s
    step = steps[row.state]
    # The severity rose: the engine froze the evidence anew at that step, and says no time of it.
    rose = row.state == "firing" and any(_tells_firing(entry) for entry in before)
    if rose:
        step = _frozen_at(row)
    if before and before[-1]["time_s"] > time_s:
        time_s = before[-1]["time_s"]  # it cannot be earlier than what came before
    kind = "severity" if rose else row.state
    entry = {"time_s": time_s, "step": step, "kind": kind, "text": f"{row.state}, {row.severity}", "who": ""}
    return dumps([*before, entry])


def _tells_firing(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of a history is of the engine's that says the alert fired."""
    return str(entry["text"]).startswith("firing")


def _frozen_at(row: AlertRow) -> int | None:
    """The step up to which the evidence goes."""
    window = (row.detail.get("evidence") or {}).get("window") or (None, None)
    return window[1] if isinstance(window[1], int) else None


def list_alerts(
    connection: Connection,
    *,
    run_ids: Collection[str] | None = None,
    states: Collection[str] | None = None,
    ids: Collection[str] | None = None,
) -> list[AlertRow]:
    """Alerts, the newest onset first and the worse first among equals."""
    query = select(alerts)
    if states is not None:
        query = query.where(alerts.c.state.in_(list(states)))
    if ids is not None:
        found = _by_ids(connection, query, ids)
        found = found if run_ids is None else [row for row in found if row.run_id in run_ids]
    elif run_ids is not None:
        found = _by_ids(connection, query, run_ids, column=alerts.c.run_id)
    else:
        found = list(connection.execute(query))
    decoded = with_mutes(connection, [_alert_row(row) for row in found])
    return sorted(decoded, key=lambda alert: (-alert.onset_s, _WORST_FIRST[alert.severity], alert.id))


def _by_ids(
    connection: Connection, query: Select[Any], ids: Collection[str], *, column: Column[Any] = alerts.c.id
) -> list[Row[Any]]:
    """The query's rows whose column holds one of the ids, asked for in parts."""
    wanted = sorted({clean(one) for one in ids})
    parts = [wanted[first : first + _IDS_AT_ONCE] for first in range(0, len(wanted), _IDS_AT_ONCE)]
    return [row for part in parts for row in connection.execute(query.where(column.in_(part)))]


def _alert_row(row: Row[Any]) -> AlertRow:
    decoded = {name: loads(row._mapping[name]) for name in ("detail", "ticked", "history")}
    return AlertRow(**{**row._mapping, **decoded})


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What somebody did with an alert: acknowledged, unacknowledged, feedback or tick; in words; and who, "" where nobody said."""

    kind: str
    text: str
    who: str = ""


def people_changed(
    connection: Connection, alert_id: str, *, changes: Mapping[str, Any], now_s: float, said: Said
) -> None:
    """Sets people's columns of an alert and appends to its history. Raises StoreError where no alert has this id."""
    row = _locked(connection, alert_id)
    entry = {"time_s": now_s, "step": None, "kind": said.kind, "text": said.text, "who": said.who}
    history = dumps([*loads(row.history), entry])
    connection.execute(update(alerts).where(alerts.c.id == alert_id).values(**changes, history=history))
    touch_run(connection, row.run_id)


def tick(connection: Connection, alert_id: str, remedy: int, *, on: bool, now_s: float) -> None:
    """Marks a remedy, by its index, as tried or not. Raises StoreError where no alert has this id."""
    ticked = set(loads(_locked(connection, alert_id).ticked))
    ticked = ticked | {remedy} if on else ticked - {remedy}
    said = Said(kind="tick", text=f"remedy {remedy + 1} {'tried' if on else 'not tried'}")
    people_changed(connection, alert_id, changes={"ticked": dumps(sorted(ticked))}, now_s=now_s, said=said)


def count_answers(connection: Connection) -> dict[str, dict[str, int]]:
    """How often each answer was given to alerts of each rule: `{rule: {answer: number}}`."""
    query = select(alerts.c.rule, alerts.c.feedback, func.count()).where(alerts.c.feedback != "")
    found: dict[str, dict[str, int]] = {}
    for rule, answer, number in connection.execute(query.group_by(alerts.c.rule, alerts.c.feedback)):
        found.setdefault(rule, {})[answer] = int(number)
    return found


def _locked(connection: Connection, alert_id: str) -> Row[Any]:
    row = connection.execute(select(alerts).where(alerts.c.id == alert_id).with_for_update()).first()
    if row is None:
        raise StoreError(f"alert {alert_id}: the store has no such alert")
    return row
