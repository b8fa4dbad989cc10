"""The watcher: one pass after another over all runs that have a journal."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from runvitals.collectors.handed_back import file_for
from runvitals.diagnostics.user_rules.user_rules import UserRules
from runvitals.errors import RunvitalsError, StoreError, StoreUnreachable
from runvitals.store.store import Store
from runvitals.store.types import WatcherInfo
from runvitals.watch import removal
from runvitals.watch.desk import Desk
from runvitals.watch.due import delete_due
from runvitals.watch.leases import LEASE_S, Leases
from runvitals.watch.monitor import Alive, RunMonitor
from runvitals.watch.notify import Notifier
from runvitals.watch.processes import is_alive
from runvitals.watch.user_rules import fault_line

logger = logging.getLogger("runvitals.watch")

BEAT_EVERY_S = 1.0
DELETE_EVERY_S = 5.0
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 10.0

STORING_S = 0.25
DIAGNOSING_S = 0.1
"""How long a pass stores, and then diagnoses, for runs that are behind; one turn of one run may take it a little further."""


@dataclass(slots=True)
class Pass:
    """What one pass did. `failed`: a line for each run that could not be taken in whole. `broken`: those of them that could not be visited at all. `elsewhere`: runs of another watcher."""

    rows: int = 0
    runs: int = 0
    behind_bytes: int = 0
    catching_up: bool = False
    alerts: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    elsewhere: set[str] = field(default_factory=set)


OUR_RULES = UserRules()
"""Nothing changed and nothing added."""


class Watcher:
    """Takes journals into the store, diagnoses, tells. One thread; several watchers share runs by leases.

    rules: what the user changed of our rules and added to them; what is wrong with their file is part of the watcher's message.
    problems: what is wrong with the receivers, a line each; part of the message too.
    clock: seconds since 1970; timer: seconds that only go forward; alive: says whether a writer's process exists.
    """

    def __init__(
        self,
        journals: Path,
        store: Store,
        *,
        notifiers: Sequence[Notifier] = (),
        rules: UserRules = OUR_RULES,
        problems: Sequence[str] = (),
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
        alive: Alive = is_alive,
    ) -> None:
        self.id = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
        self._journals = journals
        self._store = store
        self._clock = clock
        self._timer = timer
        self._alive = alive
        self._leases = Leases(store, self.id, clock=clock, timer=timer)
        self._turns = 0
        self._desk = Desk(store, notifiers, hold=self._leases.holds, clock=clock)
        self._monitors: dict[str, RunMonitor] = {}
        self._odd: dict[str, str] = {}
        self._started_s = clock()
        self._beat_s = 0.0
        self._deleted_s = 0.0
        self._message = ""
        self._rules = rules
        self._problems = tuple(problems)

    def others(self) -> list[str]:
        """Other watchers that gave a sign of life within a lease, as host and process id."""
        now_s = self._clock()
        return [
            f"{info.host} {info.pid}"
            for info in self._store.watchers()
            if info.id != self.id and abs(now_s - info.pass_s) < LEASE_S
        ]

    def step(self) -> Pass:
        """One pass. Raises StoreUnreachable; what is wrong with one run leaves the rest alone.

        Runs at the live edge come first, each whole. Those that are behind take turns for a bounded time: first to store, then to diagnose.
        """
        done = Pass()
        mine = self._mine(done)
        live = [monitor for monitor in mine if monitor.caught_up]
        behind = [monitor for monitor in mine if not monitor.caught_up]
        for monitor in live:
            self._guarded(monitor, done, self._visit)
        self._take_turns([one for one in behind if not one.stored], done, self._visit, for_s=STORING_S)
        stored = [one for one in behind if one.stored and not one.caught_up]
        self._take_turns(stored, done, self._visit, for_s=DIAGNOSING_S)
        self._desk.step()
        self._delete_due()
        done.catching_up = any(not one.caught_up for one in mine if one.run_id not in done.broken)
        done.behind_bytes = self._behind_bytes()
        self._beat(done)
        return done

    def _delete_due(self) -> None:
        """Removes the runs that people deleted and nobody took back; what cannot go now goes another time."""
        now_s = self._clock()
        if 0 <= now_s - self._deleted_s < DELETE_EVERY_S:
            return
        self._deleted_s = now_s
        for run, kept in delete_due(self._store, self._journals, now_s=now_s, alive=self._alive):
            if kept:
                logger.debug("run %s is to be deleted and stays for now: %s", run.id, kept)

    def _behind_bytes(self) -> int:
        return sum(monitor.behind_bytes for monitor in self._monitors.values())

    def _mine(self, done: Pass) -> list[RunMonitor]:
        """The monitors of the runs that this watcher holds."""
        for folder in removal.unfinished(self._journals):
            removal.finish(folder)
        folders = self._run_folders()
        for run_id in self._monitors.keys() - {folder.name for folder in folders}:
            del self._monitors[run_id]
        held = []
        for folder in folders:
            if not self._leases.holds(folder.name):
                self._monitors.pop(folder.name, None)
                done.elsewhere.add(folder.name)
                continue
            if folder.name not in self._monitors:
                self._monitors[folder.name] = RunMonitor(folder, self._store, self._alive, self._rules)
            held.append(self._monitors[folder.name])
        done.runs = len(held)
        return held

    def _take_turns(
        self, waiting: list[RunMonitor], done: Pass, visit: Callable[[RunMonitor, Pass], None], *, for_s: float
    ) -> None:
        """Gives turns until the time is up, the next always to the run whose last turn was longest ago; at least one."""
        began_s, was_stored = self._timer(), [one.stored for one in waiting]
        todo = dict(zip(waiting, was_stored, strict=True))
        while todo:
            monitor = min(todo, key=lambda one: one.turn)
            self._turns += 1
            monitor.turn = self._turns
            self._guarded(monitor, done, visit)
            if monitor.caught_up or monitor.stored != todo[monitor] or monitor.run_id in done.broken:
                del todo[monitor]
            if self._timer() - began_s >= for_s:
                return

    def _guarded(self, monitor: RunMonitor, done: Pass, visit: Callable[[RunMonitor, Pass], None]) -> None:
        run_id = monitor.run_id
        try:
            visit(monitor, done)
        except StoreUnreachable:
            raise
        except (RunvitalsError, OSError) as error:
            done.broken.add(run_id)
            done.failed[run_id] = f"{run_id}: {error}"
        except Exception as error:  # the worker's guard: one odd run must not blind us to all others
            done.broken.add(run_id)
            done.failed[run_id] = f"{run_id}: {type(error).__name__}: {error}"
            if self._odd.get(run_id) != done.failed[run_id]:
                self._odd[run_id] = done.failed[run_id]
                logger.exception("run %s could not be watched", run_id)
        self._beat(done)

    def _run_folders(self) -> list[Path]:
        try:
            return sorted(entry for entry in self._journals.iterdir() if entry.is_dir())
        except FileNotFoundError:
            return []

    def _visit(self, monitor: RunMonitor, done: Pass) -> None:
        """One turn of a run: stores what is new, and once all is stored, diagnoses a slice and judges."""
        alive = monitor.is_alive()
        done.rows += monitor.take_in()
        if monitor.damage:
            done.failed[monitor.run_id] = "; ".join(monitor.damage)
        if not monitor.stored:
            return
        monitor.diagnose(self._clock())
        if not monitor.caught_up:
            return
        done.alerts += monitor.judge(self._clock(), alive=alive)
        if monitor.news:
            self._desk.changed(monitor.run_id)
            monitor.news = False
        if monitor.is_over and monitor.is_closed(self._clock()) and not monitor.damage:
            monitor.remove_journals()
            file_for(self._journals, monitor.run_id).unlink(missing_ok=True)
            del self._monitors[monitor.run_id]
            self._leases.forget(monitor.run_id)

    def _beat(self, done: Pass) -> None:
        now_s = self._clock()
        message = " · ".join(line for line in (fault_line(self._rules), *self._problems, *done.failed.values()) if line)
        if abs(now_s - self._beat_s) < BEAT_EVERY_S and message == self._message:
            return
        self._beat_s, self._message = now_s, message
        self._store.watcher_beat(
            WatcherInfo(
                id=self.id,
                host=socket.gethostname(),
                pid=os.getpid(),
                started_s=self._started_s,
                pass_s=now_s,
                behind_bytes=self._behind_bytes(),
                rules=len(self._rules.rules_for("")),
                message=message,
                receivers=[asdict(one) for one in self._desk.health()],
            )
        )

    def run(self, stop: threading.Event, *, interval_s: float = 0.5) -> None:
        """Passes until `stop` is set. A store that fails is tried again after 1, 2, 4 … 10 s; journals wait meanwhile."""
        wait_s = interval_s
        failing = False
        while not stop.is_set():
            began_s = self._timer()
            try:
                done = self.step()
                if failing:
                    logger.warning("the store answers again; what waited in the journals is taken in now")
                failing = False
                wait_s = 0.0 if done.catching_up else max(interval_s - (self._timer() - began_s), 0.0)
            except (StoreError, OSError) as error:  # OSError: the folder of the journals, whose mount may be away
                wait_s = min(wait_s * 2, LONGEST_WAIT_S) if failing else FIRST_WAIT_S
                failing = True
                logger.warning("%s; trying again in %.0f s, journals wait", error, wait_s)
            stop.wait(wait_s)
        self.close()

    def run_once(self, *, pause: Callable[[float], None] = time.sleep) -> Pass:
        """Passes until nothing is left to read, then sends what is due; the sum of what was done.

        A run that another watcher holds is waited for as long as a lease lasts: that watcher may just have been killed.
        """
        total = Pass()
        patience_s = LEASE_S + 1.0
        while True:
            done = self.step()
            total.rows += done.rows
            total.runs = max(total.runs, done.runs)
            total.alerts += done.alerts
            total.failed.update(done.failed)
            total.elsewhere = done.elsewhere
            if done.rows > 0 or done.catching_up:
                continue
            if not done.elsewhere or patience_s <= 0:
                break
            pause(0.5)
            patience_s -= 0.5
        # Nobody may come later, so no alert waits for others of its incident.
        self._desk.drain(timeout_s=20.0, wait_s=0.0)
        self._beat_s = 0.0
        self._deleted_s = 0.0
        self._beat(total)
        self._leases.release()
        return total

    def close(self) -> None:
        """Sends what is under way, for at most five seconds, gives the leases back, and ends."""
        try:
            self._desk.drain(timeout_s=5.0)
            self._leases.release()
        except StoreError as error:
            logger.warning("%s; what was sent last may be told again by the next watcher", error)
        self._desk.close()
