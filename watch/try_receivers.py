"""What `runvitals notify test` does: sends one test message to each receiver and says what came of it."""

from __future__ import annotations

from collections.abc import Sequence

from runvitals.watch.notify import Message, Notifier

TEST = Message(
    alert_id="test",
    transition="test",
    severity="info",
    title="Test · runvitals",
    body="This is a test message; no run is meant.",
)


def try_receivers(notifiers: Sequence[Notifier]) -> dict[str, str]:
    """What came of a test message by receiver: "" where it was taken, else why not. Each is tried once and nothing is recorded."""
    return {notifier.receiver: _tried(notifier) for notifier in notifiers}


def _tried(notifier: Notifier) -> str:
    try:
        taken = notifier.send(TEST)
    except Exception as error:  # noqa: BLE001 - any library behind a receiver; its text may hold the address, so only its kind is told
        return f"failed with {type(error).__name__}"
    return "" if taken else "not taken; check the address and that its service can be reached from here"
