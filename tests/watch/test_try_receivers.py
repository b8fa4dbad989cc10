"""A test message says of each receiver whether it took it, and gives no address away."""

from __future__ import annotations

import threading

from runvitals.watch.message import Message
from runvitals.watch.notify import Answer, Console
from runvitals.watch.routes import EVERYTHING
from runvitals.watch.try_receivers import try_receivers


class Broken:
    """A receiver whose library raises with the address in its text."""

    receiver = label = "json-broken"
    routes = EVERYTHING

    def send(self, message: Message) -> Answer:
        raise OSError("cannot reach json://user:secret@host")


class Hanging:
    """A receiver that never answers."""

    receiver = label = "json-hanging"
    routes = EVERYTHING

    def send(self, message: Message) -> Answer:
        threading.Event().wait()
        raise AssertionError


def test_receivers_that_fail_or_hang_hide_no_other_and_show_no_secret() -> None:
    lines: list[str] = []
    told = dict(try_receivers([Broken(), Hanging(), Console(lines.append)], within_s=0.05))
    assert told["json-broken"] == "failed with OSError"
    assert told["json-hanging"].startswith("no answer within")
    assert told["console"] == ""
    assert len(lines) == 1
