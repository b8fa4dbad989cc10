"""Ends a process whose main thread never comes to run its signal handler, as the system would have without any handler.

Python runs handlers between two steps of the main thread, and a thread that waits in C code (for a collective, for a GPU) makes none. C code that
waits without releasing the interpreter's lock stops this thread too: then only SIGKILL helps.
"""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

PATIENCE_S = 1.0
"""A handler that runs at all has noted the signal and passed it on by then; a launcher that follows up with SIGKILL waits far longer."""

_READ_BYTES = 512


class Rescue:
    """A daemon thread that Python itself wakes at each signal, by one byte in a pipe.

    note: tells the runs that the signal came, from this thread, when the main thread did not.
    """

    def __init__(self, number: int, handler: Callable[..., Any], *, note: Callable[[int], object]) -> None:
        self._number, self._handler, self._note = number, handler, note
        self._read, self._written = os.pipe()
        os.set_blocking(self._written, False)

    @classmethod
    def begin(cls, number: int, handler: Callable[..., Any], *, note: Callable[[int], object]) -> Self | None:
        """A rescue at work; None where other code has Python's wake-up pipe or the system gives no thread. For the main thread only."""
        before = signal.set_wakeup_fd(-1)
        if before != -1:
            signal.set_wakeup_fd(before)
            return None
        made = cls(number, handler, note=note)
        thread = threading.Thread(target=made._run, name="runvitals-sigterm", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            made._close()
            return None
        signal.set_wakeup_fd(made._written, warn_on_full_buffer=False)
        return made

    def forget(self) -> None:
        """In a forked child: its signals must not wake the parent's thread."""
        other = signal.set_wakeup_fd(-1)
        if other not in (-1, self._written):
            signal.set_wakeup_fd(other)
        self._close()

    def _close(self) -> None:
        for end in (self._read, self._written):
            with suppress(OSError):  # a worker may have closed everything it inherited
                os.close(end)

    def _run(self) -> None:
        while woken := self._next():
            if self._number in woken and signal.getsignal(self._number) is self._handler:
                self._end()

    def _next(self) -> bytes:
        try:
            return os.read(self._read, _READ_BYTES)
        except OSError:  # other code closed our pipe
            return b""

    def _end(self) -> None:
        time.sleep(PATIENCE_S)
        if signal.getsignal(self._number) is not self._handler:  # by now on its way, or somebody else's to decide
            return
        set_handler = ctypes.CDLL(None).signal  # `signal.signal` is for the main thread alone, and that one is stuck
        set_handler.argtypes, set_handler.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
        set_handler(
            self._number, None
        )  # first: should the disk hang below, the next signal from outside ends the process
        self._note(self._number)
        os.kill(os.getpid(), self._number)
