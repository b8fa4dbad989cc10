"""What a receiver is to be told of an incident, and when. Pure: rows, what was told before and the time go in.

| the incident, for this receiver | told |
|---|---|
| an alert fires | 30 s after the first one did, all together; one that resolved within that time is never told |
| more alerts fire, or one grows worse | the same once more, as an update; worse at once |
| it fires on | again every four hours |
| alerts resolve whose firing was told | 30 s after the first one did |
| all has resolved, and the firing could not be told | once, for a day |

Nothing is told of an alert while it is muted, or inhibited by its cause; and none that somebody acknowledged fires or repeats, until it
grows worse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from runvitals.diagnostics.types import SEVERITIES
from runvitals.store.types import AlertRow
from runvitals.watch.message import Kind, Pair

GROUP_WAIT_S = 30.0
REPEAT_EVERY_S = 4 * 3600.0
MISSED_FOR_S = 86_400.0
"""How long after an incident ended it is still told to a receiver that could not be told of it before."""

_FIRING = "firing "
_REPEAT = "repeat "


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """An incident as one receiver is concerned with it.

    rows: all its alerts. told: what this receiver has been told of them, and when (None: not known when).
    takes: whether the receiver wants to hear of an alert. muted: whether an alert is muted now. repeats: whether it is told again at all.
    """

    rows: Sequence[AlertRow]
    told: Mapping[Pair, float | None]
    takes: Callable[[AlertRow], bool]
    muted: Callable[[AlertRow], bool]
    repeats: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A message that is due at a time. alerts: those it names, the cause first. news: what is new in it."""

    at_s: float
    kind: Kind
    alerts: tuple[AlertRow, ...]
    news: tuple[Pair, ...]


def due(
    incident: Incident, *, now_s: float, since: Callable[[Pair, float], float], wait_s: float = GROUP_WAIT_S
) -> Due | None:
    """What is to be told next, None where nothing is, as things stand.

    since: when a piece of news began, given the time that its record bears, which another clock may have written.
    wait_s: how long others are waited for; 0 for a watcher that ends now.
    """
    firing = [row for row in incident.rows if _is_firing_news(incident, row)]
    resolved = [row for row in incident.rows if _is_resolved_news(incident, row)]
    if firing or resolved:
        return _news(incident, firing, resolved, now_s=now_s, since=since, wait_s=wait_s)
    return _repeat(incident) or _missed(incident, now_s=now_s)


def _told_rank(incident: Incident, row: AlertRow) -> int:
    """The worst severity that was told of the alert's firing, as its place in the order; -1 where none was."""
    told = (number for number, name in enumerate(SEVERITIES) if (row.id, _FIRING + name) in incident.told)
    return max(told, default=-1)


def _is_open(incident: Incident, row: AlertRow) -> bool:
    """Whether the alert fires and the receiver may be told so."""
    return (
        row.state == "firing"
        and row.fired_s is not None
        and incident.takes(row)
        and not row.detail.get("inhibited_by")
        and not incident.muted(row)
    )


def _is_firing_news(incident: Incident, row: AlertRow) -> bool:
    if not _is_open(incident, row) or SEVERITIES.index(row.severity) <= _told_rank(incident, row):
        return False
    return not _is_acknowledged(row)


def _is_acknowledged(row: AlertRow) -> bool:
    """Whether somebody acknowledged the alert as it is: one that grew worse since then is news again.

    Told from the order of the history, not from its times, which the run's clock and the dashboard's wrote.
    """
    if row.acknowledged_s is None:
        return False
    texts = [str(entry.get("text", "")) for entry in row.history]
    said = max((place for place, text in enumerate(texts) if text.startswith("acknowledged")), default=-1)
    worse = max((place for place, text in enumerate(texts) if text == f"firing, {row.severity}"), default=-1)
    return said == -1 or worse < said


def _is_resolved_news(incident: Incident, row: AlertRow) -> bool:
    was_told = _told_rank(incident, row) >= 0 and (row.id, "resolved") not in incident.told
    return row.state == "resolved" and was_told and not incident.muted(row)


def _news(
    incident: Incident,
    firing: Sequence[AlertRow],
    resolved: Sequence[AlertRow],
    *,
    now_s: float,
    since: Callable[[Pair, float], float],
    wait_s: float,
) -> Due:
    pairs = [(row.id, _FIRING + row.severity) for row in firing] + [(row.id, "resolved") for row in resolved]
    began = []
    for row, pair in zip((*firing, *resolved), pairs, strict=True):
        if row.state == "resolved":
            began.append(since(pair, now_s if row.resolved_s is None else row.resolved_s))
        elif _told_rank(incident, row) >= 0:
            began.append(now_s - wait_s)  # grew worse: that waits for nobody
        else:
            began.append(since(pair, row.onset_s if row.fired_s is None else row.fired_s))
    heard = any(_told_rank(incident, row) >= 0 for row in incident.rows)
    fires_on = any(row.state == "firing" and _told_rank(incident, row) >= 0 for row in incident.rows)
    if not heard:
        kind: Kind = "firing"
    else:
        kind = "update" if firing or fires_on else "resolved"
    named = {row.id for row in (*firing, *resolved)}
    if kind != "resolved":
        named |= {row.id for row in incident.rows if _is_open(incident, row)}
    return Due(at_s=min(began) + wait_s, kind=kind, alerts=_in_order(incident, named), news=tuple(pairs))


def _in_order(incident: Incident, named: set[str]) -> tuple[AlertRow, ...]:
    """The alerts of these ids, the root of the incident first, then by onset.

    A root that fires is named even where the receiver did not ask for its like: it is the cause of what is told.
    """
    rows = [row for row in incident.rows if row.id in named or _is_root_shown(incident, row)]
    return tuple(sorted(rows, key=lambda row: (row.id != row.incident, row.onset_s, row.id)))


def _is_root_shown(incident: Incident, row: AlertRow) -> bool:
    fires = row.state == "firing" and not row.detail.get("inhibited_by")
    return row.id == row.incident and fires and not incident.muted(row)


def _repeat(incident: Incident) -> Due | None:
    """The incident again, four hours after the receiver last heard of it."""
    rows = [
        row
        for row in incident.rows
        if _told_rank(incident, row) >= 0 and _is_open(incident, row) and not _is_acknowledged(row)
    ]
    if not rows or not incident.repeats:
        return None
    fired = {row.id: row.onset_s if row.fired_s is None else row.fired_s for row in incident.rows}
    last_s = max(
        fired[alert_id] if told_s is None else told_s
        for (alert_id, _), told_s in incident.told.items()
        if alert_id in fired
    )
    news = tuple((row.id, f"{_REPEAT}{1 + _repeats(incident, row)}") for row in rows)
    named = {row.id for row in rows}
    return Due(at_s=last_s + REPEAT_EVERY_S, kind="repeat", alerts=_in_order(incident, named), news=news)


def _repeats(incident: Incident, row: AlertRow) -> int:
    return sum(alert_id == row.id and told.startswith(_REPEAT) for alert_id, told in incident.told)


def _missed(incident: Incident, *, now_s: float) -> Due | None:
    """An incident that is over and that the receiver never heard of, because nobody watched or it could not be reached."""
    if any(row.state != "resolved" or _told_rank(incident, row) >= 0 for row in incident.rows):
        return None
    rows = [row for row in incident.rows if _was_missed(incident, row, now_s)]
    if not rows:
        return None
    news = tuple((row.id, told) for row in rows for told in (_FIRING + row.severity, "resolved"))
    return Due(at_s=now_s, kind="missed", alerts=_in_order(incident, {row.id for row in rows}), news=news)


def _was_missed(incident: Incident, row: AlertRow, now_s: float) -> bool:
    if row.fired_s is None or row.resolved_s is None or row.acknowledged_s is not None or not incident.takes(row):
        return False
    if incident.muted(row) or (row.muted_until_s is not None and row.muted_until_s >= row.fired_s):
        return False
    return row.resolved_s - row.fired_s >= GROUP_WAIT_S and now_s - row.resolved_s <= MISSED_FOR_S
