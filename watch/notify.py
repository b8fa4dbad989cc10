"""A way to reach people: what every receiver is, and the plainest one, the console."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from runvitals.watch.message import MARKS, Message
from runvitals.watch.routes import EVERYTHING, Route


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of sending a message. problem: why it was not taken, without an address; "" where it was.

    retry_after_s: how long the receiver asks to be left alone; None where it does not say.
    """

    problem: str = ""
    retry_after_s: float | None = None

    @property
    def taken(self) -> bool:
        """Whether the receiver has the message."""
        return not self.problem


TAKEN = Answer()


class Notifier(Protocol):
    """A way to reach people.

    receiver: names it in the store's record of what was told; the same after a restart. label: names it on the screen and in logs.
    routes: what it is told of, by any of them. Neither name holds a secret.
    """

    receiver: str
    label: str
    routes: tuple[Route, ...]

    def send(self, message: Message) -> Answer:
        """Sends a message, in a thread of its own; may take its time, and may raise anything."""
        ...


class Console:
    """Prints a line for each alert of a message."""

    receiver = "console"
    label = "console"
    routes = EVERYTHING

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def send(self, message: Message) -> Answer:
        """Prints the message; always taken."""
        body = message.body.replace("\n", "\n    ")
        text = f"{MARKS.get(message.severity, '·')} {message.title}: {body}"
        # What a run is called, or says, must not move a terminal's cursor.
        self._write("".join(one if one.isprintable() or one == "\n" else "\N{REPLACEMENT CHARACTER}" for one in text))
        return TAKEN
