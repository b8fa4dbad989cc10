"""Feeds the stored records of one run to its rules, in their order, in slices."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heapreplace

from runvitals.collectors.records import Beat, Event, Record, Start
from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.types import Happening, Pulse, Row, RunContext
from runvitals.diagnostics.user_rules.user_rules import UserRules
from runvitals.store.types import AlertRow
from runvitals.watch.alert_rows import from_user
from runvitals.watch.facts import Facts
from runvitals.watch.replay import Item, Lane, time_of
from runvitals.watch.tail import Tail

HAPPENINGS = frozenset({"resume", "eval", "checkpoint", "phase", "trainer", "config", "finish", "exception", "signal"})
"""Event kinds of the first rank that the diagnostics engine needs to know."""

PULSE_EVERY_S = 1.0
"""Time-based rules are asked at least this often, in the time of the records: a replay asks them at the same moments."""

SLICE_ITEMS = 1000
"""Rows and records diagnosed in one turn: well under a tenth of a second, so that other runs get their turn."""


class Diagnosis:
    """The engine of a run and what it has heard. facts: of the records diagnosed so far, which the store may be ahead of."""

    def __init__(self, run_id: str, rules: UserRules) -> None:
        self.run_id = run_id
        self._rules = rules
        self.engine = Engine(rules.rules_for(""), RunContext(run_id=run_id))  # until the first Start tells more
        self.facts = Facts()
        self.user_alerts: dict[str, AlertRow] = {}
        self.pulsed_s = 0.0
        self._lanes: dict[int, Lane] = {}

    def offer(self, leader: Tail, before: tuple[int, int], records: Sequence[Record]) -> None:
        """Hears of records that were stored; see `Lane.offer`."""
        rank = leader.journals.rank
        self._lanes.setdefault(rank, Lane(rank)).offer(leader, before, records)

    def step(self) -> bool:
        """Diagnoses a slice, what was written first first, of several at one moment that of the lowest rank. True where nothing stored is left."""
        heads = [(time_of(head), rank) for rank, lane in self._lanes.items() if (head := lane.head()) is not None]
        heapify(heads)
        for _ in range(SLICE_ITEMS):
            if not heads:
                return True
            lane = self._lanes[heads[0][1]]
            item = lane.head()
            lane.pop()
            if item is not None:
                self._take(item, lane)
            head = lane.head()
            if head is None:
                heappop(heads)
            else:
                heapreplace(heads, (time_of(head), lane.rank))
        return not heads

    def _take(self, item: Item, lane: Lane) -> None:
        if isinstance(item, Row):
            self._hear(item.time_s, lane.rank)
            self.engine.feed(item)
            self.facts.stepped |= item.step is not None
        elif isinstance(item, float):
            self._hear(item, lane.rank)
        elif isinstance(item, Start):
            self._begin(item, lane.rank)
        elif isinstance(item, Beat):
            self._hear(item.time_s, lane.rank)
            self.facts.beat(item, lane.rank)
        else:
            self._event(item, lane)

    def _begin(self, start: Start, rank: int) -> None:
        """A writer's Start; rotation repeats it, which changes nothing.

        The silence before a process that takes the place of an earlier one says nothing, so the rules on time are not asked about it.
        """
        facts = self.facts
        if facts.knows(start):
            return
        is_resume, is_first = rank in facts.writers, facts.is_first(rank)
        if not facts.writers:
            context = RunContext(run_id=self.run_id, config=start.config, started_s=start.time_s)
            self.engine = Engine(self._rules.rules_for(start.project), context)
        elif is_first:
            self.engine.happen(Happening(time_s=start.time_s, step=None, kind="config", data=start.config))
        if is_resume and is_first:
            self.engine.happen(Happening(time_s=start.time_s, step=None, kind="resume"))
        facts.begin(start)
        self.pulsed_s = start.time_s

    def _event(self, event: Event, lane: Lane) -> None:
        self._hear(event.time_s, lane.rank)
        self.facts.event(event, lane.rank, lane.writer_id)
        if event.kind == "alert":
            title = str(event.data.get("title", "Alert"))
            self.user_alerts[title] = from_user(event, self.run_id, self.user_alerts.get(title))
        if event.kind in HAPPENINGS if self.facts.is_first(lane.rank) else _is_failure(event):
            self.engine.happen(Happening(time_s=event.time_s, step=event.step, kind=event.kind, data=event.data))

    def _hear(self, time_s: float, rank: int) -> None:
        """A record came, which is a sign of life. Asks the time-based rules first if it comes later than their last answer."""
        if self.facts.writers and time_s - self.pulsed_s >= PULSE_EVERY_S:
            self.pulse(time_s, alive=None)
        if self.facts.hear(time_s, rank):
            self.pulsed_s = min(self.pulsed_s, time_s)  # from here on they are asked by the clock as it goes now

    def pulse(self, now_s: float, *, alive: bool | None) -> None:
        """Asks the time-based rules."""
        self.pulsed_s = now_s
        facts = self.facts
        self.engine.pulse(
            Pulse(
                now_s=now_s,
                beat_s=facts.heard_s or None,
                phase=facts.phase,
                alive=alive,
                ended=facts.ended is not None,
            )
        )


def _is_failure(event: Event) -> bool:
    """Whether an event of another rank concerns the whole run."""
    return event.kind == "exception" or (event.kind == "finish" and event.data.get("status") == "crashed")
