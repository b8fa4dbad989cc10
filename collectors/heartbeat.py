"""A small thread that does one thing every few seconds, and never dies without saying so."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Ticker:
    """Calls `action` every `every_s` seconds, the first time at once, from a daemon thread, until stopped.

    failed: gets what an action raised; the next tick comes all the same.
    """

    def __init__(
        self, name: str, every_s: float, action: Callable[[], None], *, failed: Callable[[str, BaseException], None]
    ) -> None:
        self.name = name
        self._every_s = every_s
        self._action = action
        self._failed = failed
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"runvitals-{name}", daemon=True)

    def start(self) -> None:
        """Begins ticking."""
        self._thread.start()

    def stop(self, timeout_s: float = 0.0) -> None:
        """Ends ticking; waits up to `timeout_s` for an action that is under way."""
        self._stopped.set()
        if timeout_s > 0 and self._thread is not threading.current_thread() and self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._action()
            except Exception as error:  # noqa: BLE001 - a thread that dies in silence would look like a quiet, healthy machine
                self._failed(self.name, error)
            self._stopped.wait(self._every_s)
