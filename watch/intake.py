"""Takes the journals of one run into the store. Knows nothing of rules, and never waits for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from runvitals.collectors.records import Beat, Event, Record, Rows, Start
from runvitals.errors import JournalError, OverlappingBatch
from runvitals.store.store import Store
from runvitals.watch.batches import last_row_s, make_batch
from runvitals.watch.facts import Facts
from runvitals.watch.tail import Journals, Tail, cut, find_journals, lanes, last_seq

Taken = Callable[[Tail, tuple[int, int], Sequence[Record]], None]
"""Is told what was stored: the reader, the place it stood before, the records."""


class Intake:
    """How far each journal of a run is in the store. facts: what the stored records say of its processes. heard_s: time of each writer's newest record."""

    def __init__(self, run_folder: Path, store: Store) -> None:
        self.run_id = run_folder.name
        self.facts = Facts()
        self.lanes: list[list[Journals]] = []
        self.ended_news = False
        self.heard_s: dict[str, float] = {}
        self._unreadable: dict[str, str] = {}
        self._looked = False
        self._folder = run_folder
        self._store = store
        self._known: dict[str, Journals] = {}
        self._tails: dict[str, Tail] = {}
        self._unsaved: dict[str, tuple[tuple[int, int], Sequence[Record]]] = {}
        states = store.writers(self.run_id)
        self._infos: Mapping[str, Mapping[str, Any]] = {state.writer_id: state.info for state in states if state.info}
        self._stored_seq = {state.writer_id: state.last_seq for state in states}

    def step(self, taken: Taken) -> int:
        """Reads a bounded amount of what is new of every rank and stores it; the number of rows stored."""
        find_journals(self._folder, self._known, self._infos)
        self.lanes = lanes(self._known)
        self._looked = True
        self._unreadable.clear()
        stored = 0
        for lane in self.lanes:
            for found in lane:
                tail = self._tails.setdefault(found.writer_id, Tail(found))
                try:
                    stored += self._take(tail, taken)
                except JournalError as error:  # the other writers' journals are none the worse for it
                    self._unreadable[found.writer_id] = str(error)
                    continue
                if not tail.caught_up:
                    break  # a later writer of this rank (a resume) comes after the earlier one, read anew or live
        return stored

    def _take(self, tail: Tail, taken: Taken) -> int:
        writer_id = tail.journals.writer_id
        if writer_id not in self._unsaved:
            before = tail.place
            self._unsaved[writer_id] = before, tail.read()
        # Kept until the store has them: an unreachable store loses nothing.
        before, records = self._unsaved[writer_id]
        stored = self._save(tail, records) if records else 0
        del self._unsaved[writer_id]
        self._note(records, tail.journals)
        taken(tail, before, records)
        return stored

    def _save(self, tail: Tail, records: Sequence[Record]) -> int:
        writer_id = tail.journals.writer_id
        fresh = cut(records, self._stored_seq.get(writer_id, -1))
        if not fresh:
            return 0
        lead = not self.lanes or tail.journals.rank == self.lanes[0][0].rank
        try:
            batch = make_batch(fresh, run_id=self.run_id, writer_id=writer_id, position=tail.position, tells_phase=lead)
            stored = self._store.append(batch)
        except OverlappingBatch:  # another watcher was here while we thought the run ours
            self._stored_seq = {state.writer_id: state.last_seq for state in self._store.writers(self.run_id)}
            return self._save(tail, records)
        self._stored_seq[writer_id] = last_seq(fresh)
        self.ended_news |= any(isinstance(record, Event) and record.kind == "finish" for record in fresh)
        return stored

    def _note(self, records: Sequence[Record], journals: Journals) -> None:
        facts = self.facts
        for record in records:
            if isinstance(record, Rows):
                time_s, stepped = last_row_s(record)
                facts.hear(time_s, journals.rank)
                facts.stepped |= stepped
            elif isinstance(record, Start):
                if not facts.knows(record):
                    facts.begin(record)
            elif isinstance(record, Beat):
                facts.beat(record, journals.rank)
            else:
                facts.event(record, journals.rank, journals.writer_id)
        if records:
            final = records[-1]
            self.heard_s[journals.writer_id] = last_row_s(final)[0] if isinstance(final, Rows) else final.time_s

    @property
    def caught_up(self) -> bool:
        """True where everything written so far that can be read is stored."""
        read = (tail for writer_id, tail in self._tails.items() if writer_id not in self._unreadable)
        return self._looked and not self._unsaved and all(tail.caught_up for tail in read)

    @property
    def behind_bytes(self) -> int:
        """Journal bytes that are not stored."""
        return sum(tail.behind_bytes for tail in self._tails.values())

    @property
    def damage(self) -> tuple[str, ...]:
        """A line for each place in a journal that could not be read, and for each journal that cannot be read now."""
        passed_over = (note for tail in self._tails.values() for note in tail.damage)
        return (*passed_over, *self._unreadable.values())

    @property
    def files(self) -> list[Path]:
        """The journal files that were read. A file whose first record is not there yet may be that of a process that goes on with the run."""
        return [path for found in self._known.values() if found.started_s != float("inf") for path in found.files]
