"""The append side of the journal on a network file system: a bounded queue, and a thread that alone touches the mount.

A mount that hangs, or refuses for a while, holds up that thread and nobody else. What it has not taken yet waits here in memory; what finds
the queue full is lost and counted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from runvitals.collectors import jsonable
from runvitals.collectors.faults import say
from runvitals.collectors.layout import BEAT, BEAT_LEAD, EVENT, LEAD, MAX_PAYLOAD_BYTES, ROW, row_tail_struct
from runvitals.collectors.records import NO_STEP
from runvitals.collectors.writer import MAX_SCHEMAS, ROTATE_BYTES, Packed, Writer, key_names, too_long

QUEUE_BYTES = 32 << 20
"""What may wait: about 13 minutes of 20 scalars a hundred times a second."""

STANDSTILL_S = 5.0
"""At the end of a run, a mount that takes no record for so long is given up."""

END_S = 30.0
"""The end waits no longer than this, though the mount still takes records."""

_RECORD_BYTES = 256
"""What a waiting record takes beside its own bytes, roughly."""

_BATCH_RECORDS = 1000
_BATCH_BYTES = 1 << 20
"""What one write takes at most."""

_RETRY_S = 0.1
_HANGING_S = 10.0
"""A mount that has taken nothing for so long is spoken of."""


class QueuedWriter:
    """As `Writer`, with the same meanings; true means that the record waits for the mount, and no method but `close` ever waits for it.

    `lost` counts the records that found the queue full, that were in a file which somebody deleted, or that were given up at the end.
    Raises RuntimeError where the system gives no more threads.
    """

    def __init__(
        self,
        folder: Path,
        start: Mapping[str, Any],
        *,
        rotate_bytes: int = ROTATE_BYTES,
        queue_bytes: int = QUEUE_BYTES,
        standstill_s: float = STANDSTILL_S,
        make_writer: Callable[..., Writer] = Writer,
    ) -> None:
        self._folder = folder
        self._queue: SimpleQueue[Packed | None] = SimpleQueue()
        self._queue_bytes = queue_bytes
        self._standstill_s = standstill_s
        self._packers: dict[tuple[str, ...], Callable[..., bytes]] = {}
        self._given = self._given_bytes = 0  # written by callers alone
        self._taken = self._taken_bytes = 0  # written by the thread alone
        self._refused = self._deleted = 0
        self._full = False
        self._check_due = False
        self._moved_s = time.monotonic()
        self._hanging = False
        self._given_up = False
        self._refusal_said = False
        self._done = threading.Event()
        self.failure = ""
        work = (partial(make_writer, folder, dict(start), rotate_bytes=rotate_bytes),)
        threading.Thread(target=self._run, args=work, name="runvitals-journal", daemon=True).start()

    @property
    def lost(self) -> int:
        """Records that did not reach a file, and will not."""
        return self._refused + self._deleted

    def row(self, values: Mapping[str, Any], step: int, time_s: float) -> bool:
        """True once the row waits. Raises as `Writer.row` does."""
        keys = tuple(values)
        pack = self._packers.get(keys)
        if pack is None:
            pack = self._learn(keys)
            if pack is None:
                return False
        return self._give(ROW, keys, pack(time_s, step, *values.values()))

    def event(self, event: Mapping[str, Any]) -> bool:
        """True once the event waits."""
        body = jsonable.dumps(event)
        if LEAD.size + len(body) > MAX_PAYLOAD_BYTES:
            return self._refuse(too_long(len(body)))
        return self._give(EVENT, None, body)

    def beat(self, phase: str, step: int | None, time_s: float) -> bool:
        """True once the beat waits."""
        step = NO_STEP if step is None else step
        return self._give(BEAT, None, BEAT_LEAD.pack(BEAT, 0, time_s, step)[LEAD.size :] + phase.encode())

    def check(self) -> None:
        """Lets the thread look whether the file is still there; says once where the mount hangs."""
        self._check_due = True
        if self._taken == self._given or time.monotonic() - self._moved_s < _HANGING_S:
            self._hanging = False
        elif not self._hanging:
            self._hanging = True
            say(
                f"{self._folder}: the file system has taken nothing for {_HANGING_S:.0f} s; training goes on, up to "
                f"{self._queue_bytes >> 20} MiB of its rows wait in memory"
            )

    def retry(self) -> None:
        """Nothing: the thread tries ten times a second by itself."""

    def close(self) -> None:
        """Ends writing once the mount has everything; waits at most STANDSTILL_S for each next record, and END_S in all.

        What it has not taken by then counts as lost, though the thread still writes it where the mount comes back while the process lives.
        """
        self._queue.put(None)
        until, seen = time.monotonic() + END_S, self._taken
        while not self._done.wait(min(self._standstill_s, max(until - time.monotonic(), 0.0))):
            if self._taken == seen or time.monotonic() >= until:
                self._give_up()
                return
            seen = self._taken

    def forget(self) -> None:
        """In a forked child: nothing. To close the parent's file could hang the child; the system does it when the child ends."""

    def _give_up(self) -> None:
        self._given_up = True
        waiting = self._given - self._taken
        if waiting:
            self._refused += waiting
            self.failure = "the file system has not taken them yet"

    def _learn(self, keys: tuple[str, ...]) -> Callable[..., bytes] | None:
        refused = key_names(keys)[1]
        if refused:
            self._refuse(refused)
            return None
        if len(self._packers) >= MAX_SCHEMAS:  # keys that never repeat
            self._packers.clear()
        pack = self._packers[keys] = row_tail_struct(len(keys)).pack
        return pack

    def _give(self, kind: int, keys: tuple[str, ...] | None, body: bytes) -> bool:
        size = len(body) + _RECORD_BYTES
        waiting = self._given_bytes - self._taken_bytes
        # A queue that was full takes nothing until it is half empty, so that what is lost is lost in one piece and told once.
        if waiting + size > (self._queue_bytes // 2 if self._full and waiting else self._queue_bytes):
            self._full = True
            return self._refuse(f"the file system is too slow or hangs, and {self._queue_bytes >> 20} MiB wait for it")
        self._full = False
        if self._taken == self._given:
            self._moved_s = time.monotonic()
        self._given += 1
        self._given_bytes += size
        self._queue.put((kind, keys, body))
        return True

    def _refuse(self, why: str) -> bool:
        self._refused += 1
        self.failure = why
        return False

    def _run(self, make_writer: Callable[[], Writer]) -> None:
        """The thread: everything that touches the mount."""
        writer = make_writer()
        ended = False
        while not ended:
            batch, ended = self._next()
            if not self._write(writer, batch):
                return
        writer.close()
        self._done.set()

    def _write(self, writer: Writer, batch: list[Packed]) -> bool:
        """True once all records are in a file; false where the end gave them up."""
        most = len(batch)
        while batch:
            self._check(writer)
            taken = writer.take(batch[:most])
            most = max(2 * most if taken else most // 2, 1)  # a disk that is nearly full may have room for some
            if taken:
                self._taken_bytes += sum(len(body) + _RECORD_BYTES for _, _, body in batch[:taken])
                self._taken += taken
                self._moved_s = time.monotonic()
                del batch[:taken]
            elif self._given_up:
                return False
            else:
                self._say_refused(writer.failure)
                time.sleep(_RETRY_S)
        return True

    def _next(self) -> tuple[list[Packed], bool]:
        """What waits, as much of it as one write takes, as soon as there is something; and whether it is the last."""
        batch: list[Packed] = []
        size = 0
        while len(batch) < _BATCH_RECORDS and size < _BATCH_BYTES and not (batch and self._queue.empty()):
            record = self._queue.get()
            if record is None:
                return batch, True
            batch.append(record)
            size += len(record[2])
        return batch, False

    def _check(self, writer: Writer) -> None:
        if self._check_due:
            self._check_due = False
            writer.check()
            if writer.lost != self._deleted:
                self.failure = writer.failure
                self._deleted = writer.lost

    def _say_refused(self, why: str) -> None:
        if not self._refusal_said:
            self._refusal_said = True
            say(f"cannot write the journal: {why}; training goes on, its rows wait in memory until this works")
