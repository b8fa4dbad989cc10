"""The Alerts page: incidents at the left, one alert in full at the right, and what people say of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from runvitals.dashboard import head, live
from runvitals.dashboard.alert_cards import STATES, cards, full, holding, title
from runvitals.dashboard.alert_history import history
from runvitals.dashboard.alert_mutes import covering, made, mute_json, standing
from runvitals.dashboard.component import mount
from runvitals.dashboard.data import Problem, read, settings
from runvitals.dashboard.deeds import new_deeds
from runvitals.dashboard.first_moves import by_onset
from runvitals.dashboard.incidents import Incident, counted, group, open_alerts
from runvitals.dashboard.query import Query, parse
from runvitals.dashboard.rules_file import rules_file
from runvitals.store import Store
from runvitals.store.types import AlertRow, Mute, RunInfo

EVERY_S = 2.0
_FILE = "runvitals.alerts.file"
_TOLD = 4
"""How many messages tell of a report that was asked for."""

LONGEST_NAME = 80
LONGEST_NOTE = 500
"""Characters of what people type; the fields take no more either."""

Change = Mapping[str, Any]


def page() -> None:
    """Draws the page; its fragment runs again every `EVERY_S`."""
    live.forget("alerts")
    _live()


@st.fragment(run_every=EVERY_S)
def _live() -> None:
    now_s = time.time()
    seen = head.look(now_s=now_s)
    head.renew(seen)
    pulse = head.pulse(seen, now_s=now_s, every_s=EVERY_S)
    query = parse(st.query_params.get("q", ""), signals=())
    found = read(lambda store: _body(store, query, now_s), now_s=now_s) if isinstance(seen, head.Look) else seen
    if isinstance(found, Problem):
        data = pulse if isinstance(seen, Problem) else head.pulse(found, now_s=now_s, every_s=EVERY_S)
    else:
        missing = found.pop("missing")
        if missing:
            pulse["notices"] = [*pulse["notices"], head.unknown("alert", [missing])]
        data = {**live.changed("alerts", found), **pulse}
    mount("alerts", key="alerts", data=data | _offered(), events=_EVENTS)


def _report() -> None:
    """Makes the report of the incident for the browser to save."""
    from runvitals.dashboard.report.offer import offered  # only who asks for one pays for it

    asked = _sent("report")
    if not isinstance(asked, Mapping):
        return
    alert_id, now_s = str(asked["id"]), time.time()

    def file_of(store: Store) -> dict[str, str]:
        (alert,) = store.alerts(ids=[alert_id])
        return offered(store, alert.run_id, incident_id=alert_id, asked=str(asked["asked"]), now_s=now_s)

    file = read(file_of, now_s=now_s)
    if not isinstance(file, Problem):
        st.session_state[_FILE] = (_TOLD, file)


def _offered() -> dict[str, Any]:
    """The file that was asked for, with a few messages on end, for one of them may be overtaken."""
    left, file = st.session_state.get(_FILE, (0, None))
    st.session_state[_FILE] = (max(0, left - 1), file)
    return {"file": file} if left else {}


def _body(store: Store, query: Query, now_s: float) -> dict[str, Any]:
    deleted = set(store.due_deletions(math.inf))
    alerts = [alert for alert in store.alerts() if alert.run_id not in deleted]
    incidents = group(alerts, now_s=now_s)
    runs = {run.id: run for run in store.runs()}
    mutes = store.mutes()
    stand = standing(mutes, now_s=now_s)
    found = cards(incidents, runs, query, stand)
    asked = st.query_params.get("alert", "")
    tab = _tab(incidents, asked)
    here = [card for card in found if card["incident_state"] == tab]
    held = holding(incidents, asked)
    shown = held or (holding(incidents, here[0]["id"]) if here else None)
    titles = {alert.id: title(alert) for alert in alerts}
    return {
        "missing": asked if held is None else "",
        "tab": tab,
        "counts": {state: counted(incidents, state) for state in STATES},
        "cards": found,
        "alerts": open_alerts(incidents),
        "query": query.text,
        "troubles": [{"term": trouble.term, "reason": trouble.reason} for trouble in query.troubles],
        "mutes": [mute_json(mute, runs, titles) for mute in stand],
        "shown": None if shown is None else _full(store, *shown, _Around(alerts, runs, mutes, titles, now_s)),
    }


@dataclass(frozen=True, slots=True)
class _Around:
    """What of the store an alert is shown with."""

    alerts: Sequence[AlertRow]
    runs: Mapping[str, RunInfo]
    mutes: Sequence[Mute]
    titles: Mapping[str, str]
    now_s: float


def _full(store: Store, alert: AlertRow, incident: Incident, around: _Around) -> dict[str, Any]:
    run = around.runs.get(alert.run_id)
    project = run.project if run is not None else ""
    mine = covering(around.mutes, alert, project)
    episodes = [
        one for one in around.alerts if (one.run_id, one.rule, one.signal) == (alert.run_id, alert.rule, alert.signal)
    ]
    return full(
        alert,
        incident,
        run,
        onsets=by_onset(store, incident, run),
        spec=rules_file(settings().rules).spec(alert.rule, project),
        history=history(alert, episodes=episodes, mutes=mine, runs=around.runs, now_s=around.now_s),
        mutes=[mute_json(mute, around.runs, around.titles) for mute in standing(mine, now_s=around.now_s)],
        answers=store.answers().get(alert.rule),
    )


def _tab(incidents: Sequence[Incident], asked: str) -> str:
    """The state to list: the one chosen, else that of the alert asked for, else open."""
    chosen = st.query_params.get("state", "")
    if chosen in STATES:
        return chosen
    found = holding(incidents, asked)
    return found[1].state if found is not None else "open"


def _set(name: str, value: str) -> None:
    if value:
        st.query_params[name] = value
    elif name in st.query_params:
        del st.query_params[name]


def _sent(event: str) -> Any:
    """What the browser sent with the event."""
    return st.session_state["alerts"][event]


def _select() -> None:
    _set("alert", str(_sent("select") or ""))


def _choose_tab() -> None:
    _set("state", str(_sent("tab") or ""))
    _set("alert", "")


def _search() -> None:
    _set("q", str(_sent("query") or "").strip())


def store_change(event: str, change: Change, *, now_s: float) -> None:
    """Does in the store what a person asked for; a store that cannot shows its line at the next look."""
    alert_id, who = str(change.get("id", "")), str(change.get("who", ""))[:LONGEST_NAME]
    note = str(change.get("note", ""))[:LONGEST_NOTE]
    acts: dict[str, Callable[[Store], None]] = {
        "acknowledge": lambda store: store.acknowledge(alert_id, note, now_s, who),
        "unacknowledge": lambda store: store.unacknowledge(alert_id, now_s, who),
        "feedback": lambda store: store.feedback(alert_id, str(change["answer"]), now_s, who),
        "tick": lambda store: store.tick(alert_id, int(change["remedy"]), bool(change["on"]), now_s),
        "mute": lambda store: _mute(store, change, who=who, note=note, now_s=now_s),
        "unmute": lambda store: store.end_mute(int(change["mute"]), who, now_s),
    }
    read(acts[event], now_s=now_s)


def _mute(store: Store, change: Change, *, who: str, note: str, now_s: float) -> None:
    until_s = float(change["until_s"]) if change.get("until_s") is not None else now_s + float(change["for_s"])
    found = holding(group(store.alerts(), now_s=now_s), str(change["id"]))
    if found is None or until_s <= now_s:
        return
    alert, incident = found
    run = next(iter(store.runs(ids=[alert.run_id])), None)
    scope = str(change.get("scope", "alert"))
    for mute in made(scope, alert, incident, run, since_s=now_s, until_s=until_s, who=who, note=note):
        store.add_mute(mute)


def _keeps(event: str) -> Callable[[], None]:
    """The callback of an event that changes an alert."""

    def changed() -> None:
        for change in new_deeds(_sent(event)):
            store_change(event, change, now_s=time.time())

    return changed


_EVENTS: dict[str, Callable[[], None]] = {
    "select": _select,
    "tab": _choose_tab,
    "query": _search,
    "report": _report,
    "resync": lambda: live.forget("alerts"),
    **{event: _keeps(event) for event in ("acknowledge", "unacknowledge", "mute", "unmute", "feedback", "tick")},
}
"""What the browser may send. Each needs a callback, or Streamlit drops it."""
