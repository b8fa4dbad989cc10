"""What `runvitals notify test` does: sends one test message to each receiver and says what came of it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence

from runvitals.settings import Settings
from runvitals.watch.channel import Channel
from runvitals.watch.command import who_is_told
from runvitals.watch.message import About, Message
from runvitals.watch.notify import Notifier

TEST = Message(
    kind="test",
    severity="info",
    title="Test · runvitals",
    body="This is a test message; no run is meant.",
    about=About(run_id=""),
)

ANSWERS_WITHIN_S = 60.0


def try_all(settings: Settings, urls: Sequence[str]) -> int:
    """Tries the receivers of these addresses and of the user's file, beside the console; 1 where one took nothing or is wrong."""
    told = who_is_told(settings, urls, os.environ)
    wrong = [str(fault) for fault in told.rules.faults] + list(told.problems)
    for line in wrong:
        print(f"runvitals: {line}", file=sys.stderr)  # noqa: T201 - the command's own output
    came = try_receivers(told.receivers)
    for label, problem in came:
        print(f"{label}: {problem or 'taken'}")  # noqa: T201 - the command's own output
    return 1 if wrong or any(problem for _, problem in came) else 0


def try_receivers(notifiers: Sequence[Notifier], *, within_s: float = ANSWERS_WITHIN_S) -> list[tuple[str, str]]:
    """What came of a test message by the receiver's label: "" where it was taken, else why not. Each is tried once and nothing is recorded.

    within_s: how long all of them together may take.
    """
    channels = [Channel(notifier) for notifier in notifiers]
    for channel in channels:
        channel.offer(TEST, 0.0)
    deadline_s = time.monotonic() + within_s
    return [(channel.notifier.label, _came(channel, deadline_s, within_s)) for channel in channels]


def _came(channel: Channel, deadline_s: float, within_s: float) -> str:
    channel.wait(max(deadline_s - time.monotonic(), 0.0))
    answer = channel.answer()
    channel.close()
    return f"no answer within {within_s:.0f} s" if answer is None else answer.problem
