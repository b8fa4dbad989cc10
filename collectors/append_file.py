"""A file that only grows, by whole records: what a failing disk left half-written is cut off again."""

from __future__ import annotations

import errno
import os
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from itertools import accumulate
from pathlib import Path

_REMOVALS = 3
"""How often in a row the folder may be gone again as soon as it was made: the watcher removes that of a run which had ended."""


class AppendFile:
    """The file that a writer has open, if any. None of its methods raises for the disk.

    fd: -1 where none is open. size: bytes of whole records that the kernel holds. failure: why the last record did not get there.
    """

    def __init__(self) -> None:
        self.fd = -1
        self.size = 0
        self.failure = ""
        self._identity = (0, 0)

    def begin(self, path: Path) -> bool:
        """True once a new, empty file is open; its folder is made where it is not there."""
        try:
            self.fd = _new_file(path)
            status = os.fstat(self.fd)
        except OSError as error:
            self.leave()
            self.failure = f"{path}: {error.strerror}"
            return False
        self._identity = (status.st_dev, status.st_ino)
        self.size = 0
        return True

    def write(self, records: Sequence[bytes], *, stay: bool = False) -> int:
        """How many of the records the kernel holds now; it holds nothing of the others. stay: those will come again, so a full disk keeps its file."""
        joined = records[0] if len(records) == 1 else b"".join(records)
        try:
            written = os.write(self.fd, joined)
        except OSError as error:
            self.cut_off(error, stay=stay and error.errno in (errno.ENOSPC, errno.EDQUOT))
            return 0
        if written == len(joined):
            self.size += written
            return len(records)
        # A reader may have taken what is whole by now: only the rest may be cut off, and come again under other numbers.
        ends = list(accumulate(map(len, records)))
        whole = bisect_right(ends, written)
        self.size += ends[whole - 1] if whole else 0
        self.cut_off(None, stay=stay)
        return whole

    def cut_off(self, error: OSError | None, *, stay: bool = False) -> None:
        """Cuts half-written records off again and leaves the file: what follows goes into a new one, so nothing stands behind a torn record.

        stay: goes on in the same file where the cut has worked.
        """
        self.failure = "the disk took only part of a record" if error is None else error.strerror or str(error)
        try:
            os.ftruncate(self.fd, self.size)
        except OSError:  # the reader meets a torn tail, which it tolerates
            stay = False
        if not stay:
            self.leave()

    def check(self) -> bool:
        """False where somebody closed or deleted the file under us; it is left then."""
        if self.fd < 0:
            return True
        try:
            found: os.stat_result | None = os.fstat(self.fd)
        except OSError:
            found = None
        if found is None or (found.st_dev, found.st_ino) != self._identity:
            self.failure = "its file was closed by other code"
            self.fd = -1  # the number may be another file's by now: not ours to close
            return False
        if found.st_nlink == 0:
            self.failure = "its file was deleted"
            self.leave()
            return False
        return True

    def sync(self) -> None:
        """Asks the disk to hold what the kernel holds."""
        if self.fd >= 0:
            with suppress(OSError):  # a disk that cannot sync has nothing more to tell a run that ends
                os.fsync(self.fd)

    def leave(self) -> None:
        """Closes the file, if one is open."""
        if self.fd >= 0:
            with suppress(
                OSError
            ):  # network file systems report late write errors here; the records are counted by the reader's gaps
                os.close(self.fd)
        self.fd = -1


def _new_file(path: Path) -> int:
    """An open new file in its folder, which is made where it is not there. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
    for _ in range(_REMOVALS):
        with suppress(FileNotFoundError, FileExistsError):  # the latter from mkdir
            path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(path, flags, 0o644)
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, flags, 0o644)
