"""What watchers leave in the store: signs of life, leases on runs, notifications given."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, delete, select

from runvitals.store.database import Database
from runvitals.store.json_text import dumps, loads
from runvitals.store.schema import alerts, leases, notifications, watchers
from runvitals.store.types import WatcherInfo

FORGOTTEN_S = 86_400
"""A watcher that has not passed for so long is no longer listed."""


def put_beat(database: Database, connection: Connection, info: WatcherInfo) -> None:
    """Writes a watcher's sign of life, and forgets watchers that gave none for a day."""
    connection.execute(delete(watchers).where(watchers.c.pass_s < info.pass_s - FORGOTTEN_S))
    database.upsert(connection, watchers, [{**asdict(info), "receivers": dumps(list(info.receivers))}])


def list_watchers(connection: Connection) -> list[WatcherInfo]:
    """Watchers, the one that passed last first."""
    query = select(watchers).order_by(watchers.c.pass_s.desc())
    return [WatcherInfo(**{**row._mapping, "receivers": loads(row.receivers)}) for row in connection.execute(query)]


def lease(database: Database, connection: Connection, *, run_id: str, owner: str, until_s: float, now_s: float) -> bool:
    """True where the owner holds the run until `until_s`: nobody else held it, or their lease has run out."""
    database.lock_creation(connection)
    row = connection.execute(select(leases).where(leases.c.run_id == run_id)).first()
    if row is not None and row.owner != owner and row.until_s > now_s:
        return False
    database.upsert(connection, leases, [{"run_id": run_id, "owner": owner, "until_s": until_s}])
    return True


def leased_until_s(connection: Connection, run_id: str) -> float | None:
    """The end of the run's lease by its owner's clock; None where it has none."""
    return connection.execute(select(leases.c.until_s).where(leases.c.run_id == run_id)).scalar_one_or_none()


def told(connection: Connection, run_id: str, receiver: str) -> dict[tuple[str, str], float | None]:
    """What the receiver has been told of the run's alerts, as alert and transition, and when; None where only an older version knew."""
    query = (
        select(notifications.c.alert_id, notifications.c.transition, notifications.c.sent_s)
        .join(alerts, alerts.c.id == notifications.c.alert_id)
        .where((alerts.c.run_id == run_id) & (notifications.c.receiver == _digest(receiver)))
    )
    return {(row.alert_id, row.transition): row.sent_s for row in connection.execute(query)}


def mark_told(
    database: Database, connection: Connection, receiver: str, news: Sequence[tuple[str, str]], now_s: float
) -> None:
    """Notes that the receiver was told of these transitions of alerts now."""
    digest = _digest(receiver)
    rows = [{"alert_id": alert_id, "transition": what, "receiver": digest, "sent_s": now_s} for alert_id, what in news]
    database.upsert(connection, notifications, rows)


def _digest(receiver: str) -> str:
    """A name for a receiver that does not give its address away."""
    return hashlib.blake2b(receiver.encode(), digest_size=16).hexdigest()
