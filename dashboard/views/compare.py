"""The Compare page: up to fifty runs or groups of runs over one another; the first is the baseline. All of its state is in its address."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import streamlit as st

from runvitals.dashboard import compare_views, head, live
from runvitals.dashboard.chart_files import offer_csv
from runvitals.dashboard.compare_body import Comparison, Reader, frame, words
from runvitals.dashboard.compare_charts import wants
from runvitals.dashboard.compare_csv import thin_spans, thin_wants
from runvitals.dashboard.compare_pins import pins_of
from runvitals.dashboard.compare_search import LONGEST, Search
from runvitals.dashboard.compare_state import Shown, of_query
from runvitals.dashboard.component import mount
from runvitals.dashboard.data import Problem, overview, read
from runvitals.dashboard.live_charts import Feed, Want
from runvitals.dashboard.sights import Sight, Zoom
from runvitals.store import Store
from runvitals.store.types import LIVE, RunInfo

EVERY_S = 2.0
KEY = "compared"

READ_EVERY_S = 10.0
"""How often what the server works out of live runs (table, groups, thin lines, partings) is worked out anew."""

_STATE = "runvitals.compare"
_LEAST_RUNS = 2

_NO_RUN = {
    "title": "Nothing to compare yet.",
    "text": "Runs of any trainer stand side by side here: one yardstick for the margin, what differs in their settings, "
    "and each signal against the baseline. Two runs are enough; choose them on the Runs page with Space.",
    "code": "python -m runvitals.trainers.recipes.dpo",
}


@dataclass(slots=True)
class _Made:
    """What was worked out last, of which runs at which revision, and when."""

    of: tuple[object, ...] = ()
    at_s: float = 0.0
    count: int = 0
    frame: dict[str, Any] = field(default_factory=dict)
    words: dict[str, Any] = field(default_factory=dict)
    series: dict[str, Any] = field(default_factory=dict)
    wants: list[Want] = field(default_factory=list)
    comparison: Comparison | None = None


@dataclass(slots=True)
class _Page:
    """What this browser page has been told so far. query: what its address said when the page was last run as a whole."""

    query: dict[str, Any]
    shown: Shown
    feed: Feed
    search: Search = field(default_factory=Search)
    reader: Reader = field(default_factory=Reader)
    unknown: list[str] = field(default_factory=list)
    made: _Made = field(default_factory=_Made)


def page() -> None:
    """Draws the page; its fragment runs again every `EVERY_S`."""
    query = {**dict(st.query_params), "pin": st.query_params.get_all("pin")}
    known: _Page | None = st.session_state.get(_STATE)
    # The whole app runs again when an alert fires. What was chosen since then is in the browser's address, which Streamlit may not know.
    shown = known.shown if known is not None and known.query == query else of_query(query)
    fresh = _Page(query=query, shown=shown, feed=Feed(epoch=uuid.uuid4().hex[:8]))
    if known is not None:
        # What was worked out for the same choice holds still; it is half a second of work for fifty runs.
        fresh.reader, fresh.made, fresh.search = known.reader, known.made, known.search
    st.session_state[_STATE] = fresh
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
    known = overview().runs(store, latest=())
    runs = _chosen(known, state.shown.run_ids)
    ids = {run.id for run in known}
    state.unknown = [run_id for run_id in state.shown.run_ids if run_id not in ids]
    if not runs:
        return {"empty": _NO_RUN}
    _make(store, state, (runs, known), now_s)
    made = state.made
    sight = Sight.of_state(_told("sight"), made.frame)
    series = {name: columns for name, columns in made.series.items() if name in sight.ids}
    message = {
        "frame": live.changed("compare.frame", made.frame),
        "words": live.changed("compare.words", made.words, standing_for=made.count),
        "curves": live.changed("compare.curves", series, standing_for=[made.count, *sorted(series)]),
        "views": live.changed("compare.views", compare_views.told(store)),
        "charts": state.feed.message(store, made.wants, Zoom.of_state(_told("zoom")), sight),
    }
    if state.search.text is not None and made.comparison is not None:
        message["signals"] = live.changed("compare.signals", state.search.answer(made.comparison.members))
    return message


def _make(store: Store, state: _Page, of: tuple[Sequence[RunInfo], Sequence[RunInfo]], now_s: float) -> None:
    """Works out anew what the choice or, every `READ_EVERY_S`, the runs have changed."""
    (runs, known), made = of, state.made
    choice: tuple[object, ...] = (state.shown, tuple(run.id for run in runs), len(known))
    news = tuple((run.revision, run.status, run.health) for run in runs)
    waits = any(run.status in LIVE for run in runs) and now_s - made.at_s < READ_EVERY_S
    if made.of == (choice, news) or (made.of and made.of[0] == choice and waits):
        return
    found = state.reader.compare(store, runs, state.shown)
    picked = not any(run.id in state.shown.run_ids for run in runs)
    here = {run.id for run in runs}
    made.frame = frame(found, [run for run in known if run.id not in here], picked=picked)
    made.words, made.series, made.comparison = words(store, found), found.series, found
    made.wants = [] if found.grouped else wants(found.members, found.plan)
    made.of, made.at_s, made.count = (choice, news), now_s, made.count + 1


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
    events = {
        "zoom": _nothing,
        "sight": _nothing,
        "resync": _resync,
        "csv": _export,
        "choose": _choose,
        "layout": _arrange,
        "find": _find,
        "view": _keep_view,
    }
    mount("charts", key=KEY, data=data, events=events)


def _choose() -> None:
    """Takes what the browser chose; the browser puts the same into its address."""
    told = _told("choose")
    if isinstance(told, Mapping):
        st.session_state[_STATE].shown = of_query(told)


def _arrange() -> None:
    """Takes the pins that the browser tells; the browser has put them into the address."""
    told, state = _told("layout"), st.session_state[_STATE]
    if isinstance(told, Mapping):
        state.shown = replace(state.shown, pins=pins_of(told.get("pin")))


def _find() -> None:
    """Looks for what was typed; asked twice, because an answer may be overtaken and never be seen, it answers twice."""
    told = _told("find")
    if isinstance(told, Mapping):
        st.session_state[_STATE].search.text = str(told.get("text", ""))[:LONGEST]
        live.forget("compare.signals")


def _keep_view() -> None:
    """Saves the view that is shown under a name, or deletes one."""
    told = _told("view")
    if isinstance(told, Mapping):
        read(lambda store: compare_views.take(store, told, now_s=time.time()), now_s=time.time())


def _forget() -> None:
    """Makes the next message a whole one."""
    for part in ("frame", "words", "curves", "views", "signals"):
        live.forget(f"compare.{part}")
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
    """Makes a file of the points that a chart's menu asks for, of the grey runs too."""
    state, told = st.session_state[_STATE], _told("csv")
    found: Comparison | None = state.made.comparison
    if found is None:
        return
    thin = thin_wants(found.members, told, found.plan)
    spans = thin_spans(found.members, found.curves, thin, told, found.shown.axis)
    read(lambda store: offer_csv(store, state.feed, told, beside=thin, beside_spans=spans), now_s=time.time())


def _nothing() -> None:
    """An event is only told of where it has a callback."""
