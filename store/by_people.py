"""The part of the store's face that people write: what they do with alerts and with runs. The watcher writes none of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import insert, select

from runvitals.store import alerts, kept, mutes, runs, views
from runvitals.store.database import Database
from runvitals.store.schema import notes
from runvitals.store.types import Mute, Note, ViewRow


class ByPeople:
    """What people do with alerts and runs; a part of `Store`."""

    _database: Database

    def acknowledge(self, alert_id: str, note: str, now_s: float, who: str = "") -> None:
        """Someone has seen the alert and says so. Raises StoreError where no alert has this id."""
        text = f"acknowledged: {note}" if note else "acknowledged"
        changes = {"acknowledged_s": now_s, "acknowledged_note": note, "acknowledged_by": who}
        self._people(alert_id, now_s, alerts.Said(kind="acknowledged", text=text, who=who), **changes)

    def unacknowledge(self, alert_id: str, now_s: float, who: str = "") -> None:
        """Takes an acknowledgement back."""
        gone = {"acknowledged_s": None, "acknowledged_note": "", "acknowledged_by": ""}
        said = alerts.Said(kind="unacknowledged", text="acknowledgement withdrawn", who=who)
        self._people(alert_id, now_s, said, **gone)

    def mute(self, alert_id: str, until_s: float | None, now_s: float) -> None:
        """Mutes one alert until a time; None ends its own mutes, not those of its run, rule or project. Raises StoreError."""
        with self._database.writing() as connection:
            if until_s is None:
                mutes.end_mutes_of(connection, alert_id, "", now_s)
            else:
                mutes.add_mute(connection, Mute(alert_id=alert_id, since_s=now_s, until_s=until_s))

    def add_mute(self, mute: Mute) -> int:
        """The new mute's number. Raises StoreError where it names nothing, no such alert, or does not end after it begins."""
        with self._database.writing() as connection:
            return mutes.add_mute(connection, mute)

    def end_mute(self, mute_id: int, who: str, now_s: float) -> None:
        """Ends a mute before its time. Raises StoreError where there is no such mute."""
        with self._database.writing() as connection:
            mutes.end_mute(connection, mute_id, who, now_s)

    def mutes(self) -> list[Mute]:
        """All mutes, also those that have ended, the newest first."""
        with self._database.reading() as connection:
            return mutes.list_mutes(connection)

    def feedback(self, alert_id: str, answer: str, now_s: float, who: str = "") -> None:
        """Keeps what someone thinks of the alert: real, false_alarm or unsure; "" takes it back."""
        self._people(
            alert_id, now_s, alerts.Said(kind="feedback", text=f"feedback: {answer}", who=who), feedback=answer
        )

    def answers(self) -> dict[str, dict[str, int]]:
        """How often each answer was given to alerts of each rule: `{rule: {answer: number}}`."""
        with self._database.reading() as connection:
            return alerts.count_answers(connection)

    def tick(self, alert_id: str, remedy: int, on: bool, now_s: float) -> None:
        """Marks a remedy, by its index, as tried or not."""
        with self._database.writing() as connection:
            alerts.tick(connection, alert_id, remedy, on=on, now_s=now_s)

    def _people(self, alert_id: str, now_s: float, said: alerts.Said, **changes: Any) -> None:
        with self._database.writing() as connection:
            alerts.people_changed(connection, alert_id, changes=changes, now_s=now_s, said=said)

    def add_note(self, run_id: str, text: str, step: int | None, now_s: float) -> None:
        """Keeps a person's note on a run. Raises UnknownRun."""
        with self._database.writing() as connection:
            runs.known_run(connection, run_id)
            connection.execute(insert(notes).values(run_id=run_id, time_s=now_s, step=step, text=text))
            runs.touch_run(connection, run_id)

    def notes(self, run_id: str | None = None) -> list[Note]:
        """A run's notes, or those of all runs, oldest first."""
        query = select(notes).order_by(notes.c.id)
        query = query if run_id is None else query.where(notes.c.run_id == run_id)
        with self._database.reading() as connection:
            return [Note(**row._mapping) for row in connection.execute(query)]

    def tag_runs(self, run_ids: Collection[str], *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> None:
        """Adds and removes tags, all runs or none. Raises UnknownRun, and StoreError for a tag that is empty, long or has a comma."""
        with self._database.writing() as connection:
            kept.tag_runs(connection, run_ids, add=add, remove=remove)

    def group_runs(self, run_ids: Collection[str], group: str) -> None:
        """Puts runs into a group; "" into none. Raises UnknownRun, and StoreError where the name is too long."""
        with self._database.writing() as connection:
            kept.describe_runs(connection, run_ids, {"group": group})

    def describe_run(self, run_id: str, description: str) -> None:
        """Sets what a run is about, in place of what stood there. Raises UnknownRun, and StoreError where it is too long."""
        with self._database.writing() as connection:
            kept.describe_runs(connection, [run_id], {"description": description})

    def archive_runs(self, run_ids: Collection[str], now_s: float | None) -> None:
        """Takes runs out of the list; with None puts them back. Nothing of them is removed. Raises UnknownRun."""
        with self._database.writing() as connection:
            kept.put_away(connection, run_ids, now_s)

    def delete_later(self, run_ids: Collection[str], at_s: float | None) -> None:
        """Marks runs to be deleted at a time by the watcher or `gc`; with None takes that back, as does a run that goes on.

        Raises UnknownRun, and StoreError where a run is live.
        """
        with self._database.writing() as connection:
            kept.delete_later(connection, run_ids, at_s)

    def due_deletions(self, now_s: float) -> list[str]:
        """Ids of the runs whose time to be deleted has come."""
        with self._database.reading() as connection:
            return kept.due_deletions(connection, now_s)

    def save_view(self, page: str, name: str, query: str, now_s: float) -> None:
        """Keeps a page's query under a name, in place of what stood there. Raises StoreError where one is too long or the name empty."""
        with self._database.writing() as connection:
            views.save_view(self._database, connection, page, name, query=query, now_s=now_s)

    def views(self, page: str) -> list[ViewRow]:
        """A page's saved views by name."""
        with self._database.reading() as connection:
            return views.list_views(connection, page)

    def delete_view(self, page: str, name: str) -> None:
        """Forgets a saved view."""
        with self._database.writing() as connection:
            views.delete_view(connection, page, name)
