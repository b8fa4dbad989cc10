"""The way to one receiver: a thread of its own, at most one message under way, and how it is doing.

A receiver that hangs holds up nobody but itself. While it fails it is asked again after 1, 2, 4 … 300 s, or when it says; what it is then told
is made anew, of the state of that moment. The thread only sends: everything else, time included, is the caller's.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from runvitals.watch.message import Message
from runvitals.watch.notify import Answer, Notifier

logger = logging.getLogger("runvitals.watch")

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 300.0
LONGEST_ASKED_WAIT_S = 3600.0
"""A receiver that asks to be left alone for longer is tried all the same: by then it may be another one."""

SILENT_S = 30.0
"""How long an answer may take before the screen says that there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a receiver is doing. state: untried until the first answer. told_s: when it last took a message.

    failing_since_s, problem, next_s: since when it takes none, why, and when it is asked again; None and "" while it is well.
    """

    label: str
    state: Literal["untried", "ok", "failing"]
    told_s: float | None = None
    failing_since_s: float | None = None
    problem: str = ""
    next_s: float | None = None


class Channel:
    """The way to one receiver. on_answer: called in its thread after each answer."""

    def __init__(self, notifier: Notifier, *, on_answer: Callable[[], object] = lambda: None) -> None:
        self.notifier = notifier
        self._on_answer = on_answer
        self.under_way: Message | None = None
        self.failures = 0
        self.next_s = float("-inf")
        self._failed_s = float("-inf")
        self._began_s = 0.0
        self._told_s: float | None = None
        self._failing_since_s: float | None = None
        self._problem = ""
        self._wait_s = FIRST_WAIT_S
        self._answer: Answer | None = None
        self._answered = threading.Event()
        self._work: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def is_ready(self, now_s: float) -> bool:
        """Whether a message may be offered now."""
        # A clock that went back behind the failure says nothing of how long the wait has been.
        return self.under_way is None and not self._failed_s <= now_s < self.next_s

    def has_answer(self) -> bool:
        """Whether the message under way has been answered and nobody has asked for the answer yet."""
        return self.under_way is not None and self._answered.is_set()

    def offer(self, message: Message, now_s: float) -> None:
        """Starts to send a message. Only when ready."""
        if self._thread is None:
            name = f"runvitals-notify-{self.notifier.label}"
            self._thread = threading.Thread(target=self._send_all, name=name, daemon=True)
            self._thread.start()
        self.under_way, self._began_s, self._answer = message, now_s, None
        self._answered.clear()
        self._work.put(message)

    def answer(self) -> Answer | None:
        """What came of the message under way, None while nothing has."""
        return self._answer if self._answered.is_set() else None

    def wait(self, timeout_s: float) -> None:
        """Waits for the answer to the message under way, if there is one."""
        if self.under_way is not None:
            self._answered.wait(timeout_s)

    def settle(self, answer: Answer, now_s: float) -> None:
        """Takes note of the answer; the next message may come, at once or after the wait that a failure asks for."""
        self.under_way = None
        if answer.taken:
            if self._problem:
                logger.warning("%s takes messages again", self.notifier.label)
            self._told_s, self._failing_since_s, self._problem = now_s, None, ""
            self._wait_s, self.next_s, self.failures = FIRST_WAIT_S, float("-inf"), 0
            return
        self.failures += 1
        self._failed_s = now_s
        asked_s = min(answer.retry_after_s or 0.0, LONGEST_ASKED_WAIT_S)
        self.next_s = now_s + max(self._wait_s, asked_s)
        self._wait_s = min(self._wait_s * 2, LONGEST_WAIT_S)
        if self._failing_since_s is None:
            self._failing_since_s = now_s
        if answer.problem != self._problem:
            self._problem = answer.problem
            logger.warning("%s takes no message: %s; trying again", self.notifier.label, answer.problem)

    def health(self, now_s: float) -> Health:
        """How the receiver is doing."""
        label, told_s = self.notifier.label, self._told_s
        if self._failing_since_s is not None:
            return Health(
                label=label,
                state="failing",
                told_s=told_s,
                failing_since_s=self._failing_since_s,
                problem=self._problem,
                next_s=None if self.under_way is not None else self.next_s,
            )
        if self.under_way is not None and now_s - self._began_s > SILENT_S:
            return Health(
                label=label, state="failing", told_s=told_s, failing_since_s=self._began_s, problem="gives no answer"
            )
        return Health(label=label, state="untried" if told_s is None else "ok", told_s=told_s)

    def close(self) -> None:
        """Ends the thread after the message that is under way; nobody waits for it."""
        self._work.put(None)

    def _send_all(self) -> None:
        while (message := self._work.get()) is not None:
            try:
                answer = self.notifier.send(message)
            except Exception as error:  # noqa: BLE001 - any library behind a receiver; its text may hold the address, so only its kind is told
                answer = Answer(problem=f"failed with {type(error).__name__}")
            self._answer = answer
            self._answered.set()
            self._on_answer()
