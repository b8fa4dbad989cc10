"""Keeps the addresses of receivers out of every log: an address is a credential.

Libraries that send for us say where to, some at the level of an error, some only when they are debugged. So a record of a log that is made
while a receiver is set up or spoken to loses its text, unless it is ours; and one made anywhere else loses it where it holds a secret that
we know. Both happen where records are made, before any handler sees them.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

LEFT_OUT = "not shown, because it may hold the address of a receiver"
"""What stands in a log in place of another library's words."""

SHORTEST_SECRET = 6
"""Characters; a shorter part of an address is too common a word to look for."""

_OURS = "runvitals"
_PARTS = re.compile(r"[/?&=:@,;]+")
_WORD = re.compile(r"[a-z.\-_]{1,23}|[\d.]+")
"""A word, the name of a host or a number, such as `services` and `hooks.slack.com`: a log without those would say nothing."""

_STATUS = re.compile(r"\berror[= ](\d{3})\b")
"""How Apprise logs the status of an answer."""


@dataclass(slots=True)
class Overheard:
    """What is kept of another library's words on sending: the last HTTP status that it named."""

    status: str = ""


_overheard: ContextVar[Overheard | None] = ContextVar("runvitals_overheard", default=None)
"""A variable of the context, not of the thread: Apprise sends in threads of its own, and takes the context along."""

_known: set[str] = set()
_lock = threading.Lock()


def guard_logs() -> None:
    """From now on no record of a log in this process holds a secret. A second call does nothing."""
    before = logging.getLogRecordFactory()
    if getattr(before, "keeps_receivers_secret", False):
        return

    def make(*arguments: Any, **named: Any) -> logging.LogRecord:
        record = before(*arguments, **named)
        if _is_unsafe(record):
            record.msg, record.args, record.exc_info, record.exc_text, record.stack_info = (
                LEFT_OUT,
                (),
                None,
                None,
                None,
            )
        return record

    # Apprise warns of every message that is not taken, as we do; a line that says nothing would stand beside each of ours.
    logging.getLogger("apprise").addFilter(lambda record: _overheard.get() is None)
    make.keeps_receivers_secret = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(make)


def keep_secret(address: str) -> None:
    """Notes an address: neither it nor a part of it that may be a password or a token is to stand in a log."""
    rest = address.partition("://")[2] or address
    login = rest.partition("/")[0].rpartition("@")[0]
    parts = [part for part in _PARTS.split(rest) if part and not _WORD.fullmatch(part)]
    secrets = {address, *(part for part in (*parts, *_PARTS.split(login)) if len(part) >= SHORTEST_SECRET)}
    with _lock:
        _known.update(secrets, map(quote, secrets), map(unquote, secrets))


def holds_secret(text: str) -> bool:
    """Whether the text holds an address that was noted, or a part of one."""
    with _lock:
        return any(secret in text for secret in _known)


@contextmanager
def speaking_to_receiver() -> Iterator[Overheard]:
    """While this lasts, nothing that other libraries log here is shown; what may be kept of it is given."""
    overheard = Overheard()
    token = _overheard.set(overheard)
    try:
        yield overheard
    finally:
        _overheard.reset(token)


def _is_unsafe(record: logging.LogRecord) -> bool:
    ours = record.name == _OURS or record.name.startswith(f"{_OURS}.")
    overheard = _overheard.get()
    told = _words(record)
    if not ours and overheard is not None:
        found = _STATUS.search(told)
        overheard.status = found[1] if found else overheard.status
        return True
    error = record.exc_info[1] if record.exc_info else None
    return holds_secret(told) or (error is not None and holds_secret(repr(error)))


def _words(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - words that do not fit together; the record's handler complains of it
        return f"{record.msg} {record.args}"
