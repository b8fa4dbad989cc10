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
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlsplit

LEFT_OUT = "not shown, because it may hold the address of a receiver"
"""What stands in a log in place of another library's words."""

SHORTEST_SECRET = 6
"""Characters; a shorter part of an address is too common a word to look for."""

_OURS = "runvitals"
_PARTS = re.compile(r"[/?&=:@,;]+")

_STATUS = re.compile(r"\berror[= ](\d{3})\b")
"""How Apprise logs the status of an answer."""


@dataclass(slots=True)
class Overheard:
    """What is kept of another library's words on sending: the last HTTP status that it named."""

    status: str = ""


_state = threading.local()
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

    make.keeps_receivers_secret = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(make)


def keep_secret(address: str) -> None:
    """Notes an address: neither it nor a part of it that may be a token is to stand in a log."""
    parts = [part for part in _PARTS.split(_after_scheme(address)) if len(part) >= SHORTEST_SECRET]
    # The host is no secret, and a log that may not name it says nothing.
    host = urlsplit(address).hostname or "" if address.startswith(("http://", "https://")) else ""
    secrets = {address, *parts} - {host}
    with _lock:
        _known.update(secrets, map(quote, secrets), map(unquote, secrets))


def _after_scheme(address: str) -> str:
    return address.partition("://")[2] or address


def holds_secret(text: str) -> bool:
    """Whether the text holds an address that was noted, or a part of one."""
    with _lock:
        return any(secret in text for secret in _known)


@contextmanager
def speaking_to_receiver() -> Iterator[Overheard]:
    """While this lasts, nothing that other libraries log in this thread is shown; what may be kept of it is given."""
    before = getattr(_state, "overheard", None)
    _state.overheard = Overheard()
    try:
        yield _state.overheard
    finally:
        _state.overheard = before


def _is_unsafe(record: logging.LogRecord) -> bool:
    ours = record.name == _OURS or record.name.startswith(f"{_OURS}.")
    overheard: Overheard | None = getattr(_state, "overheard", None)
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
