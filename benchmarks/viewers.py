"""Many people on one page at once: python benchmarks/viewers.py [--viewers 20] [--seconds 60] [--every 2].

A live run of 12 series gains a row a second. The viewers look at its Run page: one is a real Chromium, the others speak Streamlit's
protocol without drawing, because twenty browsers on one machine would measure the browsers. Each asks for a refresh every
`--every` seconds (the real one as often as the page does). Printed: how long a refresh takes from asking to the end of
its answer being read (by one process for all viewers, so its own work is in it), how many took longer than the interval, whether every viewer holds every point in the end, the server's share of a
core and its memory for each viewer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from page_server import DPO_KEYS, FLAGS, append, browser_path, served, write_run
from playwright.async_api import async_playwright
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

from runvitals.settings import Settings
from runvitals.store import Store, open_store

STEPS = 2000
"""Steps that the run has when the viewers come."""

SETTLE_S = 5.0
TOLD = "loss"


@dataclass(slots=True)
class Viewer:
    """One viewer: what it holds of one series, and how long its refreshes took."""

    latencies_s: list[float] = field(default_factory=list)
    held: int = 0
    last_step: int = 0
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    gaps: int = 0
    received: int = 0
    fragment: str = ""

    async def watch(self, address: str, query: str, *, every_s: float, offset_s: float, until: asyncio.Event) -> None:
        """Opens the page and refreshes it until the event is set."""
        url = address.replace("http", "ws") + "/_stcore/stream"
        async with connect(url, subprotocols=["streamlit"], max_size=None) as socket:
            await self._run(socket, query)
            self.ready.set()
            await asyncio.sleep(offset_s)
            due_s = time.perf_counter()
            while not until.is_set():
                asked_s = time.perf_counter()
                await self._run(socket, query)
                self.latencies_s.append(time.perf_counter() - asked_s)
                due_s = max(due_s + every_s, time.perf_counter())
                await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            await self._run(socket, query)

    async def _run(self, socket: ClientConnection, query: str) -> None:
        """Asks for the page, or for its fragment once that is known, and takes in the answer."""
        ask = BackMsg()
        ask.rerun_script.query_string = query
        ask.rerun_script.page_name = "run"
        if self.fragment:
            ask.rerun_script.fragment_id = self.fragment
            ask.rerun_script.is_auto_rerun = True
        await socket.send(ask.SerializeToString())
        while True:
            raw = await asyncio.wait_for(socket.recv(), timeout=60)
            assert isinstance(raw, bytes)
            self.received += len(raw)
            message = ForwardMsg.FromString(raw)
            kind = message.WhichOneof("type")
            if kind == "auto_rerun":
                self.fragment = message.auto_rerun.fragment_id
            elif kind == "delta":
                self._take(message)
            elif kind == "script_finished":
                return

    def _take(self, message: ForwardMsg) -> None:
        component = message.delta.new_element.bidi_component
        if not component.mixed.json and not component.json:
            return
        told = json.loads(component.mixed.json or component.json).get("charts")
        if not told:
            return
        grids = told.get("grids", [])
        if told["whole"]:
            self.held = 0
            self.last_step = max(steps_of(told["series"][TOLD], grids))
        part = told.get("points", {}).get(TOLD)
        if part is None:
            return
        # As the browser does: what it holds is skipped, and a piece that begins later is a gap.
        steps = steps_of(part["columns"], grids)
        self.gaps += part["from"] > self.held
        self.held = max(self.held, part["from"] + len(steps))
        self.last_step = max([self.last_step, *steps])


def steps_of(columns: dict[str, Any], grids: list[dict[str, Any]]) -> list[int]:
    """The steps of one series; what several series have in common stands in the message's grids."""
    found: list[int] = (grids[columns["grid"]] if "grid" in columns else columns)["step"]
    return found


async def measure(address: str, server: psutil.Process, store: Store, options: argparse.Namespace) -> None:
    """Prints what it costs to be watched by so many."""
    over = asyncio.Event()
    alone_mib = server.memory_info().rss / 2**20
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=browser_path(), args=list(FLAGS))
        page = await chromium.new_page(viewport={"width": 1440, "height": 1000})
        await page.goto(f"{address}/run?run=live")
        await page.locator("figure.chart .xtick").first.wait_for(state="attached", timeout=120_000)
        one_mib = server.memory_info().rss / 2**20
        viewers = [Viewer() for _ in range(options.viewers - 1)]
        watching = [
            asyncio.create_task(
                viewer.watch(
                    address,
                    "run=live",
                    every_s=options.every,
                    offset_s=options.every * number / len(viewers),
                    until=over,
                )
            )
            for number, viewer in enumerate(viewers)
        ]
        opened = asyncio.gather(*(viewer.ready.wait() for viewer in viewers))
        await asyncio.wait([opened, *watching], return_when=asyncio.FIRST_COMPLETED)
        for task in watching:
            if task.done():
                task.result()  # a viewer that failed says why, and nobody waits for it
        await opened
        await asyncio.sleep(SETTLE_S)
        before = server.cpu_times()
        for viewer in viewers:
            viewer.latencies_s.clear()
            viewer.received = 0
        told_before = int(await page.locator(".rv.page").get_attribute("data-messages") or 0)
        began_s = time.perf_counter()
        rows = await train(store, options.seconds)
        took_s = time.perf_counter() - began_s
        after = server.cpu_times()
        told = int(await page.locator(".rv.page").get_attribute("data-messages") or 0) - told_before
        received = sum(viewer.received for viewer in viewers)
        latencies_s = sorted(latency for viewer in viewers for latency in viewer.latencies_s)
        many_mib = server.memory_info().rss / 2**20
        over.set()
        await asyncio.gather(*watching)
        await chromium.close()
    if not latencies_s:
        raise SystemExit(f"no refresh ended within {took_s:.0f} s")
    late = sum(latency > options.every for latency in latencies_s)
    print(
        f"{options.viewers} viewers at {options.every:g} s for {took_s:.0f} s, {rows} rows: {len(latencies_s)} refreshes, "
        f"median {statistics.median(latencies_s) * 1e3:.0f} ms, p95 {latencies_s[int(len(latencies_s) * 0.95)] * 1e3:.0f} ms, "
        f"max {latencies_s[-1] * 1e3:.0f} ms, {late} longer than the interval"
    )
    print(
        f"points: {sum(viewer.gaps for viewer in viewers)} gaps; {sum(viewer.last_step >= STEPS + rows for viewer in viewers)} of {len(viewers)} "
        f"viewers were told the last row; the browser was told {told} times in {took_s:.0f} s"
    )
    print(f"{received / len(latencies_s) / 1024:.1f} KiB a refresh")
    cpu = (after.user + after.system - before.user - before.system) / took_s
    print(
        f"server {cpu:.0%} of a core; memory {alone_mib:.0f} MiB before the first viewer, {one_mib:.0f} with one, {many_mib:.0f} with all: "
        f"{(many_mib - one_mib) / max(1, len(viewers)):.1f} MiB a viewer"
    )


async def train(store: Store, seconds: float) -> int:
    """Appends a row a second, as a watcher does; how many."""
    rng = np.random.default_rng(1)
    start_s = time.time() - STEPS
    rows = 0
    for rows in range(1, int(seconds) + 1):
        await asyncio.to_thread(append, store, "live", STEPS + rows, 1, keys=DPO_KEYS, rng=rng, start_s=start_s)
        await asyncio.sleep(1.0)
    return rows


def main() -> None:
    """Fills a store, opens the page for all viewers, and prints what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--viewers", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--every", type=float, default=2.0, help="seconds between a viewer's refreshes")
    options = parser.parse_args()
    if options.viewers < 2:
        parser.error("--viewers: expected 2 or more, one real browser and the others")
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.from_environment({}, home=Path(folder))
        store = open_store(settings.store)
        write_run(store, "live", steps=STEPS, status="running")
        with served(settings) as (address, server):
            asyncio.run(measure(address, server, store, options))
        store.close()


if __name__ == "__main__":
    main()
