"""A test message says of each receiver whether it took it, and gives no address away."""

from __future__ import annotations

from runvitals.watch.notify import Console, Message
from runvitals.watch.try_receivers import try_receivers


class Broken:
    """A receiver whose library raises with the address in its text."""

    receiver = "json-broken"

    def send(self, message: Message) -> bool:
        raise OSError("cannot reach json://user:secret@host")


class Deaf:
    """A receiver that takes nothing."""

    receiver = "json-deaf"

    def send(self, message: Message) -> bool:
        return False


def test_one_failing_receiver_hides_no_other_and_shows_no_secret() -> None:
    lines: list[str] = []
    told = try_receivers([Broken(), Deaf(), Console(lines.append)])
    assert told["json-broken"] == "failed with OSError"
    assert told["json-deaf"].startswith("not taken")
    assert told["console"] == ""
    assert len(lines) == 1
