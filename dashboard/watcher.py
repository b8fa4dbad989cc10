"""Starts a watcher beside the app where none is alive, once a process, and ends it with the process."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import streamlit as st

from runvitals.settings import Settings

GRACE_S = 6.0
"""How long nobody may watch before we start: `runvitals up` starts app and watcher at once, and the watcher is slower."""

Start = Callable[[Settings], "subprocess.Popen[bytes]"]


@dataclass(slots=True)
class Beside:
    """The watcher that this process started, if it had to."""

    unwatched_since_s: float | None = None
    process: subprocess.Popen[bytes] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def look(self, *, alive: bool, settings: Settings, now_s: float, start: Start) -> None:
        """Starts a watcher once nobody has watched for `GRACE_S`, and again where ours ended."""
        with self.lock:
            if alive:
                self.unwatched_since_s = None
                return
            if self.unwatched_since_s is None:
                self.unwatched_since_s = now_s
            running = self.process is not None and self.process.poll() is None
            if not running and now_s - self.unwatched_since_s >= GRACE_S:
                self.process = start(settings)
                self.unwatched_since_s = now_s

    @property
    def running(self) -> bool:
        """True while a watcher that this process started lives."""
        return self.process is not None and self.process.poll() is None


@st.cache_resource(show_spinner=False)
def beside() -> Beside:
    """The one of this process."""
    return Beside()


def start_watch(settings: Settings) -> subprocess.Popen[bytes]:
    """A running `runvitals watch` with the same settings; it ends when this process ends."""
    settings.home.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "RUNVITALS_HOME": str(settings.home), "RUNVITALS_STORE": settings.store}
    with (settings.home / "watch.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "runvitals.tethered", "runvitals", "watch"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
        )
    atexit.register(_end, process)
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
