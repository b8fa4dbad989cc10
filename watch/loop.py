"""The watcher: one pass after another over all runs that have a journal."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runvitals.diagnostics.catalogue import default_rules
from runvitals.errors import RunvitalsError, StoreUnreachable
from runvitals.store.store import Store
from runvitals.store.types import WatcherInfo
from runvitals.watch.monitor import Alive, RunMonitor
from runvitals.watch.notify import Desk, Notifier, due
from runvitals.watch.processes import is_alive

logger = logging.getLogger("runvitals.watch")

LEASE_S = 10.0
"""How long a run belongs to a watcher after its last pass; another takes over after that."""

BEAT_EVERY_S = 1.0
LONGEST_WAIT_S = 30.0


@dataclass(slots=True)
class Pass:
    """What one pass did. `failed`: a line for each run that could not be taken in whole. `elsewhere`: runs of another watcher."""

    rows: int = 0
    runs: int = 0
    behind_bytes: int = 0
    catching_up: bool = False
    alerts: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    elsewhere: set[str] = field(default_factory=set)


class Watcher:
    """Takes journals into the store, diagnoses, tells. One thread; several watchers share runs by leases.

    clock: seconds since 1970; alive: says whether a writer's process exists.
    """

    def __init__(
        self,
        journals: Path,
        store: Store,
        *,
        notifiers: Sequence[Notifier] = (),
        clock: Callable[[], float] = time.time,
        alive: Alive = is_alive,
    ) -> None:
        self.id = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
        self._journals = journals
        self._store = store
        self._clock = clock
        self._alive = alive
        self._desk = Desk(store, notifiers, clock=clock)
        self._monitors: dict[str, RunMonitor] = {}
        self._names: dict[str, str] = {}
        self._leased: dict[str, float] = {}
        self._odd: dict[str, str] = {}
        self._started_s = clock()
        self._beat_s = 0.0
        self._message = ""

    def others(self) -> list[str]:
        """Other watchers that gave a sign of life within a lease, as host and process id."""
        now_s = self._clock()
        return [
            f"{info.host} {info.pid}"
            for info in self._store.watchers()
            if info.id != self.id and abs(now_s - info.pass_s) < LEASE_S
        ]

    def step(self) -> Pass:
        """One pass over all runs, each for a bounded time. Raises StoreUnreachable; what is wrong with one run leaves the rest alone."""
        done = Pass()
        for folder in self._run_folders():
            if not self._holds(folder.name):
                self._monitors.pop(folder.name, None)
                done.elsewhere.add(folder.name)
                continue
            try:
                self._step_run(folder, done)
            except StoreUnreachable:
                raise
            except (RunvitalsError, OSError) as error:
                done.failed[folder.name] = f"{folder.name}: {error}"
            except Exception as error:  # the worker's guard: one odd run must not blind us to all others
                done.failed[folder.name] = f"{folder.name}: {type(error).__name__}: {error}"
                if self._odd.get(folder.name) != done.failed[folder.name]:
                    self._odd[folder.name] = done.failed[folder.name]
                    logger.exception("run %s could not be watched", folder.name)
            self._beat(done)
        self._desk.step()
        self._beat(done)
        return done

    def _holds(self, run_id: str) -> bool:
        """Whether the run is this watcher's to watch; renews the lease when a third of it is gone."""
        now_s = self._clock()
        if LEASE_S * 2 / 3 < self._leased.get(run_id, 0.0) - now_s <= LEASE_S:
            return True
        held = self._store.lease(run_id, self.id, now_s + LEASE_S, now_s)
        self._leased[run_id] = now_s + LEASE_S if held else 0.0
        return held

    def _run_folders(self) -> list[Path]:
        try:
            return sorted(entry for entry in self._journals.iterdir() if entry.is_dir())
        except FileNotFoundError:
            return []

    def _step_run(self, folder: Path, done: Pass) -> None:
        monitor = self._monitors.get(folder.name)
        if monitor is None:
            monitor = self._monitors[folder.name] = RunMonitor(folder, self._store, self._alive)
        alive = monitor.is_alive()
        done.rows += monitor.take_in()
        done.runs += 1
        done.behind_bytes += monitor.behind_bytes
        if monitor.damage:
            done.failed[folder.name] = "; ".join(monitor.damage)
        if not monitor.caught_up:
            done.catching_up = True
            return
        done.alerts += monitor.judge(self._clock(), alive=alive)
        self._tell(monitor)
        is_done = monitor.is_over and monitor.is_closed and not monitor.damage
        if is_done and not self._desk.waits_for(monitor.run_id):
            monitor.remove_journals()
            del self._monitors[folder.name]
            self._leased.pop(folder.name, None)

    def _tell(self, monitor: RunMonitor) -> None:
        """Hands what changed to the desk. An alert stays untold until it was handed over, whatever the store does meanwhile."""
        if not monitor.untold:
            return
        now_s = self._clock()
        for row in self._store.alerts(run_id=monitor.run_id):
            if row.id in monitor.untold:
                message = due(row, run_name=self._name(row.run_id), now_s=now_s)
                if message:
                    self._desk.tell(message, run_id=row.run_id)
                monitor.untold.discard(row.id)
        monitor.untold.clear()

    def _name(self, run_id: str) -> str:
        if run_id not in self._names:
            self._names[run_id] = self._store.run(run_id).name
        return self._names[run_id]

    def _beat(self, done: Pass) -> None:
        now_s = self._clock()
        message = " · ".join(done.failed.values())
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
                behind_bytes=done.behind_bytes,
                rules=len(default_rules()),
                message=message,
            )
        )

    def run(self, stop: threading.Event, *, interval_s: float = 0.5) -> None:
        """Passes until `stop` is set. A store that cannot be reached is tried again after 1, 2, 4 … 30 s; journals wait meanwhile."""
        wait_s = interval_s
        while not stop.is_set():
            began_s = time.monotonic()
            try:
                done = self.step()
                wait_s = 0.0 if done.catching_up else max(interval_s - (time.monotonic() - began_s), 0.0)
            except StoreUnreachable as error:
                wait_s = min(max(wait_s * 2, 1.0), LONGEST_WAIT_S)
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
        self._desk.drain(timeout_s=20.0)
        self.step()  # removes journals that waited for their messages
        self._release()
        return total

    def close(self) -> None:
        """Sends what is under way, for at most five seconds, gives the leases back, and ends."""
        self._desk.drain(timeout_s=5.0)
        self._desk.close()
        self._release()

    def _release(self) -> None:
        now_s = self._clock()
        try:
            for run_id, until_s in self._leased.items():
                if until_s > now_s:
                    self._store.lease(run_id, self.id, now_s, now_s)
        except StoreUnreachable:
            logger.warning("leases could not be given back; they run out after %.0f s", LEASE_S)
        self._leased.clear()
