"""The append side of the journal: one writer, its files, one `os.write` for each record.

A writer never raises for a disk that fails: it counts what was lost and goes on as soon as writing works again.
It has no lock; `Run` holds one around it.
"""

from __future__ import annotations

import os
import struct
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from runvitals.collectors import jsonable
from runvitals.collectors.append_file import AppendFile
from runvitals.collectors.layout import (
    BEAT,
    BEAT_LEAD,
    EVENT,
    FRAME,
    HEADER,
    KEYS,
    LEAD,
    MAX_PAYLOAD_BYTES,
    ROW,
    SCHEMA_LEAD,
    START,
    SUFFIX,
    framed,
    row_struct,
)
from runvitals.collectors.records import NO_STEP

ROTATE_BYTES = 64 << 20
MAX_SCHEMAS = 1000
"""Key lists in one file: a run whose keys never repeat gets a new file instead of a table without end."""

Packed = tuple[int, tuple[str, ...] | None, bytes]
"""A record without its number: kind, key list (of a row, else None), and the payload after the number (of a row, after the schema id)."""

_REOPEN_S = 0.1
"""After a file could not be opened, the next try waits so long: a full disk must not cost a step more than a function call."""


class Writer:
    """Appends records to `folder/<writer_id>-<n>.rvj`. `lost` counts records that did not reach a file, `failure` says why the last did not.

    start: what the START record says, without its sequence number. clock: seconds that never go back. file: what stands for the disk.
    """

    def __init__(
        self,
        folder: Path,
        start: Mapping[str, Any],
        *,
        rotate_bytes: int = ROTATE_BYTES,
        clock: Callable[[], float] = time.monotonic,
        file: AppendFile | None = None,
    ) -> None:
        self._folder = folder
        self._start = jsonable.dumps(start)
        self._writer_id = str(start["writer_id"])
        self._rotate_bytes = rotate_bytes
        self._clock = clock
        self._file = file or AppendFile()
        self._number = 0
        self._seq = 1
        self._seen_seq = 1
        self._retry_at = -float("inf")
        self._schemas: dict[tuple[str, ...], tuple[Callable[..., bytes], int]] = {}
        self.lost = 0
        self._ready()

    @property
    def failure(self) -> str:
        """Why the last record that is lost, or was not taken, did not reach a file; "" where none was."""
        return self._file.failure

    def row(self, values: Mapping[str, Any], step: int, time_s: float) -> bool:
        """True once the kernel holds the row.

        Raises struct.error where a value or the step is not a number and TypeError or AttributeError where `values` is no dict:
        then nothing was written and the slow path must make numbers of them.
        """
        file = self._file
        if file.fd < 0 and not self._ready():
            return self._lose()
        keys = tuple(values)
        known = self._schemas.get(keys)
        if known is None:
            known = self._learn(keys)
            if known is None:
                return self._lose()
        pack, schema = known
        payload = pack(ROW, self._seq, schema, time_s, step, *values.values())
        record = FRAME.pack(len(payload), zlib.crc32(payload)) + payload
        try:
            written = os.write(file.fd, record)
        except OSError as error:
            file.cut_off(error)
            return self._lose()
        if written != len(record):
            file.cut_off(None)
            return self._lose()
        self._seq += 1
        file.size += written
        if file.size > self._rotate_bytes:
            file.leave()
        return True

    def take(self, records: Sequence[Packed]) -> int:
        """How many of the records, from the first on, one write gave to the kernel. The others are not lost: they may be given again.

        Each must be short enough for the format.
        """
        if (self._file.fd < 0 or len(self._schemas) >= MAX_SCHEMAS) and not self._next_file():
            return 0
        parts: list[bytes] = []
        after: list[tuple[int, int]] = [
            (0, len(self._schemas))
        ]  # records and key lists that the file has after each part
        for count, (kind, keys, body) in enumerate(records):
            lead = LEAD.pack(kind, self._seq)
            if keys is not None:
                known = self._schemas.get(keys)
                if known is None and len(self._schemas) >= MAX_SCHEMAS:
                    break
                schema = known[1] if known else len(self._schemas)
                if known is None:
                    parts.append(self._introduced(keys, jsonable.dumps(keys)))
                    after.append((count, len(self._schemas)))
                lead = SCHEMA_LEAD.pack(kind, self._seq, schema)
            parts.append(framed(lead + body))
            after.append((count + 1, len(self._schemas)))
            self._seq += 1
        taken, schemas = after[self._file.write(parts, stay=True)]
        for keys in list(self._schemas)[schemas:]:
            del self._schemas[keys]
        if self._file.size > self._rotate_bytes:
            self._file.leave()
        return taken

    def event(self, event: Mapping[str, Any]) -> bool:
        """True once the kernel holds the event: time_s, step, kind and data."""
        return self._append(EVENT, jsonable.dumps(event))

    def beat(self, phase: str, step: int | None, time_s: float) -> bool:
        """True once the kernel holds the beat."""
        step = NO_STEP if step is None else step
        return self._append(BEAT, BEAT_LEAD.pack(BEAT, 0, time_s, step)[LEAD.size :] + phase.encode())

    def check(self) -> None:
        """Looks whether the file is still in its folder; where somebody deleted it, counts what went with it and leaves it."""
        if not self._file.check():
            self.lost += self._seq - self._seen_seq
        self._seen_seq = self._seq

    def retry(self) -> None:
        """Lets the next record try a file at once, however recently the last try failed: there may be no later one."""
        self._retry_at = -float("inf")

    def close(self) -> None:
        """Ends writing; asks the disk to hold what the kernel holds."""
        self._file.sync()
        self._file.leave()

    def forget(self) -> None:
        """In a forked child: lets go of the file, which is the parent's to write."""
        self._file.leave()

    def _append(self, kind: int, body: bytes) -> bool:
        if self._file.fd < 0 and not self._ready():
            return self._lose()
        if not self._put(framed(LEAD.pack(kind, self._seq) + body)):
            return self._lose()
        self._seq += 1
        if self._file.size > self._rotate_bytes:
            self._file.leave()
        return True

    def _put(self, record: bytes) -> bool:
        """True once the kernel holds the record; false where it holds nothing of it."""
        if len(record) - FRAME.size > MAX_PAYLOAD_BYTES:
            self._file.failure = too_long(len(record))
            return False
        return self._file.write([record]) == 1

    def _learn(self, keys: tuple[str, ...]) -> tuple[Callable[..., bytes], int] | None:
        """The packer of a key list that this file has not seen, once the file holds it."""
        names, refused = key_names(keys)
        if refused:
            self._file.failure = refused
            return None
        if len(self._schemas) >= MAX_SCHEMAS and not self._next_file():
            return None
        return self._schemas[keys] if self._put(self._introduced(keys, names)) else None

    def _introduced(self, keys: tuple[str, ...], names: bytes) -> bytes:
        """The KEYS record of a key list that this file has not seen, which from now on it has."""
        schema = len(self._schemas)
        self._schemas[keys] = (row_struct(len(keys)).pack, schema)
        return framed(SCHEMA_LEAD.pack(KEYS, self._seq, schema) + names)

    def _next_file(self) -> bool:
        """True where a new file is open."""
        self._file.leave()
        return self._ready()

    def _ready(self) -> bool:
        """True where a file is open, which may be a new one that begins with START."""
        now = self._clock()
        if now < self._retry_at:
            return False
        path = self._folder / f"{self._writer_id}-{self._number + 1:04d}{SUFFIX}"
        if not self._file.begin(path):
            self._retry_at = now + _REOPEN_S
            return False
        self._schemas = {}
        if not self._put(HEADER + framed(LEAD.pack(START, self._seq) + self._start)):
            self._file.leave()
            self._seq += 1
            with suppress(OSError):  # a full disk must not be strewn with empty files
                path.unlink()
            self._retry_at = now + _REOPEN_S
            return False
        self._number += 1
        self._seq += 1
        return True

    def _lose(self) -> bool:
        self.lost += 1
        self._seq += 1  # a lost record leaves a gap in the numbers, and no number ever names two records
        return False


def key_names(keys: tuple[str, ...]) -> tuple[bytes, str]:
    """The keys as JSON, and why no row can have so many or so long ones ("" where it can).

    Raises struct.error where they are not all plain strings.
    """
    if not all(type(key) is str for key in keys):
        raise struct.error("keys must be strings")
    names = jsonable.dumps(keys)
    longest = max(row_struct(len(keys)).size, SCHEMA_LEAD.size + len(names))
    return names, too_long(longest) if longest > MAX_PAYLOAD_BYTES else ""


def too_long(size: int) -> str:
    """Why a record of so many bytes cannot be written."""
    return f"a record of {size} bytes is too long"
