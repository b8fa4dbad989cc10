"""What every page says besides its own content: who watches, what is wrong with the page, and how many incidents are open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from runvitals.dashboard import watcher
from runvitals.dashboard.data import Problem, Watching, overview, read, settings, watching
from runvitals.dashboard.formatter import age, count
from runvitals.dashboard.incidents import Incident, counted, group, worst
from runvitals.dashboard.tokens import SEVERITIES
from runvitals.dashboard.watcher_notices import watcher_notices
from runvitals.store import Store
from runvitals.store.types import AlertRow

NEWS_S = 900.0
"""An alert that fired longer ago is no news: whoever opens a page in the morning is not told of the night one by one."""

_MOST_NEWS = 20
_NEWS_SHOWN = 240
_SHOWN = "runvitals.open_shown"
_NAME_SHOWN = 60
_MOST_NAMED = 3
"""A link may name anything at any length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look at the store: who watches, what fires, and the open incidents with the worst severity among them.

    news: what a browser may notify of, of the last `NEWS_S`: alerts that ask for somebody, with their run's name.
    """

    watching: Watching
    beside: bool
    firing: Sequence[AlertRow]
    open: int
    worst: str | None
    news: Sequence[dict[str, str]] = ()


def look(*, now_s: float) -> Look | Problem:
    """Who watches and what is open. Starts a watcher beside the app where nobody has watched for a while."""
    found = read(lambda store: _look(store, now_s), now_s=now_s)
    if isinstance(found, Look):
        watcher.beside().look(alive=found.watching.alive, settings=settings(), now_s=now_s, start=watcher.start_watch)
    return found


def pulse(seen: Look | Problem, *, now_s: float, every_s: float) -> dict[str, Any]:
    """The small part of a page's data that changes with every message: time, watcher, notices."""
    if isinstance(seen, Problem):
        return {"now_s": now_s, "every_s": every_s, "watch": None, "notices": [_store_notice(seen)], "news": []}
    return {
        "now_s": now_s,
        "every_s": every_s,
        "watch": _watch(seen),
        "notices": _notices(seen, now_s),
        "news": list(seen.news),
    }


def unknown(what: str, names: Sequence[str]) -> dict[str, str]:
    """The line for a link that names a run or an alert that this store does not hold."""
    listed = ", ".join(name if len(name) <= _NAME_SHOWN else f"{name[:_NAME_SHOWN]}…" for name in names[:_MOST_NAMED])
    rest = f" and {count(len(names) - _MOST_NAMED)} more" if len(names) > _MOST_NAMED else ""
    are = "is" if len(names) == 1 else "are"
    text = f"{listed}{rest} {are} not in this store. The link may be of another store, or older than this one."
    title = f"No such {what}" if len(names) == 1 else f"No such {what}s"
    return {"key": "link", "severity": "unknown", "title": title, "text": text}


def unknown_rule(name: str) -> dict[str, str]:
    """The line for a link that names a rule which is none of ours and not in the user's file."""
    text = f"{name[:_NAME_SHOWN]} is neither one of ours nor in runvitals.toml; to list them all: runvitals rules"
    return {"key": "rule", "severity": "unknown", "title": "No such rule", "text": text}


def page_title(seen: Look | Problem) -> str:
    """The title of the browser's tab: "◆ 6 · runvitals" with six open incidents."""
    if isinstance(seen, Problem) or not seen.open or seen.worst is None:
        return "runvitals"
    return f"{SEVERITIES[seen.worst].shape} {count(seen.open)} · runvitals"


def alerts_label(seen: Look | Problem) -> str:
    """The navigation's word for alerts, with the worst shape and the number open.

    In plain text: Streamlit reserves the width of the markup too, so a coloured number would stretch the tab.
    """
    if isinstance(seen, Problem) or not seen.open or seen.worst is None:
        return "Alerts"
    return f"Alerts {SEVERITIES[seen.worst].shape} {count(seen.open)}"


def shown(seen: Look | Problem) -> None:
    """Notes what title and navigation say, so that `renew` knows when they are out of date."""
    st.session_state[_SHOWN] = page_title(seen)


def renew(seen: Look | Problem) -> None:
    """Runs the whole app again where the number of open incidents changed, so that title and navigation say so."""
    if isinstance(seen, Look) and st.session_state.get(_SHOWN) not in (None, page_title(seen)):
        st.rerun()


def _look(store: Store, now_s: float) -> Look:
    firing = overview().firing(store)
    incidents = group(firing, now_s=now_s)
    return Look(
        watching=watching(store, now_s=now_s),
        beside=watcher.beside().running,
        firing=firing,
        open=counted(incidents, "open"),
        worst=worst(incidents),
        news=_news(store, incidents, now_s),
    )


def _news(store: Store, incidents: Sequence[Incident], now_s: float) -> list[dict[str, str]]:
    fresh = [
        (incident, alert)
        for incident in incidents
        if incident.state == "open"
        for alert in incident.asking_alerts
        if alert.fired_s is not None and alert.fired_s > now_s - NEWS_S
    ]
    names = overview().names_of(store, {alert.run_id for _, alert in fresh})
    return [
        {
            "id": alert.id,
            "incident": incident.root.incident,
            "severity": alert.severity,
            "title": f"{SEVERITIES[alert.severity].shape} {alert.detail.get('title') or alert.rule}",
            "text": f"{names.get(alert.run_id, alert.run_id)}: {alert.detail.get('sentence', '')}"[:_NEWS_SHOWN],
        }
        for incident, alert in fresh[:_MOST_NEWS]
    ]


def _watch(seen: Look) -> dict[str, Any]:
    found = seen.watching
    if found.watcher is None:
        return {"alive": False}
    if found.ahead_s is not None:
        return {"alive": False, "ahead_s": found.ahead_s}
    return {
        "beside": seen.beside,
        "alive": found.alive,
        "pass_s": found.watcher.pass_s,
        "rules": found.watcher.rules,
        "behind_bytes": found.watcher.behind_bytes,
        "message": found.watcher.message,
    }


def _notices(seen: Look, now_s: float) -> list[dict[str, str]]:
    if seen.watching.alive:
        return watcher_notices(seen.watching.at_work, now_s=now_s)
    if seen.watching.ahead_s is not None and seen.watching.watcher is not None:
        title = f"A watcher's clock is {age(seen.watching.ahead_s)} ahead"
        host = seen.watching.watcher.host
        text = f"Whether it still watches cannot be told, so health of live runs is unknown. Set the clock of {host}, or this one's."
        return [{"key": "watcher", "severity": "warning", "title": title, "text": text}]
    silent = "No watcher yet" if seen.watching.silent_s is None else f"Watcher silent for {age(seen.watching.silent_s)}"
    started = "This app started one beside itself and waits for its first pass."
    starts = "This app starts one beside itself in a few seconds; or start it with: runvitals watch"
    text = f"Health of live runs is unknown. {started if seen.beside else starts}"
    return [{"key": "watcher", "severity": "warning", "title": silent, "text": text}]


def _store_notice(problem: Problem) -> dict[str, str]:
    stays = "The last picture stays. " if problem.kind == "unreachable" else ""
    return {"key": "store", "severity": "warning", "title": problem.title, "text": stays + problem.text}
