"""The stored records of a run, one by one, in the order in which they are diagnosed.

Ranks write at the same time, so their records are merged by time; those of one rank stay in the order in which they were written, whatever
its clock did. A watcher that reads everything anew so sees what the first one saw.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from runvitals.collectors.records import Beat, Event, Record, Rows, Start
from runvitals.diagnostics.types import Row
from runvitals.watch.batches import other_rows, row_times, rows
from runvitals.watch.naming import judged
from runvitals.watch.tail import Journals, Tail

SLICE_BYTES = 1 << 20
"""What is read of a rank at once behind the store."""

Item = Row | Start | Event | Beat | float
"""A row, a record, or the time of a row that no rule reads."""


class Lane:
    """One rank: its writers one after another, and the next item that is to be diagnosed.

    writer_id: who wrote the item that `head` gave last.
    """

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.writer_id = ""
        self._pairs: list[tuple[Tail, Tail]] = []  # our reader, and the store's
        self._waiting: deque[tuple[str, Record]] = deque()
        self._items: Iterator[Item] = iter(())
        self._head: Item | None = None

    def offer(self, leader: Tail, before: tuple[int, int], records: Sequence[Record]) -> None:
        """Takes records that were just stored where nothing older waits, so that they are not read twice.

        leader: the store's reader; before: where it stood before it read them.
        """
        mine = self._reader(leader)
        if self._waiting or any(tail.place < other.place for tail, other in self._pairs if tail is not mine):
            return
        if mine.place == before:
            mine.follow(leader)
            self._waiting.extend((leader.journals.writer_id, record) for record in records)

    def _reader(self, leader: Tail) -> Tail:
        for mine, other in self._pairs:
            if other is leader:
                return mine
        mine = Tail(leader.journals)
        self._pairs.append((mine, leader))
        self._pairs.sort(key=lambda pair: _began(pair[1].journals))
        return mine

    def head(self) -> Item | None:
        """The next item; None where all that is stored was given."""
        while self._head is None:
            self._head = next(self._items, None)
            if self._head is None:
                if not self._waiting and not self._refill():
                    return None
                self.writer_id, record = self._waiting.popleft()
                self._items = _items(record, self.rank)
        return self._head

    def pop(self) -> None:
        """Goes on to the item after the head."""
        self._head = None

    def _refill(self) -> bool:
        for mine, leader in self._pairs:
            while mine.place < leader.place:
                records = mine.read_behind(leader, max_bytes=SLICE_BYTES)
                if records:
                    self._waiting.extend((leader.journals.writer_id, record) for record in records)
                    return True
                mine.follow(leader)  # nothing but damage lay between
        return False


def _began(journals: Journals) -> tuple[float, str]:
    return journals.started_s, journals.writer_id


def _items(record: Record, rank: int) -> Iterator[Item]:
    if not isinstance(record, Rows):
        return iter((record,))
    if rank == 0:
        return rows(record)
    return other_rows(record, rank) if judged(record.keys) else iter(row_times(record))


def time_of(item: Item) -> float:
    """When the item was written, in seconds since 1970."""
    return item if isinstance(item, float) else item.time_s
