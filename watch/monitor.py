"""Watches one run: takes its journals into the store, feeds the same rows to its engine, and says how it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from runvitals.collectors.records import Start
from runvitals.diagnostics.types import Alert
from runvitals.diagnostics.user_rules.user_rules import UserRules
from runvitals.store.store import Store
from runvitals.store.types import LIVE, AlertRow
from runvitals.watch import removal
from runvitals.watch.alert_rows import USER_RULE, from_engine
from runvitals.watch.diagnosis import PULSE_EVERY_S, Diagnosis
from runvitals.watch.intake import Intake
from runvitals.watch.status import GONE_S, Signs, Status, Vitality, derive_status

PROGRESS_RULES = ("progress_stalled", "heartbeat_lost")

Alive = Callable[[Mapping[str, Any]], bool | None]


class RunMonitor:
    """Everything the watcher knows of one run. `alive` says whether the process of a writer exists.

    news: whether alerts changed in the store since this was last set to False.
    turn: when the loop last gave this run a turn, as a count.
    """

    def __init__(self, run_folder: Path, store: Store, alive: Alive, rules: UserRules) -> None:
        self.run_id = run_folder.name
        self._folder = run_folder
        self._store = store
        self._alive = alive
        self._intake = Intake(run_folder, store)
        self._diagnosis = Diagnosis(self.run_id, rules)
        self._diagnosed = False
        self._gone: set[str] = set()
        self._written: dict[str, AlertRow] = {}
        self._seen: dict[str, Alert] = {}
        self._replayed = False
        self._shown: dict[str, Any] = {}
        self.status: Status = "starting"
        self.news = False
        self.turn = 0

    # ── taking in ────────────────────────────────────────────────────────────────────────────────────────

    def take_in(self) -> int:
        """Reads a bounded amount of what is new of every writer and stores it; the number of rows stored."""
        self._diagnosed = False
        # Asked before the journals are read, so that what these wrote last is read before it counts.
        self._gone |= {one.writer_id for one in self._replaced() if self._alive(one.info) is False}
        stored = self._intake.step(self._diagnosis.offer)
        if self._intake.ended_news:
            self._shown = {}  # the store takes one rank's end for the run's
            self._intake.ended_news = False
        return stored

    def diagnose(self, now_s: float) -> None:
        """Diagnoses a slice of what is stored. Until the rules have come to its end, the run shows the status that its records alone give."""
        self._diagnosed = self._diagnosis.step()
        if not self._diagnosed and not self._shown:
            self._show_early(now_s)

    def _show_early(self, now_s: float) -> None:
        status = self._derived(now_s, vitality="steady", alive=self.is_alive())
        shown = self._store.run(self.run_id).status
        # What stands still is only known to rules, so an earlier watcher's word on it holds until they have seen all.
        if shown != status and not (shown in ("stalled", "hung") and status == "running"):
            self._store.set_run(self.run_id, status=status, phase=self._intake.facts.phase)
        self._shown = {"status": status}

    @property
    def stored(self) -> bool:
        """True where everything written so far is stored."""
        return self._intake.caught_up

    @property
    def caught_up(self) -> bool:
        """True where everything written so far is stored and diagnosed; only then does the time of day say anything about the run."""
        return self._intake.caught_up and self._diagnosed

    @property
    def behind_bytes(self) -> int:
        """Journal bytes that are not stored."""
        return self._intake.behind_bytes

    @property
    def damage(self) -> tuple[str, ...]:
        """A line for each place in a journal that could not be read."""
        return self._intake.damage

    # ── judging ──────────────────────────────────────────────────────────────────────────────────────────

    def is_alive(self) -> bool | None:
        """Whether any of the run's processes exists; None where that cannot be known."""
        answers = [self._alive(writer.info) for writer in self._intake.facts.unfinished()]
        if True in answers or self._lingers():
            return True
        return None if None in answers or not answers else False

    def _replaced(self) -> list[Start]:
        """The processes that another of their rank has taken the place of, as long as they are not known to be gone."""
        return [start for start in self._intake.facts.replaced() if start.writer_id not in self._gone]

    def _lingers(self) -> bool:
        """Whether one of them is at work beside the other, as a training is when an evaluation joins its run and ends."""
        return any(self._alive(start.info) is True for start in self._replaced())

    def judge(self, now_s: float, *, alive: bool | None) -> int:
        """Brings status, health and alerts in the store up to date; the number of alerts that changed, which `news` tells too.

        alive: what `is_alive` said before the journal was read; asked afterwards, a process that ended well in between would
        look like one that was killed.
        """
        diagnosis = self._diagnosis
        if not diagnosis.facts.writers:
            return 0
        ended = None if self._lingers() else diagnosis.facts.ended
        if ended:
            alive = None
        is_news = self.status in LIVE and (ended is not None or alive is False)
        if is_news or abs(now_s - diagnosis.pulsed_s) >= PULSE_EVERY_S:  # abs: clocks differ between hosts, and go back
            diagnosis.pulse(now_s, alive=alive)
        self.status = self._derived(now_s, vitality=self._vitality(), alive=alive)
        changed = self._put_alerts(now_s)
        self._put_run(now_s)
        return changed

    def _derived(self, now_s: float, *, vitality: Vitality, alive: bool | None) -> Status:
        facts = self._intake.facts
        ended = None if self._lingers() else facts.ended
        signs = Signs(
            ended=ended,
            alive=None if ended else alive,
            heard_s=facts.heard_s,
            stepped=facts.stepped,
            vitality=vitality,
        )
        return derive_status(signs, now_s)

    def _vitality(self) -> Vitality:
        firing = [
            alert
            for alert in self._diagnosis.engine.alerts()
            if alert.rule in PROGRESS_RULES and alert.state == "firing"
        ]
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
        known = {alert.id for alert in self._diagnosis.engine.alerts()}
        return [
            replace(row, state="resolved", resolved_s=now_s)
            for row in self._store.alerts(run_id=self.run_id, states=("firing", "pending"))
            if row.id not in known and row.rule != USER_RULE
        ]

    def _put_alerts(self, now_s: float) -> int:
        moved = [alert for alert in self._diagnosis.engine.alerts() if self._seen.get(alert.id) is not alert]
        current = [row for row in map(from_engine, moved) if row is not None] + list(
            self._diagnosis.user_alerts.values()
        )
        changed = [row for row in current if self._written.get(row.id) != row] + self._orphans(now_s)
        if changed:
            self._store.put_alerts(changed)
            self._written.update((row.id, row) for row in changed)
            self.news = True
        self._seen.update((alert.id, alert) for alert in moved)
        return len(changed)

    def _put_run(self, now_s: float) -> None:
        firing = [
            row
            for row in self._written.values()
            if row.state == "firing" and row.severity != "info" and not row.detail.get("inhibited_by")
        ]
        worst = sorted(firing, key=lambda row: (row.severity != "critical", row.incident != row.id, row.onset_s))
        facts = self._intake.facts
        gone_s = facts.heard_s if self.status == "crashed" else None
        shown = {
            "status": self.status,
            "phase": facts.phase,
            "health": self._health(firing),
            "ended_s": (facts.ended_s or gone_s) if self.is_over else None,
            "finding": str(worst[0].detail.get("title", worst[0].rule)) if worst else "",
            "alerts": len(firing),
            "rules": [
                {"rule": state.rule, "state": state.state, "reason": state.reason, "error": state.error}
                for state in self._diagnosis.engine.states()
            ],
        }
        if shown != self._shown:
            self._store.set_run(self.run_id, **shown)
            self._shown = shown

    def _health(self, firing: Iterable[AlertRow]) -> str:
        """The engine's word, raised by the user's own alerts."""
        health = self._diagnosis.engine.health()
        mine = {row.severity for row in firing if row.rule == USER_RULE}
        if "critical" in mine:
            return "critical"
        return "warning" if "warning" in mine and health != "critical" else health

    @property
    def is_over(self) -> bool:
        """True where the run's processes are gone and nothing more will come."""
        return self.status in ("finished", "stopped", "crashed")

    def is_closed(self, now_s: float) -> bool:
        """True where no process can write to the journals any more: all said so, or all are known to be gone.

        A silent process of another host is not enough: it may come back and go on writing. It is where another took its place and ended.
        """
        for start in self._replaced():
            if self._alive(start.info) is not None or now_s - self._intake.heard_s[start.writer_id] <= GONE_S:
                return False
        return self._intake.facts.ended is not None or (self.status == "crashed" and self.is_alive() is False)

    def remove_journals(self) -> None:
        """Packs a closed run that is stored and diagnosed whole, then deletes its journals; what cannot be deleted is not read again."""
        self._store.compact(self.run_id)
        removal.remove(self._folder, self._intake.files)
