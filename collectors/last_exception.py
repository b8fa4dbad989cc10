"""What the exception that ends a process says of its run."""

from __future__ import annotations

import signal
import traceback
from typing import Any, Literal

from runvitals.collectors.jsonable import text

Status = Literal["finished", "stopped", "crashed"]
"""How a run ends."""

_TRACEBACK_LETTERS = 20_000


def ending_of(error: BaseException) -> tuple[Status, int]:
    """How the run ends with it, and the exit code of its process."""
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        return ("crashed", code) if code else ("finished", 0)
    if isinstance(error, KeyboardInterrupt):
        return "stopped", 128 + signal.SIGINT
    return "crashed", 1


def event_of(error: BaseException) -> tuple[str, dict[str, Any]] | None:
    """The kind and data of the event that tells of it; None for an exit that somebody asked for."""
    if isinstance(error, SystemExit):
        return None
    if isinstance(error, KeyboardInterrupt):
        return "signal", {"name": "SIGINT"}
    lines = "".join(traceback.format_exception(error))[-_TRACEBACK_LETTERS:]
    return "exception", {"type": type(error).__name__, "message": text(error), "traceback": lines}
