"""Tells people about incidents: whom, of what and when, from what the store says they were told.

Nothing that is still to be told is kept here. What is due is worked out from the store's alerts and its record of what was told, right before
it is sent, so that a restarted watcher goes on where the last one stopped, an acknowledgement or a mute counts at once, and a receiver that
was away hears how things stand, not how they stood.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from runvitals.errors import StoreError, UnknownRun
from runvitals.store.types import LIVE, AlertRow, RunInfo
from runvitals.watch.channel import Channel, Health
from runvitals.watch.incident_news import GROUP_WAIT_S, Due, Incident, due
from runvitals.watch.message import About, Pair, compose
from runvitals.watch.notify import Notifier
from runvitals.watch.routes import Route

logger = logging.getLogger("runvitals.watch")

SURVEY_EVERY_S = 60.0
"""How often all runs are looked at: for alerts that another watcher left untold, and for mutes that were taken back."""

RECENT_S = 86_400.0
"""How long after its last sign of life a run is still told of."""

BUSY_S = 1.0
"""How soon a run is looked at again whose news wait for a receiver that is at another message."""


class Ledger(Protocol):
    """What the desk needs of the store."""

    def runs(self) -> list[RunInfo]: ...

    def run(self, run_id: str) -> RunInfo: ...

    def alerts(self, *, run_id: str | None = None, run_ids: Collection[str] | None = None) -> list[AlertRow]: ...

    def leased_until_s(self, run_id: str) -> float | None: ...

    def told(self, run_id: str, receiver: str) -> Mapping[Pair, float | None]: ...

    def mark_told(self, receiver: str, news: Sequence[Pair], now_s: float) -> None: ...


@dataclass(frozen=True, slots=True)
class _Waiting:
    """News of an incident for a receiver that is not ready, or that are not due yet."""

    channel: Channel
    due: Due
    about: About


class Desk:
    """Sends what is due to every receiver. Call `step` once a pass, from one thread.

    hold: whether this watcher holds the run, so that no other sends the same; renews that hold.
    clock: seconds since 1970.
    """

    def __init__(
        self,
        store: Ledger,
        notifiers: Sequence[Notifier],
        *,
        hold: Callable[[str], bool],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._answered = threading.Event()
        self._channels = [Channel(notifier, on_answer=self._answered.set) for notifier in notifiers]
        self._hold = hold
        self._clock = clock
        self._look_s: dict[str, float] = {}
        self._seen_s: dict[str, dict[Pair, float]] = {}
        self._refused: Counter[tuple[str, str]] = Counter()
        self._surveyed_s = float("-inf")
        self._odd: set[str] = set()

    def changed(self, run_id: str) -> None:
        """Alerts of this run changed: it is looked at in the next step."""
        self._look_s[run_id] = float("-inf")

    def health(self) -> list[Health]:
        """How every receiver is doing, in the order in which they were given."""
        now_s = self._clock()
        return [channel.health(now_s) for channel in self._channels]

    def step(self, *, wait_s: float = GROUP_WAIT_S) -> None:
        """Records what was taken and starts to send what is due. wait_s: how long an incident's alerts wait for one another.

        Raises StoreUnreachable; what was taken meanwhile is recorded in the next step.
        """
        self._collect()
        now_s = self._clock()
        if not self._channels:
            return
        if abs(now_s - self._surveyed_s) >= SURVEY_EVERY_S:
            self._survey(now_s)
            self._surveyed_s = now_s
        for run_id in [run_id for run_id, look_s in self._look_s.items() if look_s <= now_s]:
            self._guarded_look(run_id, now_s, wait_s)

    def drain(self, timeout_s: float, *, wait_s: float = GROUP_WAIT_S) -> None:
        """Sends what is due, for at most `timeout_s` of waiting for receivers."""
        deadline_s = time.monotonic() + timeout_s
        self._look_at_all()
        self.step(wait_s=wait_s)
        while any(channel.under_way is not None for channel in self._channels):
            # Anybody's answer: one that hangs must not use up the time of the others.
            while not any(channel.has_answer() for channel in self._channels):
                left_s = deadline_s - time.monotonic()
                if left_s <= 0:
                    return
                self._answered.wait(left_s)
                self._answered.clear()
            self._look_at_all()
            self.step(wait_s=wait_s)

    def _look_at_all(self) -> None:
        for run_id in self._look_s:
            self.changed(run_id)

    def close(self) -> None:
        """Ends the sending threads without waiting for receivers that do not answer."""
        for channel in self._channels:
            channel.close()

    def _collect(self) -> None:
        for channel in self._channels:
            message, answer = channel.under_way, channel.answer()
            if message is None:
                continue
            if answer is None:
                self._hold(message.about.run_id)
                continue
            now_s = self._clock()
            refused = (channel.notifier.receiver, message.incident)
            if answer.taken:
                # First: where the store is away now, the answer stays and is recorded in a later step.
                self._store.mark_told(channel.notifier.receiver, message.news, now_s)
                self._refused.pop(refused, None)
            else:
                self._refused[refused] += 1
            channel.settle(answer, now_s)
            self.changed(message.about.run_id)

    def _survey(self, now_s: float) -> None:
        """Finds the runs that somebody may have to be told of, whoever watched them."""
        runs = [run.id for run in self._store.runs() if _is_recent(run, now_s)]
        with_alerts = (
            {row.run_id for row in self._store.alerts(run_ids=runs) if row.severity != "info"} if runs else set()
        )
        for run_id in with_alerts:
            # What nobody ever watched was brought in whole, from another tool or an archive: old news.
            if run_id in self._look_s or self._store.leased_until_s(run_id) is not None:
                self.changed(run_id)

    def _guarded_look(self, run_id: str, now_s: float, wait_s: float) -> None:
        """One odd run must not keep people from hearing of all others."""
        try:
            next_s = self._look(run_id, now_s, wait_s)
        except UnknownRun:
            next_s = None
        except StoreError:
            raise
        except Exception as error:
            next_s = now_s + SURVEY_EVERY_S
            if run_id not in self._odd:
                self._odd.add(run_id)
                logger.exception("nobody can be told of run %s: %s", run_id, type(error).__name__)
        if next_s is None:
            self._look_s.pop(run_id, None)
            self._seen_s.pop(run_id, None)
        else:
            self._look_s[run_id] = next_s

    def _look(self, run_id: str, now_s: float, wait_s: float) -> float | None:
        """Offers what is due of a run; when to look at it again, None where nothing is to come."""
        run = self._store.run(run_id)
        rows = self._store.alerts(run_id=run_id)
        if not rows or not _is_recent(run, now_s):
            return None
        waiting = self._waiting(run, rows, now_s, wait_s)
        if not waiting:
            return None
        ready = [one for one in waiting if one.due.at_s <= now_s and one.channel.is_ready(now_s)]
        if ready and not self._hold(run_id):
            return now_s + BUSY_S * 5  # another watcher's, which tells
        for one in sorted(ready, key=self._order):
            if one.channel.is_ready(now_s):
                one.channel.offer(compose(one.due.kind, one.due.alerts, one.due.news, one.about), now_s)
        return min(self._next_s(one, now_s) for one in waiting)

    def _order(self, one: _Waiting) -> tuple[int, float]:
        """What was refused most comes last, so that one message that a receiver cannot take holds up no other."""
        incident = one.due.alerts[0].incident
        return self._refused[one.channel.notifier.receiver, incident], one.due.at_s

    def _next_s(self, one: _Waiting, now_s: float) -> float:
        busy_s = now_s + BUSY_S if one.channel.under_way is not None else one.channel.next_s
        return max(one.due.at_s, busy_s, now_s + BUSY_S if one.due.at_s <= now_s else now_s)

    def _waiting(self, run: RunInfo, rows: Sequence[AlertRow], now_s: float, wait_s: float) -> list[_Waiting]:
        incidents: dict[str, list[AlertRow]] = {}
        for row in rows:
            incidents.setdefault(row.incident, []).append(row)
        about = About(run_id=run.id, name=run.name, project=run.project, status=run.status)
        since = self._since(run.id, now_s)
        waiting = []
        for channel in self._channels:
            routes = [route for route in channel.notifier.routes if route.leads_from(run.project)]
            if not routes:
                continue
            told = self._store.told(run.id, channel.notifier.receiver)
            takes = partial(_takes, routes)
            for members in incidents.values():
                incident = Incident(
                    rows=members,
                    told=told,
                    takes=takes,
                    muted=partial(_is_muted, now_s),
                    repeats=_is_repeated(run),
                )
                found = due(incident, now_s=now_s, since=since, wait_s=wait_s)
                if found is not None:
                    waiting.append(_Waiting(channel, found, about))
        return waiting

    def _since(self, run_id: str, now_s: float) -> Callable[[Pair, float], float]:
        """When a piece of news began: as its record says, but no later than we first saw it, whatever clock wrote the record."""
        seen_s = self._seen_s.setdefault(run_id, {})
        return lambda pair, at_s: min(at_s, seen_s.setdefault(pair, now_s))


def _takes(routes: Sequence[Route], row: AlertRow) -> bool:
    return any(route.takes(row) for route in routes)


def _is_muted(now_s: float, row: AlertRow) -> bool:
    return row.muted_until_s is not None and row.muted_until_s > now_s


def _is_recent(run: RunInfo, now_s: float) -> bool:
    """Whether the run gave a sign of life lately, and nobody deleted it: what befell a run of last week is history."""
    heard_s = max(time_s for time_s in (run.ended_s, run.beat_s, run.last_step_s, run.created_s) if time_s is not None)
    return now_s - heard_s <= RECENT_S and run.delete_after_s is None


def _is_repeated(run: RunInfo) -> bool:
    """Whether somebody may still do something about the run: it is live, or it broke off."""
    return run.status in LIVE or run.status == "crashed"
