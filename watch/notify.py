"""Tells people about alerts: on the console, and through any Apprise address.

Whether to tell is decided by `due`, from what was already sent, so that a restarted watcher tells nothing twice.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Protocol

from runvitals.store.types import AlertRow

logger = logging.getLogger("runvitals.watch")

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 300.0
GIVE_UP_S = 3600.0
"""How long a message that nobody takes is tried again, with waits of 1, 2, 4 … 300 s between; then it is given up and counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is told of an alert. transition: firing, warning→critical or resolved; part of its identity."""

    alert_id: str
    transition: str
    severity: str
    title: str
    body: str


class Notifier(Protocol):
    """A way to reach people. receiver: a name for records that gives no secret away."""

    receiver: str

    def send(self, message: Message) -> bool:
        """True where the message was delivered; False asks to try again later."""
        ...


class Console:
    """Prints one line an alert."""

    receiver = "console"

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def send(self, message: Message) -> bool:
        """Prints the message; always delivered."""
        mark = {"critical": "◆", "warning": "▲"}.get(message.severity, "·")
        self._write(f"{mark} {message.title}: {message.body}")
        return True


class AppriseNotifier:
    """Sends through one Apprise address (Slack, e-mail, ntfy, webhook and many more). The address is a credential and never shown."""

    def __init__(self, url: str) -> None:
        import apprise

        self._apprise = apprise.Apprise()
        digest = hashlib.sha256(url.encode()).hexdigest()[:10]
        self.receiver = f"{url.split(':', 1)[0]}-{digest}"
        self.valid = bool(self._apprise.add(url))

    def send(self, message: Message) -> bool:
        """True where the receiver took it."""
        return bool(self._apprise.notify(title=message.title, body=message.body))


class Ledger(Protocol):
    """Remembers what was sent; the store is one."""

    def sent(self, alert_id: str, transition: str, receiver: str) -> bool: ...

    def mark_sent(self, alert_id: str, transition: str, receiver: str) -> None: ...


def due(row: AlertRow, *, run_name: str, now_s: float) -> Message | None:
    """What is to be told of an alert now, if anything: warnings and worse that fire or have resolved, unmuted, not inhibited."""
    silenced = row.muted_until_s is not None and row.muted_until_s > now_s
    if row.severity == "info" or row.state == "pending" or silenced or row.detail.get("inhibited_by"):
        return None
    if row.fired_s is None:
        return None
    title = f"{row.detail.get('title', row.rule)} · {run_name}"
    if row.state == "resolved":
        return Message(
            alert_id=row.id,
            transition="resolved",
            severity="info",
            title=f"Resolved: {title}",
            body=f"resolved at step {row.resolved_step}" if row.resolved_step is not None else "resolved",
        )
    at = f"step {row.fired_step}: " if row.fired_step is not None else ""
    first = next((str(remedy.get("text", "")) for remedy in row.detail.get("remedies", ())), "")
    advice = f" Try first: {first}" if first else ""
    return Message(
        alert_id=row.id,
        transition=f"firing {row.severity}",
        severity=row.severity,
        title=title,
        body=f"{at}{row.detail.get('sentence', '')}{advice}",
    )


Key = tuple[str, str, str]
"""Alert, transition and receiver."""


@dataclass(slots=True)
class _Errand:
    """A message on its way to one receiver."""

    run_id: str
    notifier: Notifier
    message: Message
    began_s: float
    next_s: float
    wait_s: float = FIRST_WAIT_S
    under_way: Future[bool] | None = None


class Desk:
    """Sends what is due to every receiver once, off the watcher's thread, and keeps count of failures."""

    def __init__(
        self, ledger: Ledger, notifiers: Sequence[Notifier], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._ledger = ledger
        self._notifiers = notifiers
        self._clock = clock
        self._pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="runvitals-notify")
        self._errands: dict[Key, _Errand] = {}
        self.failed = 0

    def tell(self, message: Message, *, run_id: str = "") -> None:
        """Queues a message for every receiver that has not had it. A resolution is told only to those who heard of the alert."""
        now_s = self._clock()
        for notifier in self._notifiers:
            key = (message.alert_id, message.transition, notifier.receiver)
            if key in self._errands or self._ledger.sent(*key):
                continue
            if message.transition == "resolved" and not self._heard(message.alert_id, notifier.receiver):
                continue
            self._errands[key] = _Errand(run_id, notifier, message, began_s=now_s, next_s=now_s)

    def _heard(self, alert_id: str, receiver: str) -> bool:
        return any(
            (alert_id, f"firing {severity}", receiver) in self._errands
            or self._ledger.sent(alert_id, f"firing {severity}", receiver)
            for severity in ("warning", "critical")
        )

    def waits_for(self, run_id: str) -> bool:
        """Whether a message about this run is still on its way: its journal must stay, for a restart to tell it."""
        return any(errand.run_id == run_id for errand in self._errands.values())

    def step(self) -> None:
        """Records what was delivered and starts what is due. Call once a pass."""
        self._collect()
        now_s = self._clock()
        for errand in self._errands.values():
            if errand.under_way is None and errand.next_s <= now_s:
                errand.under_way = self._pool.submit(errand.notifier.send, errand.message)

    def _collect(self) -> None:
        for key, errand in list(self._errands.items()):
            future = errand.under_way
            if future is None or not future.done():
                continue
            if future.exception() is None and future.result():
                self._ledger.mark_sent(*key)  # first: a store that is away now leaves the errand as it is
                del self._errands[key]
            else:
                self._failed(key, errand)

    def _failed(self, key: Key, errand: _Errand) -> None:
        now_s = self._clock()
        errand.under_way = None
        errand.next_s = now_s + errand.wait_s
        errand.wait_s = min(errand.wait_s * 2, LONGEST_WAIT_S)
        if now_s - errand.began_s >= GIVE_UP_S:
            del self._errands[key]
            self.failed += 1
            logger.warning("alert %s could not be sent to %s within an hour; given up", key[0], key[2])

    def drain(self, timeout_s: float) -> None:
        """Waits for messages under way, up to `timeout_s` in all, and records them."""
        self.step()
        wait([errand.under_way for errand in self._errands.values() if errand.under_way], timeout=timeout_s)
        self._collect()

    def close(self) -> None:
        """Ends the sending threads without waiting for receivers that do not answer."""
        self._pool.shutdown(wait=False, cancel_futures=True)
