"""Watches one run: takes its journals into the store, feeds the same rows to its engine, and says how it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from runvitals.collectors.records import Beat, Event, Record, Rows, Start
from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.types import Alert, Happening, Pulse, RunContext
from runvitals.errors import OverlappingBatch
from runvitals.store.store import Store
from runvitals.store.types import LIVE, AlertRow
from runvitals.watch.alert_rows import USER_RULE, from_engine, from_user
from runvitals.watch.batches import make_batch, rows
from runvitals.watch.status import Signs, Status, Vitality, derive_status
from runvitals.watch.tail import Tail, cut, find_tails, last_seq

HAPPENINGS = frozenset({"resume", "eval", "checkpoint", "phase", "trainer", "config", "finish", "exception", "signal"})
"""Event kinds that the diagnostics engine needs to know."""

PULSE_EVERY_S = 1.0
"""Time-based rules are asked at least this often, in the time of the records: a replay asks them at the same moments."""

PROGRESS_RULES = ("progress_stalled", "heartbeat_lost")

Alive = Callable[[Mapping[str, Any]], bool | None]


class RunMonitor:
    """Everything the watcher knows of one run. `alive` says whether the process of a writer exists.

    untold: ids of alerts that changed in the store and that nobody was told of yet; who tells takes them out.
    """

    def __init__(self, run_folder: Path, store: Store, alive: Alive) -> None:
        self.run_id = run_folder.name
        self._folder = run_folder
        self._store = store
        self._alive = alive
        self._tails: dict[str, Tail] = {}
        self._unsaved: dict[str, Sequence[Record]] = {}
        self._stored_seq = _stored_seq(store, self.run_id)
        self._engine = Engine(default_rules(), RunContext(run_id=self.run_id))  # until the first Start tells more
        self._writers: dict[Any, Start] = {}  # by rank, the newest process of each
        self._seen_writers: set[str] = set()
        self._finish: dict[str, str] = {}
        self._ended_s: float | None = None
        self._heard_s = 0.0
        self._phase = "init"
        self._stepped = False
        self._pulsed_s = 0.0
        self._user_alerts: dict[str, AlertRow] = {}
        self._written: dict[str, AlertRow] = {}
        self._seen: dict[str, Alert] = {}
        self._replayed = False
        self._shown: dict[str, Any] = {}
        self.status: Status = "starting"
        self.untold: set[str] = set()
        self.damage: tuple[str, ...] = ()

    # ── taking in ────────────────────────────────────────────────────────────────────────────────────────

    def take_in(self) -> int:
        """Reads what is new of every writer, stores it, diagnoses it; the number of rows stored."""
        stored = 0
        for tail in find_tails(self._folder, self._tails):
            records = self._unsaved.get(tail.writer_id) or tail.read()
            if records:
                self._unsaved[tail.writer_id] = (
                    records  # kept until the store has it: an unreachable store loses nothing
                )
                stored += self._save(tail, records)
                del self._unsaved[tail.writer_id]
                for record in records:
                    self._diagnose(record, tail.writer_id)
            if not tail.caught_up:
                break  # a later writer (a resume) comes after the earlier one, read anew or live
        self.damage = tuple(note for tail in self._tails.values() for note in tail.damage)
        return stored

    def _save(self, tail: Tail, records: Sequence[Record]) -> int:
        fresh = cut(records, self._stored_seq.get(tail.writer_id, -1))
        if not fresh:
            return 0
        try:
            stored = self._store.append(
                make_batch(fresh, run_id=self.run_id, writer_id=tail.writer_id, position=tail.position)
            )
        except OverlappingBatch:  # another watcher was here while we thought the run ours
            self._stored_seq = _stored_seq(self._store, self.run_id)
            return self._save(tail, records)
        self._stored_seq[tail.writer_id] = last_seq(fresh)
        return stored

    @property
    def caught_up(self) -> bool:
        """True where everything written so far was read; only then does the time of day say anything about the run."""
        return not self._unsaved and all(tail.caught_up for tail in self._tails.values())

    @property
    def behind_bytes(self) -> int:
        """Bytes that wait in the journals."""
        return sum(tail.behind_bytes for tail in self._tails.values())

    # ── diagnosing ───────────────────────────────────────────────────────────────────────────────────────

    def _diagnose(self, record: Record, writer_id: str) -> None:
        if isinstance(record, Rows):
            for row in rows(record):
                self._hear(row.time_s)
                self._engine.feed(row)
                self._stepped = self._stepped or row.step is not None
            return
        if isinstance(record, Start):
            self._begin(record)
            return
        self._hear(record.time_s)
        if isinstance(record, Beat):
            self._phase = record.phase
        else:
            self._event(record, writer_id)

    def _begin(self, start: Start) -> None:
        """A writer's Start; rotation repeats it, which changes nothing.

        A process of the same rank that began later takes the place of the earlier one, which is over whether it said so or not;
        the silence before it says nothing, so the rules on time are not asked about it.
        """
        if start.writer_id in self._seen_writers:
            return
        if not self._seen_writers:
            context = RunContext(run_id=self.run_id, config=start.config, started_s=start.time_s)
            self._engine = Engine(default_rules(), context)
        else:
            self._engine.happen(Happening(time_s=start.time_s, step=None, kind="config", data=start.config))
        rank = start.info.get("rank", 0)
        if rank in self._writers:
            self._engine.happen(Happening(time_s=start.time_s, step=None, kind="resume"))
        self._seen_writers.add(start.writer_id)
        self._writers[rank] = start
        self._heard_s = max(self._heard_s, start.time_s)
        self._pulsed_s = start.time_s
        self._ended_s = None

    def _event(self, event: Event, writer_id: str) -> None:
        if event.kind == "finish":
            self._finish[writer_id] = str(event.data.get("status", "finished"))
            self._ended_s = event.time_s
        if event.kind == "phase":
            self._phase = str(event.data.get("phase", self._phase))
        if event.kind == "alert":
            title = str(event.data.get("title", "Alert"))
            self._user_alerts[title] = from_user(event, self.run_id, self._user_alerts.get(title))
        if event.kind in HAPPENINGS:
            self._engine.happen(Happening(time_s=event.time_s, step=event.step, kind=event.kind, data=event.data))

    def _hear(self, time_s: float) -> None:
        """A record came, which is a sign of life. Asks the time-based rules first if it comes later than their last answer."""
        if self._writers and time_s - self._pulsed_s >= PULSE_EVERY_S:
            self._pulse(time_s, alive=None)
        self._heard_s = max(self._heard_s, time_s)

    def _pulse(self, now_s: float, *, alive: bool | None) -> None:
        self._pulsed_s = now_s
        self._engine.pulse(
            Pulse(
                now_s=now_s, beat_s=self._heard_s or None, phase=self._phase, alive=alive, ended=self.ended is not None
            )
        )

    # ── judging ──────────────────────────────────────────────────────────────────────────────────────────

    @property
    def ended(self) -> str | None:
        """The status that the run's first rank ended with, once the newest process of every rank has ended."""
        if not self._writers or any(writer.writer_id not in self._finish for writer in self._writers.values()):
            return None
        return self._finish[self._writers[min(self._writers)].writer_id]

    def is_alive(self) -> bool | None:
        """Whether any of the run's processes exists; None where that cannot be known."""
        answers = [
            self._alive(writer.info) for writer in self._writers.values() if writer.writer_id not in self._finish
        ]
        if True in answers:
            return True
        return None if None in answers or not answers else False

    def judge(self, now_s: float, *, alive: bool | None) -> int:
        """Brings status, health and alerts in the store up to date; the number of alerts that changed, which `untold` names.

        alive: what `is_alive` said before the journal was read; asked afterwards, a process that ended well in between would
        look like one that was killed.
        """
        if not self._writers:
            return 0
        if self.ended:
            alive = None
        is_news = self.status in LIVE and (self.ended is not None or alive is False)
        if is_news or abs(now_s - self._pulsed_s) >= PULSE_EVERY_S:  # abs: clocks differ between hosts, and go back
            self._pulse(now_s, alive=alive)
        self.status = derive_status(
            Signs(
                ended=self.ended, alive=alive, heard_s=self._heard_s, stepped=self._stepped, vitality=self._vitality()
            ),
            now_s,
        )
        changed = self._put_alerts(now_s)
        self._put_run(now_s)
        return changed

    def _vitality(self) -> Vitality:
        firing = [alert for alert in self._engine.alerts() if alert.rule in PROGRESS_RULES and alert.state == "firing"]
        if any(alert.severity == "critical" for alert in firing):
            return "stuck"
        return "slow" if firing else "steady"

    def _orphans(self, now_s: float) -> list[AlertRow]:
        """Once, after the journals were read from the start: alerts of an earlier watcher that fire in the store but not by the rows.

        Rules on time may have seen what a replay does not (the process's state at that moment); what no longer holds is resolved.
        """
        if self._replayed:
            return []
        self._replayed = True
        known = {alert.id for alert in self._engine.alerts()}
        return [
            replace(row, state="resolved", resolved_s=now_s)
            for row in self._store.alerts(run_id=self.run_id, states=("firing", "pending"))
            if row.id not in known and row.rule != USER_RULE
        ]

    def _put_alerts(self, now_s: float) -> int:
        moved = [alert for alert in self._engine.alerts() if self._seen.get(alert.id) is not alert]
        current = [row for row in map(from_engine, moved) if row is not None] + list(self._user_alerts.values())
        changed = [row for row in current if self._written.get(row.id) != row] + self._orphans(now_s)
        if changed:
            self._store.put_alerts(changed)
            self._written.update((row.id, row) for row in changed)
            self.untold.update(row.id for row in changed)
        self._seen.update((alert.id, alert) for alert in moved)
        return len(changed)

    def _put_run(self, now_s: float) -> None:
        firing = [
            row
            for row in self._written.values()
            if row.state == "firing" and row.severity != "info" and not row.detail.get("inhibited_by")
        ]
        worst = sorted(firing, key=lambda row: (row.severity != "critical", row.incident != row.id, row.onset_s))
        gone_s = self._heard_s if self.status == "crashed" else None
        shown = {
            "status": self.status,
            "phase": self._phase,
            "health": self._health(firing),
            "ended_s": (self._ended_s or gone_s) if self.is_over else None,
            "finding": str(worst[0].detail.get("title", worst[0].rule)) if worst else "",
            "alerts": len(firing),
            "rules": [
                {"rule": state.rule, "state": state.state, "reason": state.reason, "error": state.error}
                for state in self._engine.states()
            ],
        }
        if shown != self._shown:
            self._store.set_run(self.run_id, **shown)
            self._shown = shown

    def _health(self, firing: Iterable[AlertRow]) -> str:
        """The engine's word, raised by the user's own alerts."""
        health = self._engine.health()
        mine = {row.severity for row in firing if row.rule == USER_RULE}
        if "critical" in mine:
            return "critical"
        return "warning" if "warning" in mine and health != "critical" else health

    @property
    def is_over(self) -> bool:
        """True where the run's processes are gone and nothing more will come."""
        return self.status in ("finished", "stopped", "crashed")

    @property
    def is_closed(self) -> bool:
        """True where no process can write to the journals any more: all said so, or all are known to be gone.

        A silent process of another host is not enough: it may come back and go on writing.
        """
        return self.ended is not None or (self.status == "crashed" and self.is_alive() is False)

    def remove_journals(self) -> None:
        """Deletes the journals of a closed run that is stored whole; files that cannot be deleted stay."""
        for tail in self._tails.values():
            for path in tail.files:
                try:
                    path.unlink(missing_ok=True)
                except OSError:
                    return
        try:
            self._folder.rmdir()
        except OSError:
            return


def _stored_seq(store: Store, run_id: str) -> dict[str, int]:
    """Per writer the last record that the store holds."""
    return {state.writer_id: state.last_seq for state in store.writers(run_id)}
