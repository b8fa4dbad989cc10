"""The Compare page: several runs over one another; the first is the baseline. `?compare=a,b` names them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from runvitals.dashboard import head, live
from runvitals.dashboard.chart_files import offer_csv
from runvitals.dashboard.compare_body import MOST_RUNS, frame, wants, words
from runvitals.dashboard.component import mount
from runvitals.dashboard.data import Problem, read
from runvitals.dashboard.live_charts import Feed, Zoom
from runvitals.dashboard.navigation import go
from runvitals.store import Store
from runvitals.store.types import LIVE, RunInfo

EVERY_S = 2.0
KEY = "compared"

READ_EVERY_S = 10.0
"""How often table and parting points of live runs are worked out anew."""

_STATE = "runvitals.compare"
_LEAST_RUNS = 2

_NO_RUN = {
    "title": "Nothing to compare yet.",
    "text": "Runs of any trainer stand side by side here: one yardstick for the margin, what differs in their settings, "
    "and each signal against the baseline. Two runs are enough; choose them on the Runs page with Space.",
    "code": "python -m runvitals.trainers.recipes.dpo",
}


@dataclass(slots=True)
class _Page:
    """What this browser page has been told so far."""

    run_ids: tuple[str, ...]
    feed: Feed
    unknown: list[str] = field(default_factory=list)
    read_s: float = 0.0
    words: dict[str, Any] = field(default_factory=dict)


def page() -> None:
    """Draws the page; its fragment runs again every `EVERY_S`."""
    named = [run_id for run_id in st.query_params.get("compare", "").split(",") if run_id]
    st.session_state[_STATE] = _Page(
        run_ids=tuple(dict.fromkeys(named))[:MOST_RUNS], feed=Feed(epoch=uuid.uuid4().hex[:8])
    )
    _forget()
    _live()


@st.fragment(run_every=EVERY_S)
def _live() -> None:
    now_s = time.time()
    state: _Page = st.session_state[_STATE]
    seen = head.look(now_s=now_s)
    head.renew(seen)
    pulse = head.pulse(seen, now_s=now_s, every_s=EVERY_S)
    found = read(lambda store: _data(store, state, now_s), now_s=now_s) if isinstance(seen, head.Look) else seen
    if isinstance(found, Problem):
        if not pulse["notices"]:
            pulse = head.pulse(found, now_s=now_s, every_s=EVERY_S)
        found = {}
    elif state.unknown:
        pulse["notices"] = [*pulse["notices"], head.unknown("run", state.unknown)]
    _mounted({**found, **pulse})


def _data(store: Store, state: _Page, now_s: float) -> dict[str, Any]:
    """The next message for the browser."""
    known = store.runs()
    runs = _chosen(known, state.run_ids)
    ids = {run.id for run in known}
    state.unknown = [run_id for run_id in state.run_ids if run_id not in ids]
    if not runs:
        return {"empty": _NO_RUN}
    named = any(run.id in state.run_ids for run in runs)
    keys = {run.id: store.keys(run.id) for run in runs}
    others = [run for run in known if run not in runs]
    if not state.words or (now_s - state.read_s >= READ_EVERY_S and any(run.status in LIVE for run in runs)):
        state.words, state.read_s = words(store, runs, keys), now_s
    return {
        "frame": live.changed("compare.frame", frame(runs, others, keys, picked=not named)),
        "words": live.changed("compare.words", state.words),
        "charts": state.feed.message(store, wants(runs, keys), Zoom.of_state(_told("zoom"))),
    }


def _chosen(known: Sequence[RunInfo], run_ids: Sequence[str]) -> list[RunInfo]:
    """The runs that the address names, in its order; without any, the newest of one project."""
    by_id = {run.id: run for run in known}
    runs = [by_id[run_id] for run_id in run_ids if run_id in by_id]
    if runs or not known:
        return runs
    project = [run for run in known if run.project == known[0].project]
    return project[:_LEAST_RUNS]


def _told(event: str) -> Any:
    """What the browser said last of an event; None where it said nothing, or where its component is gone by now."""
    return (st.session_state.get(KEY) or {}).get(event)


def _mounted(data: dict[str, Any]) -> None:
    events = {"zoom": _nothing, "go": _nothing, "resync": _resync, "csv": _export, "runs": _choose}
    sent = mount("charts", key=KEY, data=data, events=events)
    if sent.runs:
        # The address now names other runs: the page starts anew with them.
        st.rerun()
    if sent.go:
        target = dict(sent.go)
        go(target.pop("page"), **{name: str(value) for name, value in target.items()})


def _choose() -> None:
    """Puts the chosen runs into the address, from which the page reads them."""
    st.query_params["compare"] = ",".join(str(run_id) for run_id in _told("runs") or ())


def _forget() -> None:
    """Makes the next message a whole one."""
    live.forget("compare.frame")
    live.forget("compare.words")
    st.session_state[_STATE].feed.resync()


def _resync() -> None:
    """Sends again the part of the page that the browser missed."""
    part = (_told("resync") or {"part": "all"})["part"]
    if part == "all":
        _forget()
    elif part == "charts":
        st.session_state[_STATE].feed.resync()
    else:
        live.forget(f"compare.{part}")


def _export() -> None:
    """Makes a file of the points that a chart's menu asks for."""
    read(lambda store: offer_csv(store, st.session_state[_STATE].feed, _told("csv")), now_s=time.time())


def _nothing() -> None:
    """An event is only told of where it has a callback."""
