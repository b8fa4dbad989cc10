"""What the journals of a run hold, compared with what the store has of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runvitals.collectors import journal
from runvitals.collectors.records import Event, Record, Rows, Start
from runvitals.errors import JournalError
from runvitals.watch.processes import is_alive
from runvitals.watch.removal import listed_files


@dataclass(slots=True)
class Survey:
    """One writer's journal, read from end to end.

    last_seq: its newest record; -1 where it has none. taken_seq: the newest that the store has. gaps: the missing numbers as (first, last).
    torn_bytes: bytes at the ends of files that are no whole record. skipped: records of kinds that this version does not know.
    finished: the writer said that it ended. alive: whether its process exists; None where that cannot be known.
    """

    writer_id: str
    taken_seq: int
    files: list[Path] = field(default_factory=list)
    bytes: int = 0
    last_seq: int = -1
    behind_bytes: int = 0
    gaps: list[tuple[int, int]] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)
    torn_bytes: int = 0
    skipped: int = 0
    finished: bool = False
    alive: bool | None = None

    @property
    def taken_in(self) -> bool:
        """True where the store has all that the files hold, and nothing in them is unreadable."""
        return self.last_seq <= self.taken_seq and not self.damage and not self.skipped

    @property
    def closed(self) -> bool:
        """True where nothing more can come: the writer said so, or its process is known to be gone."""
        return self.finished or self.alive is False


def not_taken_in(found: Sequence[Survey]) -> str:
    """Why journals must stay because the store lacks something of them, or ""."""
    for one in found:
        if one.damage:
            return "damaged: see runvitals doctor"
        if one.skipped:
            return "has records of a newer runvitals"
        if one.last_seq > one.taken_seq:
            return "not taken in whole: runvitals watch --once"
    return ""


def not_closed(found: Sequence[Survey]) -> str:
    """Why journals must stay because more may come, or ""."""
    return "" if all(one.closed for one in found) else "its process may still write"


def survey(
    run_folder: Path, taken: Mapping[str, int], *, alive: Callable[[Mapping[str, Any]], bool | None] = is_alive
) -> list[Survey]:
    """The journal of each writer of a run. taken: per writer the newest record that the store has."""
    found: dict[str, Survey] = {}
    listed = listed_files(run_folder)
    for path in journal.files(run_folder):
        if path.name in listed:
            continue
        writer_id = journal.writer_id(path)
        one = found.setdefault(writer_id, Survey(writer_id, taken.get(writer_id, -1)))
        one.files.append(path)
        try:
            _read(path, one, alive)
        except (JournalError, OSError) as error:
            one.damage.append(str(error))
    return list(found.values())


def _read(path: Path, one: Survey, alive: Callable[[Mapping[str, Any]], bool | None]) -> None:
    """Adds what a file holds. Raises JournalError."""
    one.bytes += path.stat().st_size
    position: Mapping[str, Any] | None = None
    while True:
        before = 0 if position is None else int(position["offset"])
        result = journal.read(path, position)
        position = result.position
        one.damage.extend(map(str, result.damage))
        one.skipped += sum(result.skipped_kinds.values())
        for record in result.records:
            _note(record, one, alive)
        if one.last_seq > one.taken_seq:
            one.behind_bytes += int(position["offset"]) - before
        if not result.more:
            break
    one.torn_bytes += result.tail_bytes


def _note(record: Record, one: Survey, alive: Callable[[Mapping[str, Any]], bool | None]) -> None:
    first = record.first_seq if isinstance(record, Rows) else record.seq
    if first > max(one.last_seq, 0) + 1:
        one.gaps.append((max(one.last_seq, 0) + 1, first - 1))
    one.last_seq = max(one.last_seq, first + (record.count - 1 if isinstance(record, Rows) else 0))
    if isinstance(record, Start):
        one.alive = alive(record.info)
    elif isinstance(record, Event) and record.kind == "finish":
        one.finished = True
