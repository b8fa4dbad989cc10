"""Sends through Apprise: Slack, Discord, e-mail, ntfy and a hundred more."""

from __future__ import annotations

import re

from runvitals.watch.message import Message
from runvitals.watch.notify import TAKEN, Answer
from runvitals.watch.redaction import guard_logs, keep_secret, speaking_to_receiver
from runvitals.watch.routes import EVERYTHING, Route

_CALLS = re.compile(r"@(?=everyone|here|channel|all\b)|<(?=[!@#])", re.IGNORECASE)
"""What chat services take for a call to all members, or for markup."""

_NO_WIDTH = "\N{ZERO WIDTH SPACE}"


class AppriseNotifier:
    """One Apprise address, which is a credential: never shown, nor logged by Apprise or what it uses. receiver, label, routes: see Notifier."""

    def __init__(self, url: str, *, receiver: str, label: str, routes: tuple[Route, ...] = EVERYTHING) -> None:
        guard_logs()
        keep_secret(url)
        self.receiver = receiver
        self.label = label
        self.routes = routes
        with speaking_to_receiver():
            import apprise

            self._text = apprise.NotifyFormat.TEXT
            self._apprise = apprise.Apprise()
            self.valid = bool(self._apprise.add(url))

    def send(self, message: Message) -> Answer:
        """Taken where the service says so. Of a failure only the status is known, which Apprise logs."""
        title, body = (_CALLS.sub(lambda found: found[0] + _NO_WIDTH, text) for text in (message.title, message.body))
        with speaking_to_receiver() as overheard:
            taken = self._apprise.notify(title=title, body=body, body_format=self._text)
        if taken:
            return TAKEN
        return Answer(
            problem=f"answered HTTP {overheard.status}" if overheard.status else "cannot be reached, or refuses"
        )
