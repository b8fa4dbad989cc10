"""What is told of an incident: who it is about, which of its alerts, and the words."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from runvitals.diagnostics.types import SEVERITIES
from runvitals.store.types import AlertRow

Kind = Literal["firing", "update", "repeat", "resolved", "missed", "test"]
"""firing: the first word on an incident. update: one of its alerts came, grew worse or resolved. repeat: it fires on. resolved: it is over.
missed: it came and went while nobody could be told. test: nothing happened."""

Pair = tuple[str, str]
"""An alert's id and what is told of it: `firing warning`, `firing critical`, `resolved`, `repeat 1` …"""

MARKS = {"critical": "◆", "warning": "▲"}

_BEFORE_TITLE = {
    "update": "Update: ",
    "repeat": "Still firing: ",
    "resolved": "Resolved: ",
    "missed": "Fired and resolved: ",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """The run that a message is about."""

    run_id: str
    name: str = ""
    project: str = ""
    status: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message. severity: of the worst alert that fires, info where none does.

    news: what this message tells that the receiver was not told before. alerts: all that it names, the root cause first.
    """

    kind: Kind
    severity: str
    title: str
    body: str
    about: About
    news: tuple[Pair, ...] = ()
    incident: str = ""
    alerts: tuple[AlertRow, ...] = ()

    @property
    def key(self) -> str:
        """Names what is told: the same news have the same key however often they are sent, also after a restart."""
        told = "\n".join(f"{alert_id} {transition}" for alert_id, transition in sorted(self.news))
        return hashlib.blake2b(f"{self.kind}\n{told}".encode(), digest_size=16).hexdigest()


def compose(kind: Kind, alerts: Sequence[AlertRow], news: Sequence[Pair], about: About) -> Message:
    """The message that names these alerts, the first of which is the cause of the others."""
    first, *others = alerts
    firing = [row.severity for row in alerts if row.state == "firing"]
    return Message(
        kind=kind,
        severity=max(firing, key=SEVERITIES.index, default="info"),
        title=f"{_BEFORE_TITLE.get(kind, '')}{_title(first)} · {about.name}",
        body="\n".join((_told_first(first), *map(_told_beside, others))),
        about=about,
        news=tuple(news),
        incident=first.incident,
        alerts=tuple(alerts),
    )


def _title(row: AlertRow) -> str:
    return str(row.detail.get("title", row.rule))


def _told_first(row: AlertRow) -> str:
    """The cause, in full: where, what, and what to try first."""
    if row.state == "resolved":
        sentence = f" It was: {_sentence(row)}" if _sentence(row) else ""
        return f"{_resolved(row)}{sentence}"
    at = f"step {row.fired_step}: " if row.fired_step is not None else ""
    first = next((str(remedy.get("text", "")) for remedy in row.detail.get("remedies", ())), "")
    return f"{at}{_sentence(row)}{f' Try first: {first}' if first else ''}"


def _told_beside(row: AlertRow) -> str:
    """Another alert of the incident, in a line."""
    if row.state == "resolved":
        return f"· {_title(row)}: {_resolved(row)}"
    at = f", step {row.fired_step}" if row.fired_step is not None else ""
    return f"{MARKS.get(row.severity, '·')} {_title(row)}{at}: {_sentence(row)}"


def _sentence(row: AlertRow) -> str:
    return str(row.detail.get("sentence", ""))


def _resolved(row: AlertRow) -> str:
    return f"resolved at step {row.resolved_step}." if row.resolved_step is not None else "resolved."
