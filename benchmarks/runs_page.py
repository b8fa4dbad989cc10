"""What a tick of the Runs page costs when nothing changed: python benchmarks/runs_page.py [--runs N] [--rounds N].

Ended runs with a config of 120 settings, three series of 50 points and, one in ten, a firing alert. Processor time of one session;
the browser's share and Streamlit's own are not in it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time

import numpy as np

from runvitals.dashboard import run_rows
from runvitals.dashboard.data import overview, watching
from runvitals.dashboard.incidents import group
from runvitals.dashboard.query import Query, parse
from runvitals.dashboard.views.runs import FIRST_ROWS
from runvitals.store import Store, open_store
from runvitals.store.types import AlertRow, Batch, SeriesPoints

SEED = 7
POINTS = 50
SETTINGS = 120
ZERO_S = 1.7e9


def fill(store: Store, runs: int) -> None:
    """Puts the runs into the store."""
    generator = np.random.default_rng(SEED)
    steps = np.arange(POINTS, dtype=np.int64)
    config = {f"setting_{number}": number * 1.5 for number in range(SETTINGS)}
    for number in range(runs):
        start_s = ZERO_S + number
        series = {
            key: SeriesPoints(steps=steps, times_s=start_s + steps, values=generator.random(POINTS))
            for key in ("loss", "rewards/margins", "grad_norm")
        }
        start = {"project": "p", "name": f"run {number}", "config": config, "info": {}, "time_s": start_s}
        store.append(
            Batch(
                run_id=f"r{number}",
                writer_id="w",
                first_seq=1,
                last_seq=POINTS,
                position={},
                series=series,
                start=start,
                rows=POINTS,
            )
        )
        store.set_run(f"r{number}", status="finished", ended_s=start_s + POINTS)
    store.put_alerts([alert(number) for number in range(0, runs, 10)])


def alert(number: int) -> AlertRow:
    """A firing alert with evidence."""
    curve = {"signal": "loss", "steps": list(range(200)), "values": [0.5] * 200}
    return AlertRow(
        id=f"a{number}",
        run_id=f"r{number}",
        rule="loss_spike",
        signal="loss",
        severity="warning",
        state="firing",
        incident=f"a{number}",
        onset_step=1,
        onset_s=ZERO_S,
        fired_step=2,
        fired_s=ZERO_S,
        resolved_step=None,
        resolved_s=None,
        detail={"title": "Loss spike", "evidence": {"curves": [curve]}},
    )


def tick(store: Store, query: Query) -> int:
    """One tick as the page makes it; the size of the table."""
    now_s = time.time()
    firing = overview().firing(store)
    group(firing, now_s=now_s)
    alive = watching(store, now_s=now_s).alive
    runs = overview().runs(store, latest=run_rows.latest_keys(query.signals))
    found = run_rows.answering(runs, firing, query=query, watched=alive, now_s=now_s)
    table = run_rows.table(store, found, run_rows.Asked(query=query, limit=FIRST_ROWS))
    json.dumps([row["mark"] for row in table.rows.values()])
    return len(found)


def main() -> None:
    """Fills a store, and prints the first tick and the median of the following ones."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RUNVITALS_STORE"] = f"sqlite:///{folder}/runvitals.db"
        store = open_store(os.environ["RUNVITALS_STORE"])
        fill(store, options.runs)
        for text in ("", "margin>0.5 config.setting_3=4.5"):
            query = parse(text, signals=run_rows.QUERYABLE)
            costs_ms = []
            for _ in range(1 + options.rounds):
                before_s = time.process_time()
                tick(store, query)
                costs_ms.append((time.process_time() - before_s) * 1000)
            print(f"query {text!r}: first {costs_ms[0]:.0f} ms, then {statistics.median(costs_ms[1:]):.1f} ms")
        store.close()


if __name__ == "__main__":
    main()
