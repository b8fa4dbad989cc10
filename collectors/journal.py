"""Reads journals: whole records from a position on, however the file ends and whatever was damaged in it.

    position = None
    while True:
        result = read(path, position)
        ...                                   # result.records
        position = result.position            # JSON: keep it, come back with it
        if not result.more:
            break                             # until the file grows

Where `files` lists a later file of the same writer, the earlier one gets no more records: list first, then read to the end.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO
from zlib import crc32

from runvitals.collectors.decode import decoded, next_record
from runvitals.collectors.layout import (
    FRAME,
    HEADER,
    KEYS,
    LEAD,
    MAGIC,
    MAX_PAYLOAD_BYTES,
    ROW,
    ROW_LEAD,
    SCHEMA_LEAD,
    SUFFIX,
    VERSION,
)
from runvitals.collectors.records import Record, Rows
from runvitals.errors import JournalError

MAX_BYTES = 8 << 20
"""What one call reads at most (more only where a single record is longer), so that memory stays flat."""

_WINDOW_BYTES = 2 * (FRAME.size + MAX_PAYLOAD_BYTES)
"""What is searched at once for the next record after damage: room for the longest record wherever it begins in the first half."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """Bytes in the middle of a file that are no record: `size` bytes from `offset` on were passed over."""

    path: Path
    offset: int
    size: int

    def __str__(self) -> str:
        return f"{self.path}: {self.size} bytes from offset {self.offset} on are no record; what follows them was read"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadResult:
    """What one call of `read` found.

    position: where to go on, JSON. skipped_kinds: how many whole records of each unknown kind were passed over.
    more: the call stopped at its limit, call again. tail_bytes: bytes at the file's end that are no whole record (yet).
    """

    records: tuple[Record, ...]
    position: Mapping[str, Any]
    skipped_kinds: Mapping[int, int]
    damage: tuple[Damage, ...]
    more: bool
    tail_bytes: int


def files(folder: Path) -> list[Path]:
    """A run's journal files, by writer and in the order in which each writer wrote them; none where there is no folder."""
    return sorted(
        (path for path in folder.glob(f"*-*{SUFFIX}") if number(path) >= 0),
        key=lambda path: (writer_id(path), number(path)),
    )


def writer_id(path: Path) -> str:
    """The writer whose file this is, after its name."""
    return path.stem.rpartition("-")[0]


def number(path: Path) -> int:
    """The file's place among its writer's files, after its name; -1 where the name has none."""
    digits = path.stem.rpartition("-")[2]
    return int(digits) if digits.isascii() and digits.isdigit() else -1


def read(path: Path, position: Mapping[str, Any] | None = None, *, max_bytes: int = MAX_BYTES) -> ReadResult:
    """The whole records from `position` on (from the start where None), up to about `max_bytes` of them.

    A torn or zero-filled tail is left for the next call; damage in the middle is passed over and reported.
    Raises JournalError where the file cannot be read, is no journal, or has become shorter than what was read of it.
    """
    try:
        with path.open("rb") as stream:
            return _Reading(path, stream, position or {}).result(max_bytes)
    except OSError as error:
        raise JournalError(f"{path}: cannot be read: {error.strerror}") from error


class _Reading:
    """One call of `read`: the open file, the key lists known so far, the records found."""

    def __init__(self, path: Path, stream: BinaryIO, position: Mapping[str, Any]) -> None:
        self.path = path
        self.stream = stream
        self.size = stream.seek(0, 2)
        self.offset = int(position.get("offset", 0))
        self.key_offsets: dict[str, int] = dict(position.get("keys", {}))
        self.key_lists: dict[int, tuple[str, ...]] = {}
        self.records: list[Record] = []
        self.skipped: dict[int, int] = {}
        self.damage: list[Damage] = []
        self.bodies: list[bytes] = []
        self.bodies_schema = -1
        self.bodies_seq = 0
        self.bodies_size = 0

    def result(self, max_bytes: int) -> ReadResult:
        if self.size < self.offset:
            raise JournalError(
                f"{self.path}: expected at least {self.offset} bytes, found {self.size}; the file was cut or replaced"
            )
        more = (self.offset > 0 or self._header()) and self.offset < self.size and self._advance(max_bytes)
        self._close_group()
        return ReadResult(
            records=tuple(self.records),
            position={"offset": self.offset, "keys": self.key_offsets},
            skipped_kinds=self.skipped,
            damage=tuple(self.damage),
            more=more,
            tail_bytes=0 if more else self.size - self.offset,
        )

    def _header(self) -> bool:
        """True once the file has its header; raises JournalError where it is another kind of file."""
        head = self._at(0, len(HEADER))
        if len(head) == len(HEADER) and head.startswith(HEADER[: len(MAGIC) + 1]):
            self.offset = len(HEADER)
            return True
        if HEADER.startswith(head.rstrip(b"\0")):  # torn, or filled with zeros after a power cut
            return False
        if head.startswith(MAGIC):
            version = head[len(MAGIC)]
            raise JournalError(
                f"{self.path}: expected journal version {VERSION}, found {version}; update runvitals here"
            )
        raise JournalError(f"{self.path}: expected a runvitals journal, found a file that begins with {head!r}")

    def _at(self, offset: int, size: int) -> bytes:
        self.stream.seek(offset)
        return self.stream.read(size)

    def _advance(self, max_bytes: int) -> bool:
        """Takes one stretch of the file; true where there may be more to take at once."""
        start = self.offset
        data = self._at(start, max_bytes)
        self._take(data)
        if start + len(data) < self.size and self.offset > start:
            return True
        if self.offset == start + len(data):
            return False
        before = self.offset
        self._take(self._at(before, FRAME.size + MAX_PAYLOAD_BYTES))
        return self.offset < self.size if self.offset > before else self._pass_damage()

    def _take(self, data: bytes) -> None:
        """Takes the whole records at the beginning of `data`, which starts at the offset."""
        view = memoryview(data)
        base, at, end = self.offset, 0, len(data)
        while end - at >= FRAME.size + LEAD.size:
            length, checksum = FRAME.unpack_from(data, at)
            body = at + FRAME.size
            stop = body + length
            if stop > end or length < LEAD.size or crc32(view[body:stop]) != checksum:
                break
            kind, seq = LEAD.unpack_from(data, body)
            if not (kind == ROW and self._row(seq, data, body, stop)) and not self._other(
                kind, seq, data[body:stop], base + at
            ):
                self._damaged(base + at, stop - at)
            at = stop
        self.offset = base + at

    def _row(self, seq: int, data: bytes, body: int, stop: int) -> bool:
        """True where the row's key list is known and fits."""
        schema = SCHEMA_LEAD.unpack_from(data, body)[2] if stop - body >= SCHEMA_LEAD.size else -1
        size = stop - body
        if schema != self.bodies_schema or size != self.bodies_size or seq != self.bodies_seq + len(self.bodies):
            self._close_group()
            keys = self._keys(schema)
            if keys is None or size != ROW_LEAD.size + 8 * len(keys):
                return False
            self.bodies_schema, self.bodies_seq, self.bodies_size = schema, seq, size
        self.bodies.append(data[body + SCHEMA_LEAD.size : stop])
        return True

    def _close_group(self) -> None:
        """Makes one record of the rows gathered so far."""
        if self.bodies:
            keys = self.key_lists[self.bodies_schema]
            rows = Rows(first_seq=self.bodies_seq, count=len(self.bodies), keys=keys, body=b"".join(self.bodies))
            self.records.append(rows)
        self.bodies = []
        self.bodies_schema = -1

    def _keys(self, schema: int) -> tuple[str, ...] | None:
        """The key list of a schema, fetched from its place in the file where this call has not met it."""
        if schema not in self.key_lists:
            offset = self.key_offsets.get(str(schema))
            if offset is None:
                return None
            length, _ = FRAME.unpack(self._at(offset, FRAME.size))
            payload = self._at(offset + FRAME.size, length)
            self.key_lists[schema] = tuple(json.loads(payload[SCHEMA_LEAD.size :]))
        return self.key_lists[schema]

    def _other(self, kind: int, seq: int, payload: bytes, offset: int) -> bool:
        """True where a record that is no row was taken or skipped; false where its content is not what its kind promises."""
        if kind == ROW:
            return False
        try:
            if kind == KEYS:
                schema = SCHEMA_LEAD.unpack_from(payload)[2]
                self.key_lists[schema] = tuple(json.loads(payload[SCHEMA_LEAD.size :]))
                self.key_offsets[str(schema)] = offset
                return True
            record = decoded(kind, seq, payload)
        except (ValueError, KeyError, TypeError, struct.error):
            return False
        self._close_group()
        if record is None:
            self.skipped[kind] = self.skipped.get(kind, 0) + 1
        else:
            self.records.append(record)
        return True

    def _pass_damage(self) -> bool:
        """Goes to the next record after the offset, where there is one; true where there may be more to take."""
        window = self._at(self.offset, _WINDOW_BYTES)
        found = next_record(window)
        if found is None:
            found = len(window) // 2
            if self.offset + len(window) >= self.size:
                return False
        self._damaged(self.offset, found)
        self.offset += found
        return True

    def _damaged(self, offset: int, size: int) -> None:
        """Notes damage, joined with the last where it follows it directly."""
        last = self.damage[-1] if self.damage else None
        if last is not None and last.offset + last.size == offset:
            self.damage[-1] = replace(last, size=last.size + size)
        else:
            self.damage.append(Damage(path=self.path, offset=offset, size=size))
