"""Follows one writer's journal files and says what is new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runvitals.collectors import journal
from runvitals.collectors.records import Record, Rows, Start

READ_BYTES = 1 << 20
"""What one call reads of a journal: small enough that runs take turns while a watcher catches up."""


class Tail:
    """The journal of one writer, read from its first file on.

    A watcher that starts anew reads live runs from the beginning: what the store already holds is cut away by sequence number,
    but the diagnostics engine sees every row again and so comes to the same state.
    """

    def __init__(self, run_id: str, writer_id: str) -> None:
        self.run_id = run_id
        self.writer_id = writer_id
        self.files: list[Path] = []
        self.damage: tuple[str, ...] = ()
        self.caught_up = False
        self.started_s = float("inf")
        self._number = 0
        self._position: Mapping[str, Any] | None = None

    @property
    def position(self) -> dict[str, Any]:
        """Where reading goes on, for the store's records."""
        return {"file": self.files[self._number].name if self.files else None, "at": self._position}

    @property
    def behind_bytes(self) -> int:
        """Bytes written and not yet read."""
        offset = int((self._position or {}).get("offset", 0))
        sizes = [path.stat().st_size for path in self.files[self._number :] if path.exists()]
        return max(sum(sizes) - offset, 0)

    def read(self) -> Sequence[Record]:
        """The next records; empty where nothing is new. One call reads a bounded amount; `caught_up` says whether it reached the end.

        Bytes at the end that are no whole record (yet) do not count: a process may have been killed while it wrote them.
        """
        while self._number < len(self.files):
            result = journal.read(self.files[self._number], self._position, max_bytes=READ_BYTES)
            self._position = result.position
            if result.damage:
                self.damage = (*self.damage, *map(str, result.damage))
            is_last = self._number + 1 == len(self.files)
            self.caught_up = is_last and not result.more
            if result.records or self.caught_up:
                return result.records
            if not result.more:
                self._number, self._position = self._number + 1, None
        return ()


def find_tails(run_folder: Path, known: dict[str, Tail]) -> list[Tail]:
    """The tails of all writers of a run in the order in which they began; new ones are added to `known`, rotated files appended."""
    for path in journal.files(run_folder):
        writer_id = journal.writer_id(path)
        tail = known.setdefault(writer_id, Tail(run_folder.name, writer_id))
        if path not in tail.files:
            tail.files.append(path)
        if tail.started_s == float("inf"):
            tail.started_s = _started_s(tail.files[0])
    return sorted(known.values(), key=lambda tail: (tail.started_s, tail.writer_id))


def _started_s(path: Path) -> float:
    """When the writer of a file began; infinity where its first record is not there yet."""
    first = journal.read(path, max_bytes=1).records[:1]
    return first[0].time_s if first and isinstance(first[0], Start) else float("inf")


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
