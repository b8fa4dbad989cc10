"""The store's face: one class for both databases. Every method is one transaction and may be called from any thread."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from runvitals.errors import StoreError, UnknownRun
from runvitals.store import alerts, read, runs, watching
from runvitals.store.append import append
from runvitals.store.blocks import heads, names
from runvitals.store.by_people import ByPeople
from runvitals.store.database import Database
from runvitals.store.envelope import EMPTY_ENVELOPE, Summaries, reduced
from runvitals.store.gather import gather
from runvitals.store.span import Span
from runvitals.store.tokens import token_clock
from runvitals.store.types import (
    AlertRow,
    Axis,
    Batch,
    Delta,
    Drawn,
    Envelope,
    EventRow,
    Floats,
    Generation,
    Ints,
    Latest,
    RunInfo,
    SeriesPoints,
    WatcherInfo,
    WriterState,
)
from runvitals.store.upkeep import Upkeep


class Store(ByPeople, Upkeep):
    """Runs, their series, events and alerts, and what people do with them. Made by `runvitals.store.open_store`.

    All methods raise StoreUnreachable where the database does not answer and ForeignStore where what it holds is damaged.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def close(self) -> None:
        """Closes this process's connections; the store may be used again and opens new ones."""
        self._database.engine.dispose()

    def append(self, batch: Batch) -> int:
        """Rows committed, with the writer's progress in the same transaction; a replayed batch changes nothing and gives 0."""
        return append(self._database, batch)

    def writers(self, run_id: str | None = None) -> list[WriterState]:
        """How far each journal has been taken in."""
        with self._database.reading() as connection:
            return runs.list_writers(connection, run_id)

    def runs(self, *, latest: Sequence[str] = (), ids: Sequence[str] | None = None) -> list[RunInfo]:
        """All runs, or those of `ids` that exist, newest first, with the newest points of the series named in `latest`."""
        with self._database.reading() as connection:
            return runs.list_runs(connection, latest=latest, ids=ids)

    def run(self, run_id: str, *, latest: Sequence[str] = ()) -> RunInfo:
        """One run. Raises UnknownRun."""
        found = self.runs(latest=latest, ids=[run_id])
        if not found:
            raise UnknownRun(f"run {run_id}: the store has no such run")
        return found[0]

    def revisions(self) -> dict[str, int]:
        """Every run's revision by its id: a cheap "what changed", for a change of its alerts and notes raises it too."""
        with self._database.reading() as connection:
            return runs.list_revisions(connection)

    def set_run(self, run_id: str, **changes: Any) -> None:
        """Changes fields of a run as the watcher derives them; the revision rises where something differs. Raises UnknownRun."""
        with self._database.writing() as connection:
            runs.set_run(connection, run_id, changes)

    def keys(self, run_id: str, *, only: Collection[str] | None = None) -> dict[str, Latest]:
        """Every series of a run, or those of `only` that it has, with its newest point. Raises UnknownRun."""
        with self._database.reading() as connection:
            runs.known_run(connection, run_id)
            found = heads(connection, run_id, only)
        return {key: found[key].latest() for key in sorted(found) if only is None or key in only}

    def names(self, run_id: str) -> list[str]:
        """The keys of a run alone, which of ten thousand costs a tenth of what `keys` does. Raises UnknownRun."""
        with self._database.reading() as connection:
            runs.known_run(connection, run_id)
            return names(connection, run_id)

    def stepped_keys(self, run_id: str) -> frozenset[str]:
        """The series of a run that have a point with a step, whether or not the newest one has. Raises UnknownRun."""
        with self._database.reading() as connection:
            runs.known_run(connection, run_id)
            return frozenset(key for key, head in heads(connection, run_id).items() if head.max_step >= 0)

    def read(
        self,
        run_id: str,
        key: str,
        *,
        start: float | None = None,
        stop: float | None = None,
        axis: Axis = "step",
        generation: Generation = "current",
    ) -> SeriesPoints:
        """The exact points from `start` to `stop`, both included, in order of the axis; equal positions in order of arrival.

        Rows without a step are on the time axis only. No points where the run has no such series. Where steps went back, those that
        were superseded are left out unless `generation` asks for them. Raises UnknownRun.
        """
        found = self.read_many(run_id, [key], start=start, stop=stop, axis=axis, generation=generation)
        return found.get(key, read.EMPTY_POINTS)

    def read_many(
        self,
        run_id: str,
        keys: Sequence[str],
        *,
        start: float | None = None,
        stop: float | None = None,
        axis: Axis = "step",
        generation: Generation = "current",
    ) -> dict[str, SeriesPoints]:
        """What `read` gives for each of the keys that the run has, all of one moment; no points on the tokens axis of a run without a count.

        Rows that several series share are decoded once, so twenty series of one trainer cost far less than twenty reads. Raises UnknownRun.
        """
        with self._database.reading() as connection:
            runs.known_run(connection, run_id)
            known = heads(connection, run_id, keys)
            if axis == "tokens":
                clock = token_clock(connection, run_id)
                if clock is None:
                    return dict.fromkeys(known, read.EMPTY_POINTS)
                axis, start, stop = "step", clock.first_step(start), clock.last_step(stop)
            return read.read_series(
                connection, list(known.values()), axis=axis, start=start, stop=stop, generation=generation
            )

    def tokens_at(self, run_id: str, steps: Ints) -> Floats | None:
        """Tokens trained on at each step, as the tokens axis has them; None where the run logged no count. Raises UnknownRun."""
        with self._database.reading() as connection:
            runs.known_run(connection, run_id)
            clock = token_clock(connection, run_id)
        return None if clock is None else clock.tokens_at(steps.astype(np.float64))

    def envelope(
        self,
        run_id: str,
        keys: Sequence[str],
        *,
        n: int,
        axis: Axis = "step",
        start: float | None = None,
        stop: float | None = None,
        generation: Generation = "current",
    ) -> dict[str, Envelope]:
        """At most n buckets of each series from `start` to `stop`, both included; exact points where there are no more than n.

        An empty envelope for keys that the run has not, and for all on the tokens axis of a run that logged no token count.
        Where steps went back, those that were superseded are left out unless `generation` asks for them. Raises UnknownRun.
        """
        return self.drawn(run_id, keys, n=n, axis=axis, start=start, stop=stop, generation=generation).envelopes

    def drawn(
        self,
        run_id: str,
        keys: Sequence[str],
        *,
        n: int,
        axis: Axis = "step",
        start: float | None = None,
        stop: float | None = None,
        generation: Generation = "current",
    ) -> Drawn:
        """What `envelope` gives, together with the cursor from which `since` goes on without a point lost or told twice."""
        if n < 1:
            raise StoreError(f"envelope: expected n from 1 on, got {n}")
        position = None
        with self._database.reading() as connection:
            runs.known_run(connection, run_id)
            known = heads(connection, run_id, keys)
            cursor = {key: known[key].count if key in known else 0 for key in keys}
            span = Span(axis=axis, start=start, stop=stop)
            if axis == "tokens":
                clock = token_clock(connection, run_id)
                if clock is None:
                    return Drawn(envelopes=dict.fromkeys(keys, EMPTY_ENVELOPE), cursor=cursor)
                position = clock.tokens_at
                span = Span(axis="step", start=clock.first_step(start), stop=clock.last_step(stop))
            found = gather(connection, list(known.values()), span, n=n, generation=generation)
        summaries = Summaries()
        envelopes = {
            key: reduced(found[key], span, n=n, position=position, summaries=summaries)
            if key in found
            else EMPTY_ENVELOPE
            for key in keys
        }
        rewound = frozenset(key for key, head in known.items() if head.rewinds)
        return Drawn(envelopes=envelopes, cursor=cursor, rewound=rewound)

    def since(self, run_id: str, keys: Sequence[str], cursor: Mapping[str, int]) -> Delta:
        """Points after the first `cursor[key]` of each series, in order of arrival, and the next cursor.

        A key that the cursor lacks has seen nothing; start with the cursor of `drawn`. Raises UnknownRun.
        """
        with self._database.reading() as connection:
            runs.known_run(connection, run_id)
            return read.since(connection, run_id, keys, cursor)

    def events(
        self, run_id: str, *, kinds: Collection[str] | None = None, after_id: int = 0, limit: int | None = None
    ) -> list[EventRow]:
        """Events in the order in which the store got them, at most `limit`; `after_id` is the `id` of the last one known."""
        with self._database.reading() as connection:
            return runs.list_events(connection, run_id, kinds=kinds, after_id=after_id, limit=limit)

    def put_alerts(self, rows: Sequence[AlertRow]) -> None:
        """Inserts or updates alerts by id, keeping what people did; a row that says nothing new changes nothing."""
        with self._database.writing() as connection:
            alerts.put_alerts(self._database, connection, rows)

    def alerts(
        self,
        *,
        run_id: str | None = None,
        run_ids: Collection[str] | None = None,
        states: Collection[str] | None = None,
        ids: Collection[str] | None = None,
    ) -> list[AlertRow]:
        """Alerts, the newest onset first: all, or those of the run or runs, in these states, with these ids."""
        of_runs = [run_id] if run_id is not None else run_ids
        with self._database.reading() as connection:
            return alerts.list_alerts(connection, run_ids=of_runs, states=states, ids=ids)

    def watcher_beat(self, info: WatcherInfo) -> None:
        """Writes a watcher's sign of life."""
        with self._database.writing() as connection:
            watching.put_beat(self._database, connection, info)

    def watchers(self) -> list[WatcherInfo]:
        """Watchers, the one that passed last first."""
        with self._database.reading() as connection:
            return watching.list_watchers(connection)

    def lease(self, run_id: str, owner: str, until_s: float, now_s: float) -> bool:
        """True where the owner holds the run until then."""
        with self._database.writing() as connection:
            return watching.lease(self._database, connection, run_id=run_id, owner=owner, until_s=until_s, now_s=now_s)

    def leased_until_s(self, run_id: str) -> float | None:
        """The end of the run's lease by its owner's clock; None where nobody ever held it."""
        with self._database.reading() as connection:
            return watching.leased_until_s(connection, run_id)

    def told(self, run_id: str, receiver: str) -> dict[tuple[str, str], float | None]:
        """What the receiver has been told of the run's alerts, as (alert, transition), and when.

        The time is None where an older version told it.
        """
        with self._database.reading() as connection:
            return watching.told(connection, run_id, receiver)

    def mark_told(self, receiver: str, news: Sequence[tuple[str, str]], now_s: float) -> None:
        """Notes that the receiver was told of these (alert, transition) now, all or none; its name is kept as a digest only."""
        with self._database.writing() as connection:
            watching.mark_told(self._database, connection, receiver, news, now_s)
