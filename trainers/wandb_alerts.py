"""Passes alerts on to the W&B run of this process, where there is one: `wandb.alert` must be called by the process that owns the run.

A watcher with `url = "wandb://"` hands them back in a file; a thread here looks at it every five seconds. It imports nothing and waits for
nobody: where wandb hangs, this thread hangs, and training goes on.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from runvitals.collectors.handed_back import HandedBack, Reader, file_for
from runvitals.trainers.guard import Guard

EVERY_S = 5.0

LONGEST_TITLE = 63
"""Characters that W&B takes."""

SHORTEST_WAIT_S = 0.001
"""Between alerts of one title: the watcher has already decided that each is news, and W&B takes 0 for its default of a minute."""

_LEVELS = {"critical": "ERROR", "warning": "WARN"}
_PART = "wandb alerts"


def live_run() -> Any | None:
    """The W&B run of this process; None where wandb was never imported or has no run."""
    return getattr(sys.modules.get("wandb"), "run", None)


class WandbAlerts:
    """Passes a run's alerts on from its making to `close`. run: a `runvitals` run. find: gives the W&B run."""

    def __init__(
        self, run: Any, guard: Guard, *, find: Callable[[], Any | None] = live_run, every_s: float = EVERY_S
    ) -> None:
        self._path = file_for(run.path.parent, run.id)
        self._reader = Reader(self._path)
        self._guard = guard
        self._find = find
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._pass_on, name="runvitals-wandb", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Looks once more and ends; does not wait for that."""
        self._stop.set()

    def _pass_on(self) -> None:
        while _PART not in self._guard.disabled:
            is_last = self._stop.wait(self._every_s)
            self._guard.call(_PART, self._look)
            if is_last:
                self._guard.call(_PART, partial(self._path.unlink, missing_ok=True))
                return

    def _look(self) -> None:
        there = self._find()
        if there is not None:  # until there is a W&B run, alerts wait for one
            self._reader.take(partial(_alert, there))


def _alert(there: Any, alert: HandedBack) -> None:
    level = _LEVELS.get(alert.severity, "INFO")
    there.alert(title=alert.title[:LONGEST_TITLE], text=alert.text, level=level, wait_duration=SHORTEST_WAIT_S)
