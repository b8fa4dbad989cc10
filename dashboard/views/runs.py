"""The Runs page: all runs in one live table, found by a query, worst first."""

from __future__ import annotations

import time
from typing import Any

import streamlit as st

from runvitals.dashboard import head, live
from runvitals.dashboard.checks import checks
from runvitals.dashboard.component import mount
from runvitals.dashboard.data import Problem, overview, read, settings
from runvitals.dashboard.navigation import go
from runvitals.dashboard.query import Query, parse
from runvitals.dashboard.run_rows import QUERYABLE, latest_keys, rows
from runvitals.store import Store
from runvitals.store.types import LIVE, RunInfo

EVERY_S = 2.0

_VIEWS = (
    ("All runs", ""),
    ("Needs attention", "needs:attention"),
    ("Running", "status:live"),
)


def page() -> None:
    """Draws the page; its fragment runs again every `EVERY_S`."""
    live.forget("runs")
    live.forget("empty")
    _live()


@st.fragment(run_every=EVERY_S)
def _live() -> None:
    now_s = time.time()
    seen = head.look(now_s=now_s)
    head.renew(seen)
    pulse = head.pulse(seen, now_s=now_s, every_s=EVERY_S)
    query = parse(st.query_params.get("q", ""), signals=QUERYABLE)
    found = read(lambda store: _body(store, seen, query, now_s), now_s=now_s) if isinstance(seen, head.Look) else seen
    if isinstance(found, Problem):
        # Nothing new to say: what the browser has stays, under the line that says why.
        _table({**pulse, **({} if pulse["notices"] else head.pulse(found, now_s=now_s, every_s=EVERY_S))})
    elif "checks" in found:
        resync = {"resync": lambda: live.forget("empty")}
        mount("empty", key="empty", data={**live.changed("empty", found), **pulse}, events=resync)
    else:
        standing_for = {**found, "rows": [row["mark"] for row in found["rows"]]}
        _table({**live.changed("runs", found, standing_for=standing_for), **pulse})


def _table(data: dict[str, Any]) -> None:
    events = {"query": _search, "open": _nothing, "compare": _nothing, "resync": lambda: live.forget("runs")}
    sent = mount("runs", key="runs", data=data, events=events)
    if sent.open:
        go("run", run=str(sent.open))
    if sent.compare:
        go("compare", compare=",".join(str(run_id) for run_id in sent.compare))


def _search() -> None:
    """Puts the query into the address, from which every run of the page reads it."""
    query = str(st.session_state["runs"]["query"] or "").strip()
    if query:
        st.query_params["q"] = query
    elif "q" in st.query_params:
        del st.query_params["q"]


def _nothing() -> None:
    """An event is only told of where it has a callback."""


def _body(store: Store, seen: head.Look, query: Query, now_s: float) -> dict[str, Any]:
    runs = overview().runs(store, latest=latest_keys(query))
    if not runs:
        return {"checks": checks(store, seen.watching, settings())}
    return {
        "rows": rows(store, runs, seen.firing, query=query, watched=seen.watching.alive, now_s=now_s),
        "total": len(runs),
        "live": sum(run.status in LIVE for run in runs),
        "query": query.text,
        "troubles": [{"term": trouble.term, "reason": trouble.reason} for trouble in query.troubles],
        "views": [{"name": name, "query": text} for name, text in (*_VIEWS, *_trainer_views(runs))],
    }


def _trainer_views(runs: list[RunInfo]) -> list[tuple[str, str]]:
    """One view for each trainer in use, where there is more than one."""
    trainers = sorted({run.trainer for run in runs})
    return [(f"trainer:{trainer}", f"trainer:{trainer}") for trainer in trainers] if len(trainers) > 1 else []
