"""Follows one writer's journal files and says what is new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from runvitals.collectors import journal
from runvitals.collectors.records import Record, Rows, Start
from runvitals.errors import JournalError
from runvitals.watch.naming import host_of, named, rank_of
from runvitals.watch.removal import listed_files

READ_BYTES = 4 << 20
"""What one call reads of a journal: large enough that the store's cost of a batch is small, small enough that runs take turns."""


@dataclass(slots=True)
class Journals:
    """The files of one writer, in the order in which it wrote them. started_s: infinity until its first record is there.

    info: what the writer's Start says of its process, {} until it was read; its rank and host name the keys.
    """

    run_id: str
    writer_id: str
    files: list[Path]
    started_s: float = float("inf")
    info: Mapping[str, Any] | None = None

    @property
    def rank(self) -> int:
        """The writer's rank."""
        return rank_of(self.info or {})


class Tail:
    """One reader of a writer's journal, from its first file on.

    A watcher that starts anew reads live runs from the beginning: what the store already holds is cut away by sequence number,
    but the diagnostics engine sees every row again and so comes to the same state.
    """

    def __init__(self, journals: Journals) -> None:
        self.journals = journals
        self.damage: tuple[str, ...] = ()
        self.caught_up = False
        self._number = 0
        self._position: Mapping[str, Any] | None = None

    @property
    def position(self) -> dict[str, Any]:
        """Where reading goes on, for the store's records."""
        files = self.journals.files
        return {"file": files[self._number].name if files else None, "at": self._position}

    @property
    def place(self) -> tuple[int, int]:
        """File number and offset where reading goes on; comparable between the readers of a journal."""
        return self._number, int((self._position or {}).get("offset", 0))

    @property
    def behind_bytes(self) -> int:
        """Bytes written and not yet read."""
        sizes = [path.stat().st_size for path in self.journals.files[self._number :] if path.exists()]
        return max(sum(sizes) - self.place[1], 0)

    def read(self, *, max_bytes: int = READ_BYTES) -> Sequence[Record]:
        """The next records; empty where nothing is new. One call reads a bounded amount; `caught_up` says whether it reached the end.

        Bytes at the end that are no whole record (yet) do not count: a process may have been killed while it wrote them.
        """
        files = self.journals.files
        while self._number < len(files):
            try:
                result = journal.read(files[self._number], self._position, max_bytes=max_bytes)
            except JournalError:
                if self._number + 1 == len(files) or files[self._number].exists():
                    raise
                self._number, self._position = self._number + 1, None  # deleted, as its writer says in the next one
                continue
            self._position = result.position
            if result.damage:
                self.damage = (*self.damage, *map(str, result.damage))
            is_last = self._number + 1 == len(files)
            self.caught_up = is_last and not result.more
            if result.records or self.caught_up:
                return self._named(result.records)
            if not result.more:
                self._number, self._position = self._number + 1, None
        return ()

    def read_behind(self, leader: Tail, *, max_bytes: int) -> Sequence[Record]:
        """The next records that another reader of the same journal has read; empty where this one has read them all."""
        while self.place < leader.place:
            number, offset = self.place
            stop = leader.place[1] if leader.place[0] == number else max_bytes + offset
            records = self.read(max_bytes=min(max_bytes, stop - offset))
            if records or self.caught_up:
                return records
        return ()

    def follow(self, leader: Tail) -> None:
        """Goes on where another reader of the same journal stands."""
        self._number, self._position = leader._number, leader._position

    def _named(self, records: Sequence[Record]) -> Sequence[Record]:
        """The records with the keys that the store has for this writer's rank."""
        journals = self.journals
        if journals.info is None:
            journals.info = next((record.info for record in records if isinstance(record, Start)), None)
        if journals.rank == 0:
            return records
        rank, host = journals.rank, host_of(journals.info or {})
        return [
            replace(record, keys=named(record.keys, rank, host)) if isinstance(record, Rows) else record
            for record in records
        ]


def find_journals(run_folder: Path, known: dict[str, Journals], infos: Mapping[str, Mapping[str, Any]]) -> None:
    """Adds the writers of a run that are new to `known`, and their new files. infos: what the store knows of writers' processes."""
    gone = listed_files(run_folder)
    for path in journal.files(run_folder):
        if path.name in gone:
            continue
        writer_id = journal.writer_id(path)
        found = known.get(writer_id)
        if found is None:
            found = known[writer_id] = Journals(run_folder.name, writer_id, [], info=infos.get(writer_id))
        if path not in found.files:
            found.files.append(path)
        if found.started_s == float("inf"):
            first: Sequence[Record] = ()
            with suppress(JournalError):  # said where it is read
                first = journal.read(found.files[0], max_bytes=1).records[:1]
            if first and isinstance(first[0], Start):
                found.started_s, found.info = first[0].time_s, first[0].info


def lanes(known: Mapping[str, Journals]) -> list[list[Journals]]:
    """The writers by rank, the first rank first; of one rank in the order in which they began, for a later one carries it on."""
    by_rank: dict[int, list[Journals]] = {}
    for found in sorted(known.values(), key=lambda one: (one.started_s, one.writer_id)):
        by_rank.setdefault(found.rank, []).append(found)
    return [by_rank[rank] for rank in sorted(by_rank)]


def cut(records: Sequence[Record], after_seq: int) -> list[Record]:
    """The records after a sequence number; a block of rows that straddles it is split."""
    kept: list[Record] = []
    for record in records:
        if not isinstance(record, Rows):
            if record.seq > after_seq:
                kept.append(record)
            continue
        old = min(max(after_seq - record.first_seq + 1, 0), record.count)
        if old == 0:
            kept.append(record)
        elif old < record.count:
            kept.append(
                Rows(
                    first_seq=record.first_seq + old,
                    count=record.count - old,
                    keys=record.keys,
                    body=record.body[old * record.row_bytes :],
                )
            )
    return kept


def last_seq(records: Sequence[Record]) -> int:
    """The sequence number of the last record."""
    final = records[-1]
    return final.first_seq + final.count - 1 if isinstance(final, Rows) else final.seq
