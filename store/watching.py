"""What watchers leave in the store: signs of life, leases on runs, notifications given."""

from __future__ import annotations

import hashlib
from dataclasses import asdict

from sqlalchemy import Connection, delete, select

from runvitals.store.database import Database
from runvitals.store.schema import leases, notifications, watchers
from runvitals.store.types import WatcherInfo

FORGOTTEN_S = 86_400
"""A watcher that has not passed for so long is no longer listed."""


def put_beat(database: Database, connection: Connection, info: WatcherInfo) -> None:
    """Writes a watcher's sign of life, and forgets watchers that gave none for a day."""
    connection.execute(delete(watchers).where(watchers.c.pass_s < info.pass_s - FORGOTTEN_S))
    database.upsert(connection, watchers, [asdict(info)])


def list_watchers(connection: Connection) -> list[WatcherInfo]:
    """Watchers, the one that passed last first."""
    return [
        WatcherInfo(**row._mapping) for row in connection.execute(select(watchers).order_by(watchers.c.pass_s.desc()))
    ]


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


def was_sent(connection: Connection, alert_id: str, transition: str, receiver: str) -> bool:
    """True where the receiver has been told of this transition."""
    asked = (notifications.c.alert_id == alert_id) & (notifications.c.transition == transition)
    query = select(notifications.c.alert_id).where(asked & (notifications.c.receiver == _digest(receiver)))
    return connection.execute(query).first() is not None


def mark_sent(database: Database, connection: Connection, alert_id: str, transition: str, *, receiver: str) -> None:
    """Notes that the receiver has been told of this transition."""
    row = {"alert_id": alert_id, "transition": transition, "receiver": _digest(receiver)}
    database.upsert(connection, notifications, [row])


def _digest(receiver: str) -> str:
    """A name for a receiver that does not give its address away."""
    return hashlib.blake2b(receiver.encode(), digest_size=16).hexdigest()
