"""Sends a message as JSON to any web address; docs/notifications.md has the schema."""

from __future__ import annotations

import base64
import json
import math
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from email.message import Message as Headers
from email.utils import parsedate_to_datetime
from http.client import HTTPMessage
from typing import IO, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from runvitals.errors import SettingsError
from runvitals.store.types import AlertRow
from runvitals.watch.message import Message
from runvitals.watch.notify import TAKEN, Answer
from runvitals.watch.redaction import guard_logs, keep_secret, speaking_to_receiver
from runvitals.watch.routes import EVERYTHING, Route

SCHEMA = "runvitals.notification/1"

TIMEOUT_S = 10.0
"""How long the receiver may take to connect, and to answer."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: a POST would arrive as a GET, and the credential at another host."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        return None


class Webhook:
    """One web address that gets JSON. It is a credential and never shown. receiver, label, routes: see Notifier.

    clock: seconds since 1970, for an answer that names a time to come back at. Raises SettingsError for an address that is none.
    """

    def __init__(
        self,
        url: str,
        *,
        receiver: str,
        label: str,
        routes: tuple[Route, ...] = EVERYTHING,
        timeout_s: float = TIMEOUT_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        guard_logs()
        keep_secret(url)
        self.receiver = receiver
        self.label = label
        self.routes = routes
        self._url, self._login = _parted(url, label)
        self._timeout_s = timeout_s
        self._clock = clock
        self._opener = urllib.request.build_opener(_NoRedirect)

    def send(self, message: Message) -> Answer:
        """Taken where the receiver answers with 200 to 299. Its answer's text is not read: it may repeat the address."""
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "runvitals",
            "Idempotency-Key": message.key,
            **({"Authorization": self._login} if self._login else {}),
        }
        body = json.dumps(payload(message, sent_s=self._clock()), ensure_ascii=False).encode("utf-8", "replace")
        request = urllib.request.Request(self._url, data=body, headers=headers, method="POST")
        with speaking_to_receiver():
            try:
                with self._opener.open(request, timeout=self._timeout_s):
                    return TAKEN
            except urllib.error.HTTPError as error:
                error.close()
                waits_s = retry_after_s(error.headers, now_s=self._clock())
                return Answer(problem=f"answered HTTP {error.code}", retry_after_s=waits_s)
            except (OSError, ValueError) as error:
                return Answer(problem=_what_failed(error, self._timeout_s))


def payload(message: Message, *, sent_s: float) -> dict[str, Any]:
    """The message as JSON, version 1 of the schema: within it fields are added, and none changes or goes."""
    about = message.about
    return {
        "schema": SCHEMA,
        "key": message.key,
        "kind": message.kind,
        "sent_s": sent_s,
        "severity": message.severity,
        "title": message.title,
        "text": message.body,
        "run": {"id": about.run_id, "name": about.name, "project": about.project, "status": about.status},
        "incident": message.incident or None,
        "news": [{"alert": alert_id, "transition": transition} for alert_id, transition in message.news],
        "alerts": [_alert(row) for row in message.alerts],
    }


def _alert(row: AlertRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "rule": row.rule,
        "signal": row.signal or None,
        "title": str(row.detail.get("title", row.rule)),
        "severity": row.severity,
        "state": row.state,
        "root_cause": row.id == row.incident,
        "acknowledged": row.acknowledged_s is not None,
        "onset_step": row.onset_step,
        "onset_s": _known_s(row.onset_s),
        "fired_step": row.fired_step,
        "fired_s": _known_s(row.fired_s),
        "resolved_step": row.resolved_step,
        "resolved_s": _known_s(row.resolved_s),
        "sentence": str(row.detail.get("sentence", "")),
        "remedies": [str(remedy.get("text", "")) for remedy in row.detail.get("remedies", ())],
    }


def _known_s(time_s: float | None) -> float | None:
    """The time, or None where a clock told none: JSON has no word for NaN, and one such word would spoil the message."""
    return time_s if time_s is not None and math.isfinite(time_s) else None


def retry_after_s(headers: Mapping[str, str] | Headers, *, now_s: float) -> float | None:
    """Seconds that the receiver asks to be left alone: a number or a date; None where it says neither."""
    asked = headers.get("Retry-After", "").strip()
    if asked.isascii() and asked.isdigit():
        return float(asked[:9])
    try:
        return max(parsedate_to_datetime(asked).timestamp() - now_s, 0.0)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _parted(url: str, label: str) -> tuple[str, str]:
    """The address without user and password, and those two as a header's value."""
    try:
        parts = urlsplit(url)
        named = parts.hostname and parts.port != 0
    except ValueError:  # whose words hold a part of the address
        named = False
    if not named or any(one.isspace() or not one.isascii() for one in url):
        raise SettingsError(f"{label}: expected a web address like https://host/path, got one that names no host")
    host = parts.netloc.rpartition("@")[2]
    plain = urlunsplit((parts.scheme, host, parts.path, parts.query, ""))
    if parts.username is None:
        return plain, ""
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return plain, "Basic " + base64.b64encode(login.encode()).decode()


def _what_failed(error: Exception, timeout_s: float) -> str:
    """Why there was no answer, without the words of the error, which may name the address."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return f"no answer within {timeout_s:.0f} s"
    if isinstance(cause, socket.gaierror):
        return "its host's name is not known"
    if isinstance(cause, ssl.SSLError):
        return "its certificate is not accepted"
    if isinstance(cause, ConnectionRefusedError):
        return "refuses connections"
    return f"the connection failed ({type(cause).__name__})"
