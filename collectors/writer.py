"""The append side of the journal: one writer, its files, one `os.write` for each record.

A writer never raises for a disk that fails: it counts what was lost and goes on as soon as writing works again.
It has no lock; `Run` holds one around it.
"""

from __future__ import annotations

import errno
import os
import struct
import time
import zlib
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from typing import Any

from runvitals.collectors import jsonable
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

_REMOVALS = 3
"""How often in a row the folder may be gone again as soon as it was made: the watcher removes that of a run which had ended."""


class Writer:
    """Appends records to `folder/<writer_id>-<n>.rvj`. `lost` counts records that did not reach a file, `failure` says why the last did not.

    start: what the START record says, without its sequence number. clock: seconds that never go back.
    """

    def __init__(
        self,
        folder: Path,
        start: Mapping[str, Any],
        *,
        rotate_bytes: int = ROTATE_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._start = jsonable.dumps(start)
        self._writer_id = str(start["writer_id"])
        self._rotate_bytes = rotate_bytes
        self._clock = clock
        self._fd = -1
        self._identity = (0, 0)
        self._number = 0
        self._size = 0
        self._seq = 1
        self._seen_seq = 1
        self._retry_at = -float("inf")
        self._schemas: dict[tuple[str, ...], tuple[Callable[..., bytes], int]] = {}
        self.lost = 0
        self.failure = ""
        self._ready()

    def row(self, values: Mapping[str, Any], step: int, time_s: float) -> bool:
        """True once the kernel holds the row.

        Raises struct.error where a value or the step is not a number and TypeError or AttributeError where `values` is no dict:
        then nothing was written and the slow path must make numbers of them.
        """
        if self._fd < 0 and not self._ready():
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
            written = os.write(self._fd, record)
        except OSError as error:
            self._cut_off(error)
            return self._lose()
        if written != len(record):
            self._cut_off(None)
            return self._lose()
        self._seq += 1
        self._size += written
        if self._size > self._rotate_bytes:
            self._leave()
        return True

    def take(self, records: Sequence[Packed]) -> int:
        """How many of the records, from the first on, one write gave to the kernel. The others are not lost: they may be given again.

        Each must be short enough for the format.
        """
        if (self._fd < 0 or len(self._schemas) >= MAX_SCHEMAS) and not self._next_file():
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
        taken, schemas = after[self._write(parts, stay=True)]
        for keys in list(self._schemas)[schemas:]:
            del self._schemas[keys]
        if self._size > self._rotate_bytes:
            self._leave()
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
        if self._fd >= 0:
            try:
                found: os.stat_result | None = os.fstat(self._fd)
            except OSError:
                found = None
            if found is None or (found.st_dev, found.st_ino) != self._identity:
                self.failure = "its file was closed by other code"
                self._fd = -1  # the number may be another file's by now: not ours to close
                self.lost += self._seq - self._seen_seq
            elif found.st_nlink == 0:
                self.failure = "its file was deleted"
                self.lost += self._seq - self._seen_seq
                self._leave()
        self._seen_seq = self._seq

    def retry(self) -> None:
        """Lets the next record try a file at once, however recently the last try failed: there may be no later one."""
        self._retry_at = -float("inf")

    def close(self) -> None:
        """Ends writing; asks the disk to hold what the kernel holds."""
        if self._fd >= 0:
            with suppress(OSError):  # a disk that cannot sync has nothing more to tell a run that ends
                os.fsync(self._fd)
        self._leave()

    def forget(self) -> None:
        """In a forked child: lets go of the file, which is the parent's to write."""
        self._leave()

    def _append(self, kind: int, body: bytes) -> bool:
        if self._fd < 0 and not self._ready():
            return self._lose()
        if not self._put(framed(LEAD.pack(kind, self._seq) + body)):
            return self._lose()
        self._seq += 1
        if self._size > self._rotate_bytes:
            self._leave()
        return True

    def _put(self, record: bytes) -> bool:
        """True once the kernel holds the record; false where it holds nothing of it."""
        if len(record) - FRAME.size > MAX_PAYLOAD_BYTES:
            self.failure = too_long(len(record))
            return False
        return self._write([record]) == 1

    def _write(self, records: Sequence[bytes], *, stay: bool = False) -> int:
        """How many of the records the kernel holds now; it holds nothing of the others. stay: those will come again, so a full disk keeps its file."""
        joined = records[0] if len(records) == 1 else b"".join(records)
        try:
            written = os.write(self._fd, joined)
        except OSError as error:
            self._cut_off(error, stay=stay and error.errno in (errno.ENOSPC, errno.EDQUOT))
            return 0
        if written == len(joined):
            self._size += written
            return len(records)
        # A reader may have taken what is whole by now: only the rest may be cut off, and come again under other numbers.
        ends = list(accumulate(map(len, records)))
        whole = bisect_right(ends, written)
        self._size += ends[whole - 1] if whole else 0
        self._cut_off(None, stay=stay)
        return whole

    def _learn(self, keys: tuple[str, ...]) -> tuple[Callable[..., bytes], int] | None:
        """The packer of a key list that this file has not seen, once the file holds it."""
        names, refused = key_names(keys)
        if refused:
            self.failure = refused
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
        self._leave()
        return self._ready()

    def _ready(self) -> bool:
        """True where a file is open, which may be a new one that begins with START."""
        now = self._clock()
        if now < self._retry_at:
            return False
        name = f"{self._writer_id}-{self._number + 1:04d}{SUFFIX}"
        try:
            self._fd = self._new_file(name)
            status = os.fstat(self._fd)
        except OSError as error:
            self._leave()
            self.failure = f"{self._folder / name}: {error.strerror}"
            self._retry_at = now + _REOPEN_S
            return False
        self._identity = (status.st_dev, status.st_ino)
        self._schemas = {}
        self._size = 0
        if not self._put(HEADER + framed(LEAD.pack(START, self._seq) + self._start)):
            self._leave()
            self._seq += 1
            with suppress(OSError):  # a full disk must not be strewn with empty files
                (self._folder / name).unlink()
            self._retry_at = now + _REOPEN_S
            return False
        self._number += 1
        self._seq += 1
        return True

    def _new_file(self, name: str) -> int:
        """An open new file in the folder, which is made where it is not there. Raises OSError."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        for _ in range(_REMOVALS):
            with suppress(FileNotFoundError, FileExistsError):  # the latter from mkdir
                self._folder.mkdir(parents=True, exist_ok=True)
                return os.open(self._folder / name, flags, 0o644)
        self._folder.mkdir(parents=True, exist_ok=True)
        return os.open(self._folder / name, flags, 0o644)

    def _leave(self) -> None:
        """Closes the file; the next record begins another."""
        if self._fd >= 0:
            with suppress(
                OSError
            ):  # network file systems report late write errors here; the records are counted by the reader's gaps
                os.close(self._fd)
        self._fd = -1

    def _cut_off(self, error: OSError | None, *, stay: bool = False) -> bool:
        """False. Cuts half-written records off again and leaves the file: what follows goes into a new one, so nothing stands behind a torn record.

        stay: goes on in the same file where the cut has worked.
        """
        self.failure = "the disk took only part of a record" if error is None else error.strerror or str(error)
        try:
            os.ftruncate(self._fd, self._size)
        except OSError:  # the reader meets a torn tail, which it tolerates
            stay = False
        if not stay:
            self._leave()
        return False

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
