"""The Runs page: all runs in one live table, found by a query, worst first."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode

import streamlit as st

from runvitals.dashboard import head, live
from runvitals.dashboard.checks import checks
from runvitals.dashboard.component import mount
from runvitals.dashboard.data import Problem, overview, read, settings
from runvitals.dashboard.deeds import new_deeds
from runvitals.dashboard.query import parse
from runvitals.dashboard.run_actions import PAGE, act
from runvitals.dashboard.run_order import GROUPINGS
from runvitals.dashboard.run_rows import QUERYABLE, Asked, Table, answering, grouping, latest_keys, table
from runvitals.dashboard.run_words import vocabulary
from runvitals.errors import StoreError
from runvitals.store import Store
from runvitals.store.types import LIVE, RunInfo

EVERY_S = 2.0

FIRST_ROWS = 60
"""Rows and group heads of the first picture: two screens. The browser asks for more as it scrolls."""

MOST_ROWS = 5000
"""As far as scrolling goes; beyond, a search finds faster."""

_VIEWS = (
    ("All runs", ""),
    ("Needs attention", "q=needs:attention"),
    ("Running", "q=status:live"),
)
_ADDRESS = ("q", "by", "sort")
"""What of the address belongs to a view: the query, the grouping and the order."""

_STATE = "runvitals.runs"


def page() -> None:
    """Draws the page; its fragment runs again every `EVERY_S`."""
    live.forget("runs")
    live.forget("empty")
    st.session_state.setdefault(_STATE, {"limit": FIRST_ROWS, "folded": set(), "said": {"text": ""}, "ids": []})
    _live()


@st.fragment(run_every=EVERY_S)
def _live() -> None:
    now_s = time.time()
    seen = head.look(now_s=now_s)
    head.renew(seen)
    pulse = head.pulse(seen, now_s=now_s, every_s=EVERY_S)
    found = read(lambda store: _body(store, seen, now_s), now_s=now_s) if isinstance(seen, head.Look) else seen
    if isinstance(found, Problem):
        # Nothing new to say: what the browser has stays, under the line that says why.
        _table({**pulse, **({} if pulse["notices"] else head.pulse(found, now_s=now_s, every_s=EVERY_S))})
    elif "checks" in found:
        resync = {"resync": lambda: live.forget("empty")}
        mount("empty", key="empty", data={**live.changed("empty", found), **pulse}, events=resync)
    else:
        rows = found.pop("rows")
        _table({**live.changed_parts("runs", found, rows), **pulse})


def _table(data: dict[str, Any]) -> None:
    events = {
        "look": _look,
        "more": _more,
        "fold": _fold,
        "act": _act,
        "resync": lambda: live.forget("runs"),
    }
    mount("runs", key="runs", data=data, events=events)


def _look() -> None:
    """Puts query, grouping and order into the address, from which every run of the page reads them."""
    told, before = st.session_state["runs"]["look"] or {}, st.query_params.get("by", "")
    for name in _ADDRESS:
        value = str(told.get(name) or "").strip()
        if value:
            st.query_params[name] = value
        elif name in st.query_params:
            del st.query_params[name]
    st.session_state[_STATE]["limit"] = FIRST_ROWS
    # What is folded stays folded while the groups are the same: another search or order asks for nothing else.
    if st.query_params.get("by", "") != before:
        st.session_state[_STATE]["folded"] = set()


def _more() -> None:
    """Lets more rows come: as many as the browser asks for."""
    wanted = st.session_state["runs"]["more"]
    if isinstance(wanted, (int, float)):
        st.session_state[_STATE]["limit"] = int(min(max(wanted, FIRST_ROWS), MOST_ROWS))


def _fold() -> None:
    """Hides or shows the rows of groups: pairs of a group's key and whether it is to be folded."""
    folded: set[str] = st.session_state[_STATE]["folded"]
    for key, wanted in st.session_state["runs"]["fold"] or ():
        (folded.add if wanted else folded.discard)(str(key))


def _act() -> None:
    """Does what was asked for, one deed after the other."""
    for told in new_deeds(st.session_state["runs"]["act"]):
        _do(told)


def _do(told: Mapping[str, Any]) -> None:
    """Does one deed with the chosen runs; `all` means every run that answers the search."""
    state, now_s = st.session_state[_STATE], time.time()
    chosen = [str(run_id) for run_id in (state["ids"] if told.get("all") else told.get("ids") or ())]

    def done(store: Store) -> dict[str, Any]:
        try:
            return act(store, told, chosen, now_s=now_s)
        except StoreError as error:
            return {"text": f"Not done: {error}"}

    said = read(done, now_s=now_s)
    state["said"] = {**({"text": said.text} if isinstance(said, Problem) else said), "time_s": now_s}


def _asked() -> Asked:
    address, state = st.query_params, st.session_state[_STATE]
    return Asked(
        query=parse(address.get("q", ""), signals=QUERYABLE, settings=overview().settings),
        group=grouping(address.get("by", "attention")),
        sort=address.get("sort", ""),
        folded=frozenset(state["folded"]),
        limit=state["limit"],
    )


def _body(store: Store, seen: head.Look, now_s: float) -> dict[str, Any]:
    """The parts of the page, and its rows by id."""
    runs = overview().runs(store, latest=latest_keys(frozenset()), deleted=True)
    if not runs:
        return {"checks": checks(store, seen.watching, settings())}
    asked = _asked()
    if asked.signals:
        runs = overview().runs(store, latest=latest_keys(asked.signals), deleted=True)
    notes = _notes(store) if "note" in asked.query.words else {}
    watched = seen.watching.alive
    answer = answering(runs, seen.firing, query=asked.query, watched=watched, now_s=now_s, notes=notes)
    found = table(store, answer, asked)
    st.session_state[_STATE]["ids"] = found.ids
    return {
        "head": _head(runs, found, asked),
        "groups": found.groups,
        "rows": found.rows,
        "views": _views(store, runs),
        "words": vocabulary(runs, overview().settings, {alert.rule for alert in seen.firing}),
        "said": st.session_state[_STATE]["said"],
    }


def _head(runs: Sequence[RunInfo], found: Table, asked: Asked) -> dict[str, Any]:
    """Numbers over the table, and what was asked for."""
    listed = [run for run in runs if run.delete_after_s is None and run.archived_s is None]
    return {
        "total": len(listed),
        "archived": sum(run.archived_s is not None and run.delete_after_s is None for run in runs),
        "live": sum(run.status in LIVE for run in listed),
        "found": len(found.ids),
        "rest": found.rest,
        "limit": asked.limit,
        "q": asked.query.text,
        "by": asked.group,
        "sort": asked.sort,
        "groupings": list(GROUPINGS.items()),
        "troubles": [{"term": trouble.term, "reason": trouble.reason} for trouble in asked.query.troubles],
    }


def _notes(store: Store) -> dict[str, list[str]]:
    """The texts of all notes by run."""
    found: dict[str, list[str]] = {}
    for note in store.notes():
        found.setdefault(note.run_id, []).append(note.text)
    return found


def _views(store: Store, runs: Sequence[RunInfo]) -> list[dict[str, Any]]:
    """The views that are always there, and those that people saved; with the address that each stands for."""
    trainers = sorted({run.trainer for run in runs})
    some = [(f"trainer:{trainer}", urlencode({"q": f"trainer:{trainer}"})) for trainer in trainers if len(trainers) > 1]
    if any(run.archived_s is not None for run in runs):
        some.append(("Archived", "q=is:archived"))
    if any(run.delete_after_s is not None for run in runs):
        some.append(("Deleted", "q=is:deleted"))
    given = [{"name": name, "look": _look_of(query), "saved": False} for name, query in (*_VIEWS, *some)]
    return given + [{"name": view.name, "look": _look_of(view.query), "saved": True} for view in store.views(PAGE)]


def _look_of(query: str) -> dict[str, str]:
    """The parts of an address that belong to a view."""
    found = dict(parse_qsl(query))
    return {name: found.get(name, "") for name in _ADDRESS}
