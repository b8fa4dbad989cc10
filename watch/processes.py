"""Whether a run's process still exists, where that can be known."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

import psutil

START_TOLERANCE_S = 2.0
"""psutil and the kernel round a process's start differently; a pid that was given again starts much later."""


def is_alive(info: Mapping[str, Any], *, host: str | None = None) -> bool | None:
    """True or false for a process of this host; None for another host's or where the record names no process.

    info: a writer's START info: host, pid, process_start_s.
    """
    pid, started_s = info.get("pid"), info.get("process_start_s")
    if info.get("host") != (host or socket.gethostname()) or not isinstance(pid, int):
        return None
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return not isinstance(started_s, int | float) or abs(process.create_time() - started_s) < START_TOLERANCE_S
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return None
