"""Which trainings were left behind: an exception ended them, the user's code caught it, and no callback event says so."""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Any


class Whereabouts:
    """Where a training runs: its trainer, which is not kept alive, and its thread.

    lost: called when the trainer is collected, from anywhere: it must take no lock.
    """

    def __init__(self, trainer: Any, lost: Callable[[], None]) -> None:
        self._trainer = weakref.ref(trainer)
        self._thread = threading.get_ident()
        self._finalizer = weakref.finalize(trainer, lost)
        self._finalizer.atexit = False

    def left(self) -> bool:
        """True where this is the training's thread and none of the trainer's methods is under way in it any more."""
        trainer = self._trainer()
        return self._thread == threading.get_ident() and (trainer is None or not _under_way(trainer))

    def error(self) -> BaseException | None:
        """The exception that is being handled now, if it came through the trainer."""
        error, trainer = sys.exc_info()[1], self._trainer()
        trace = error.__traceback__ if error is not None and trainer is not None else None
        while trace is not None:
            if trace.tb_frame.f_locals.get("self") is trainer:
                return error
            trace = trace.tb_next
        return None

    def forget(self) -> None:
        """The training has ended."""
        self._finalizer.detach()


def _under_way(trainer: Any) -> bool:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_locals.get("self") is trainer:
            return True
        frame = frame.f_back
    return False
