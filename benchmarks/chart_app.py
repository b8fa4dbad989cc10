"""The page that `live_charts.py` measures: the same 12 charts of 4 runs, by our component or by `st.plotly_chart` (?by=ours, ?by=plotly)."""

from __future__ import annotations

import os
import uuid
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from runvitals.dashboard import live
from runvitals.dashboard.component import mount
from runvitals.dashboard.live_charts import Feed, Want
from runvitals.dashboard.sights import Sight, Zoom
from runvitals.dashboard.tokens import SERIES
from runvitals.store import Store, open_store

CHARTS = int(os.environ.get("RUNVITALS_BENCH_CHARTS", "12"))
RUNS = 4
POINTS = 2000
EVERY_S = float(os.environ.get("RUNVITALS_BENCH_EVERY_S", "2"))
KEYS = tuple(f"key/{number}" for number in range(CHARTS))


def run_id(number: int) -> str:
    """The id of one of the runs."""
    return f"run-{number}"


@st.cache_resource
def store() -> Store:
    """The store of the benchmark."""
    return open_store(os.environ["RUNVITALS_BENCH_STORE"])


def frame(starts_s: list[float]) -> dict[str, Any]:
    """Twelve charts with a line for each run."""
    series = lambda key: [  # noqa: E731
        {
            "id": f"{number}|{key}",
            "clock": str(number),
            "label": run_id(number),
            "color": SERIES[number],
            "dash": "solid",
            "style": "line",
        }
        for number in range(RUNS)
    ]
    charts = [
        {
            "id": key,
            "kind": "chart",
            "title": key,
            "values": "plain",
            "span": 3,
            "height": 190,
            "references": [],
            "series": series(key),
        }
        for key in KEYS
    ]
    clocks = {
        str(number): {"steps": f"{number}|{KEYS[0]}", "tokens": None, "start_s": start_s, "total": 1}
        for number, start_s in enumerate(starts_s)
    }
    sections = [{"id": "all", "title": "", "blocks": charts}]
    return {"page": "benchmark", "head": {"id": "benchmark"}, "clocks": clocks, "sections": sections, "foot": []}


@st.fragment(run_every=EVERY_S)
def ours() -> None:
    """The live component, as the pages use it."""
    starts_s = [store().run(run_id(number)).created_s for number in range(RUNS)]
    wants = [
        Want(
            id=f"{number}|{key}",
            run_id=run_id(number),
            key=key,
            timed=False,
            zero_s=starts_s[number],
            clock=str(number),
        )
        for number in range(RUNS)
        for key in KEYS
    ]
    feed: Feed = st.session_state["feed"]
    told = st.session_state.get("charts") or {}
    zoom, framed = Zoom.of_state(told.get("zoom")), frame(starts_s)
    sight = Sight.of_state(told.get("sight"), framed)
    data = {
        "frame": live.changed("bench.frame", framed),
        "words": live.changed("bench.words", {"charts": {}, "marks": {}}),
        "charts": feed.message(store(), wants, zoom, sight),
        "every_s": EVERY_S,
        "now_s": 0.0,
        "notices": [],
    }
    events = {"zoom": lambda: None, "sight": lambda: None, "resync": anew, "csv": lambda: None}
    mount("charts", key="charts", data=data, events=events)


def anew() -> None:
    """Makes the next message a whole one."""
    st.session_state["feed"].resync()
    for part in ("bench.frame", "bench.words"):
        live.forget(part)


@st.fragment(run_every=EVERY_S)
def plotly() -> None:
    """The newest 2,000 points of each series, as `st.plotly_chart` is told to be used: a key each, and uirevision."""
    found = [store().read_many(run_id(number), KEYS) for number in range(RUNS)]
    columns = st.columns(4)
    for place, key in enumerate(KEYS):
        figure = go.Figure(layout={"height": 220, "title": key, "uirevision": "kept", "showlegend": False})
        for number in range(RUNS):
            points = found[number][key]
            line = {"color": SERIES[number], "width": 2}
            figure.add_scatter(x=points.steps[-POINTS:], y=points.values[-POINTS:], line=line, name=run_id(number))
        columns[place % 4].plotly_chart(figure, key=key)


st.set_page_config(layout="wide")
if st.query_params.get("by") == "plotly":
    plotly()
else:
    st.session_state["feed"] = Feed(epoch=uuid.uuid4().hex[:8])
    anew()
    ours()
