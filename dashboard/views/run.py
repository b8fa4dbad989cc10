"""The Run page: live curves of one run, its verdicts, and its open incident."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import streamlit as st

from runvitals.dashboard import head, live
from runvitals.dashboard.chart_files import offer_csv
from runvitals.dashboard.component import mount
from runvitals.dashboard.data import Problem, read, settings, shown_health
from runvitals.dashboard.deeds import new_deeds
from runvitals.dashboard.incidents import group
from runvitals.dashboard.live_charts import Feed
from runvitals.dashboard.panels import OTHERS, folded, pinned, sections
from runvitals.dashboard.rank_hosts import on_hosts
from runvitals.dashboard.rules_file import rules_file
from runvitals.dashboard.run_body import frame, main_incident, wants, words
from runvitals.dashboard.run_completions import Completions
from runvitals.dashboard.run_keys import RunKeys, search_json
from runvitals.dashboard.run_labels import change, labels_json
from runvitals.dashboard.run_layout import ADDRESSED, Layout
from runvitals.dashboard.run_map import CELLS, map_json, measures
from runvitals.dashboard.sights import Sight, Zoom
from runvitals.dashboard.verdicts import BUCKETS, keys_read
from runvitals.store import Store
from runvitals.store.types import LIVE, Envelope, Latest, RunInfo

EVERY_S = 1.0
KEY = "charts"

READ_EVERY_S = 3.0
"""How often a live run's verdicts are worked out anew: they read whole series, and their words change slowly."""

MARKED_EVENTS = ("checkpoint", "eval", "resume")

MAP_EVERY_S = 10.0
"""How often the map of devices and ranks of a live run is made anew: samples come every five seconds."""

_NO_RUN = {
    "title": "No run yet.",
    "text": "The newest run shows here by itself, with its curves, verdicts and alerts, seconds after its first step.",
    "code": 'trainer = DPOTrainer(..., callbacks=[runvitals.Callback("dpo-7b")])',
}
_UNKNOWN = {
    "title": "This run is not here.",
    "text": "All runs of this store are on the Runs page; a name, a trainer or a setting finds one there.",
}


@dataclass(slots=True)
class _Page:
    """What this browser page has been told so far."""

    run_id: str
    feed: Feed
    read_s: float = 0.0
    read_keys: tuple[str, ...] = ()
    series: Mapping[str, Envelope] = field(default_factory=dict)
    layout: Layout = field(default_factory=Layout)
    keys: RunKeys = field(default_factory=RunKeys)
    said: Completions = field(default_factory=Completions)
    map: dict[str, Any] = field(default_factory=dict)
    map_read_s: float = 0.0
    searched: bool = False
    refused: str = ""


def page() -> None:
    """Draws the page; its fragment runs again every `EVERY_S`. The address names the run; without one, the newest is shown."""
    asked = {name: st.query_params.get_all(name) for name in ADDRESSED}
    st.session_state["runvitals.run"] = _Page(
        run_id=st.query_params.get("run", ""), feed=Feed(epoch=uuid.uuid4().hex[:8]), layout=Layout.of_query(asked)
    )
    _forget()
    _live()


@st.fragment(run_every=EVERY_S)
def _live() -> None:
    now_s = time.time()
    state: _Page = st.session_state["runvitals.run"]
    seen = head.look(now_s=now_s)
    head.renew(seen)
    pulse = head.pulse(seen, now_s=now_s, every_s=EVERY_S)
    found = read(lambda store: _data(store, state, seen, now_s), now_s=now_s) if isinstance(seen, head.Look) else seen
    if isinstance(found, Problem):
        if found.kind == "unknown_run":
            pulse["notices"] = [*pulse["notices"], head.unknown("run", [state.run_id])]
            found = {"empty": _UNKNOWN}
        else:
            if not pulse["notices"]:
                pulse = head.pulse(found, now_s=now_s, every_s=EVERY_S)
            found = {}
    _mounted({**found, **pulse})


def _data(store: Store, state: _Page, seen: head.Look, now_s: float) -> dict[str, Any]:
    """The next message for the browser. Raises UnknownRun, which the page shows."""
    if not state.run_id:
        newest = store.runs()
        if not newest:
            return {"empty": _NO_RUN}
        state.run_id = newest[0].id
    run = store.run(state.run_id)
    keys = state.keys.read(store, run, now_s=now_s)
    alerts = store.alerts(run_id=run.id)
    whole = sections(run, keys, state.layout.asked)
    drawn = whole if OTHERS in state.layout.open else folded(whole)
    top = pinned(state.layout.pins, keys, whole)
    drawn = [*([top] if top else []), *drawn]
    _read_series(store, state, run, keys, now_s)
    state.said.read(store, run.id)
    events = store.events(run.id, kinds=MARKED_EVENTS)
    health = shown_health(run, watched=seen.watching.alive)
    limits = rules_file(settings().rules).margin_limits(run.project)
    told = words(
        run, drawn, series=state.series, alerts=alerts, events=events, health=health, limits=limits, now_s=now_s
    )
    told["labels"] = labels_json(run, said=state.refused)
    incident = main_incident(group(alerts, now_s=now_s))
    framed = frame(run, keys, drawn, incident, said=state.said.sections())
    sight = Sight.of_state(_told("sight"), framed)
    found = {
        "frame": live.changed("run.frame", framed),
        "words": live.changed("run.words", told),
        "map": live.changed("run.map", _map(store, state, (run, keys), now_s=now_s, seen="map" in sight.blocks)),
        "charts": state.feed.message(store, wants(run, keys, drawn), Zoom.of_state(_told("zoom")), sight),
    }
    if state.searched:
        found["signals"] = live.changed("run.signals", search_json(keys), standing_for=state.keys.digest)
    return found


def _map(
    store: Store, state: _Page, of: tuple[RunInfo, Mapping[str, Latest]], *, now_s: float, seen: bool
) -> dict[str, Any]:
    """The map of devices, ranks and hosts: made anew every `MAP_EVERY_S` while it is seen, and at once where another measure is asked for."""
    run, keys = of
    choices = measures(tuple(keys))
    if not choices:
        return {}
    chosen = next((one for one in choices if one.id == state.layout.measure), choices[0])
    same = state.map.get("measure") == chosen.id
    if same and (not seen or run.status not in LIVE or now_s - state.map_read_s < MAP_EVERY_S):
        return state.map
    span_s = (run.created_s, max(keys[row.key].time_s for row in chosen.rows))

    def read_rows(names: list[str]) -> Mapping[str, Envelope]:
        return store.envelope(run.id, names, n=CELLS, axis="time")

    if chosen.of == "rank":
        chosen = on_hosts(chosen, store.writers(run.id))
    state.map, state.map_read_s = map_json(chosen, read_rows, span_s=span_s, zero_s=run.created_s), now_s
    return state.map


def _read_series(store: Store, state: _Page, run: RunInfo, keys: Mapping[str, Latest], now_s: float) -> None:
    """Reads the series that verdicts and facts rest on: at once when a signal appears, else every `READ_EVERY_S`."""
    chosen = keys_read(keys)
    names = tuple(chosen.values())
    if names == state.read_keys and (run.status not in LIVE or now_s - state.read_s < READ_EVERY_S):
        return
    by_key = store.envelope(run.id, names, n=BUCKETS)
    state.series = {signal: by_key[key] for signal, key in chosen.items()}
    state.read_s, state.read_keys = now_s, names


def _told(event: str) -> Any:
    """What the browser said last of an event; None where it said nothing, or where its component is gone by now."""
    return (st.session_state.get(KEY) or {}).get(event)


def _mounted(data: dict[str, Any]) -> None:
    events = {
        "zoom": _nothing,
        "sight": _nothing,
        "act": _act,
        "layout": _arrange,
        "search": _search,
        "completion": _choose,
        "resync": _resync,
        "csv": _export,
        "report": _report,
        "acknowledge": lambda: _mark("acknowledge"),
        "unacknowledge": lambda: _mark("unacknowledge"),
    }
    mount("charts", key=KEY, data=data, events=events)


def _act() -> None:
    """Changes tags, group or description as the browser asks; what the store refuses is said until the next change."""
    state: _Page = st.session_state["runvitals.run"]
    now_s = time.time()
    for told in new_deeds(_told("act")):
        said = read(partial(change, told=told, run_id=state.run_id, now_s=now_s), now_s=now_s)
        state.refused = said.text if isinstance(said, Problem) else said


def _mark(action: str) -> None:
    """Writes what a person did with the incident's root alert."""
    alert_id = str(_told(action) or "")
    now_s = time.time()
    if action == "acknowledge":
        read(lambda store: store.acknowledge(alert_id, "", now_s), now_s=now_s)
    else:
        read(lambda store: store.unacknowledge(alert_id, now_s), now_s=now_s)


def _arrange() -> None:
    """Takes the layout that the browser tells; the browser has put it into the address."""
    layout = Layout.told(_told("layout"))
    if layout is not None:
        st.session_state["runvitals.run"].layout = layout


def _search() -> None:
    """Somebody is about to look for a signal: from now on the page tells the names of all."""
    st.session_state["runvitals.run"].searched = True
    live.forget("run.signals")


def _choose() -> None:
    """Shows another set of completions."""
    read(lambda store: st.session_state["runvitals.run"].said.choose(store, _told("completion")), now_s=time.time())


def _forget() -> None:
    """Makes the next message a whole one."""
    live.forget("run.frame")
    live.forget("run.words")
    live.forget("run.map")
    live.forget("run.signals")
    st.session_state["runvitals.run"].feed.resync()


def _resync() -> None:
    """Sends again the part of the page that the browser missed."""
    part = (_told("resync") or {"part": "all"})["part"]
    if part == "all":
        _forget()
    elif part == "charts":
        st.session_state["runvitals.run"].feed.resync()
    else:
        live.forget(f"run.{part}")


def _export() -> None:
    """Makes a file of the points that a chart's menu asks for."""
    read(lambda store: offer_csv(store, st.session_state["runvitals.run"].feed, _told("csv")), now_s=time.time())


def _report() -> None:
    """Makes the run's report for the browser to save."""
    from runvitals.dashboard.report.offer import offered  # only who asks for one pays for it

    state: _Page = st.session_state["runvitals.run"]
    asked, now_s = str(_told("report") or ""), time.time()
    read(lambda store: state.feed.offer(offered(store, state.run_id, asked=asked, now_s=now_s)), now_s=now_s)


def _nothing() -> None:
    """An event is only told of where it has a callback."""
