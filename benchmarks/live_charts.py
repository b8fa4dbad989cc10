"""Live charts against `st.plotly_chart` in a real browser: python benchmarks/live_charts.py [--part refresh] [--turns 3].

12 charts x 4 runs x 2,000 points, of one store, while each run logs two rows a second; a refresh every 2 s; Chromium without a GPU. The two
take turns. Without `--part` all parts, some seven minutes:

- `messages` (10 s): what is sent, without Streamlit and browser.
- `sight` (20 s): the same with 40 charts of which twelve are in or near sight, beside all of them, in turns.
- `first` (1 min): from the address to the first chart, server and browser warm.
- `refresh` (5 min): bytes that the browser receives and processor time of server and browser, with the whole run in view and in a zoom by a
  drag of the mouse, and how often the zoom was still there after a refresh.
- `pixels` (1 min): with a real watcher and the Run page at its usual 1 s, from `Run.log` to the frame in which the row is drawn.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from page_server import FLAGS, append, browser_path, served
from playwright.sync_api import BrowserContext, Page, sync_playwright

from runvitals.collectors.options import Options
from runvitals.collectors.run import Run
from runvitals.dashboard.live_charts import Feed, Want
from runvitals.dashboard.sights import Sight
from runvitals.settings import Settings
from runvitals.store import Store, open_store
from runvitals.up import end, free_port, wait_until_ready

APP = Path(__file__).parent / "chart_app.py"
EVERY_S = 2.0
RUNS = 4
KEYS = tuple(f"key/{number}" for number in range(12))
POINTS = 2000
ROW_S = 0.5

PLOTS = {"ours": ".plot.js-plotly-plot", "plotly": ".stPlotlyChart .js-plotly-plot"}
SURFACE = {"ours": "figure.chart .surface", "plotly": ".stPlotlyChart .js-plotly-plot"}

OBSERVE = """([selector, quiet]) => {
  const within = (root, wanted) => { const own = root.querySelector(wanted); if (own) return own;
    for (const node of root.querySelectorAll("*")) if (node.shadowRoot) { const found = within(node.shadowRoot, wanted); if (found) return found; } };
  const find = root => within(root, selector);
  window.box = wanted => { const { x, y, width, height } = within(document, wanted)?.getBoundingClientRect() ?? {}; return width ? { x, y, width, height } : null; };
  window.look = () => { const plot = find(document); return plot?._fullLayout?.xaxis.range.map(Number); };
  window.newest = () => { const plot = find(document);
    return Math.max(-1, ...(plot?.data ?? []).flatMap(trace => trace.yaxis === "y2" ? [] : [Math.max(...trace.x.slice(-3).filter(x => x !== null))])); };
  if (quiet) return;
  window.drawn = {};
  const tick = () => { const step = window.newest(); window.drawn[step] ??= Date.now() / 1000; requestAnimationFrame(tick); };
  tick();
}"""


@dataclass
class Window:
    """What one contender took while it was watched. Processor seconds, seconds, bytes, refreshes, and those after which the view stood."""

    server_s: float = 0.0
    browser_s: float = 0.0
    wall_s: float = 0.0
    bytes: int = 0
    refreshes: int = 0
    kept: int = 0


PARTS = ("messages", "sight", "first", "refresh", "pixels")
TURNS = {"ours": 34, "plotly": 5}
"""Refreshes of a turn in a zoom: three turns of ours are a hundred."""

WHOLE = 5
"""Refreshes of a turn with the whole run in view."""


def main() -> None:
    """Prints what each part found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", choices=PARTS, help="only this part; may be given several times")
    parser.add_argument("--turns", type=int, default=3, help="turns of each contender, for refreshes")
    parser.add_argument("--pages", type=int, default=7, help="pages of each contender, for the first chart")
    parser.add_argument("--rows", type=int, default=60, help="rows from log to pixel")
    options = parser.parse_args()
    parts = options.part or PARTS
    if "messages" in parts:
        tell_feed()
    if "sight" in parts:
        tell_sight()
    if not set(parts) & {"first", "refresh", "pixels"}:
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=list(FLAGS))
        context = browser.new_context(viewport={"width": 1440, "height": 1000})
        if "first" in parts or "refresh" in parts:
            with app() as (address, server):
                addresses = {name: f"{address}/?by={name}" for name in PLOTS}
                for name, url in addresses.items():
                    opened(context, name, url)[0].close()  # warms server and browser
                if "first" in parts:
                    tell_first(context, addresses, options.pages)
                if "refresh" in parts:
                    tell_refreshes(context, addresses, server, options.turns)
        if "pixels" in parts:
            delays_s = sorted(log_to_pixel(context.new_page(), options.rows))
            p95 = delays_s[int(0.95 * len(delays_s))]
            print(
                f"log to pixel, {len(delays_s)} rows: median {statistics.median(delays_s):.2f} s, p95 {p95:.2f} s, longest {delays_s[-1]:.2f} s"
            )
        browser.close()


def tell_first(context: BrowserContext, addresses: Mapping[str, str], pages: int) -> None:
    """Prints how long a page takes to its first chart, the contenders in turns."""
    first_s: dict[str, list[float]] = {name: [] for name in addresses}
    for _ in range(pages):
        for name, url in addresses.items():
            page, taken_s = opened(context, name, url)
            first_s[name].append(taken_s)
            page.close()
    for name, taken in first_s.items():
        print(f"{name:7} first chart: median of {pages} {statistics.median(taken):.2f} s, longest {max(taken):.2f} s")


def tell_refreshes(context: BrowserContext, addresses: Mapping[str, str], server: psutil.Process, turns: int) -> None:
    """Prints what refreshes took, the contenders in turns."""
    found: dict[str, Window] = {}
    for turn in range(turns):
        for name, url in addresses.items():
            page, _ = opened(context, name, url)
            received = counted(page)
            page.wait_for_timeout(2 * EVERY_S * 1000)
            page.evaluate(OBSERVE, [PLOTS[name], True])
            watch(page, found.setdefault(f"{name}, whole run", Window()), (server, received), WHOLE)
            before = received[0]
            zoomed = zoom(page, name)
            page.wait_for_timeout(2 * EVERY_S * 1000)
            print(f"turn {turn + 1}, {name}: {(received[0] - before) / 1000:.0f} kB within 4 s of a zoom", flush=True)
            watch(page, found.setdefault(f"{name}, zoomed", Window()), (server, received), TURNS[name], zoomed)
            page.close()
    for name, window in found.items():
        tell(name, window)


def opened(context: BrowserContext, name: str, url: str) -> tuple[Page, float]:
    """A page, and the seconds from its address to its first chart."""
    page = context.new_page()
    before_s = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.locator(PLOTS[name]).first.locator(".xtick").first.wait_for(state="attached", timeout=120_000)
    return page, time.perf_counter() - before_s


def counted(page: Page) -> list[int]:
    """A count that goes on: bytes that the page has received since now."""
    received = [0]
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.on(
        "Network.webSocketFrameReceived",
        lambda event: received.__setitem__(0, received[0] + size_of(event["response"])),
    )
    return received


def tell_feed(refreshes: int = 30) -> None:
    """Prints what the messages alone take, without Streamlit and without a browser: four new rows of each run a refresh."""
    [(first, sizes, spent)] = messages(KEYS, [KEYS], refreshes)
    print(f"messages alone: {told_of(sizes, spent)}; the first {first / 1000:.0f} kB", flush=True)


def tell_sight(refreshes: int = 30) -> None:
    """Prints what messages take on a page of 40 charts: all of them told, and only the twelve in or near sight."""
    keys = tuple(f"key/{number}" for number in range(40))
    for shown, (first, sizes, spent) in zip((40, 12), messages(keys, [keys, keys[:12]], refreshes), strict=True):
        print(f"{shown} of 40 charts told: {told_of(sizes, spent)}; the first {first / 1000:.0f} kB", flush=True)


def told_of(sizes: list[int], spent: list[float]) -> str:
    """Medians of bytes and processor time in words."""
    return f"{statistics.median(sizes) / 1000:.1f} kB a refresh, {statistics.median(spent) * 1000:.1f} ms of processor time"


def messages(
    keys: Sequence[str], shown: Sequence[Sequence[str]], refreshes: int
) -> list[tuple[int, list[int], list[float]]]:
    """For each choice of keys in sight, of one store and in turns: bytes of the first message; bytes and processor seconds of each refresh."""
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{folder}/runvitals.db")
        rng, start_s = np.random.default_rng(7), time.time() - POINTS * ROW_S
        runs = [f"run-{number}" for number in range(RUNS)]
        start = {"project": "benchmark", "name": "run", "config": {}, "info": {}, "time_s": start_s}
        for run_id in runs:
            append(store, run_id, 1, POINTS, keys=keys, rng=rng, start_s=start_s, start=start)
        wants = [
            Want(id=f"{run_id}|{key}", run_id=run_id, key=key, timed=False, zero_s=start_s, clock=run_id)
            for run_id in runs
            for key in keys
        ]
        sights = [
            Sight(id="s", blocks=(), ids=frozenset(want.id for want in wants if want.key in seen)) for seen in shown
        ]
        feeds = [Feed(epoch="e") for _ in shown]
        firsts = [
            len(json.dumps(feed.message(store, wants, None, sight))) for feed, sight in zip(feeds, sights, strict=True)
        ]
        sizes: list[list[int]] = [[] for _ in shown]
        spent: list[list[float]] = [[] for _ in shown]
        for refresh in range(refreshes):
            for row in range(4):
                for run_id in runs:
                    append(store, run_id, POINTS + 1 + 4 * refresh + row, 1, keys=keys, rng=rng, start_s=start_s)
            for place, (feed, sight) in enumerate(zip(feeds, sights, strict=True)):
                before_s = time.process_time()
                sizes[place].append(len(json.dumps(feed.message(store, wants, None, sight))))
                spent[place].append(time.process_time() - before_s)
        store.close()
    return list(zip(firsts, sizes, spent, strict=True))


@contextmanager
def app() -> Iterator[tuple[str, psutil.Process]]:
    """The app on a store whose runs go on."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/runvitals.db"
        store = open_store(url)
        rngs = [np.random.default_rng(number) for number in range(RUNS)]
        start_s = time.time() - POINTS * ROW_S
        for number, rng in enumerate(rngs):
            start = {"project": "benchmark", "name": f"run-{number}", "config": {}, "info": {}, "time_s": start_s}
            append(store, f"run-{number}", 1, POINTS, keys=KEYS, rng=rng, start_s=start_s, start=start)
        port = free_port("127.0.0.1", 0)
        environ = {
            **os.environ,
            "RUNVITALS_HOME": folder,
            "RUNVITALS_BENCH_STORE": url,
            "RUNVITALS_BENCH_EVERY_S": str(EVERY_S),
        }
        command = [
            sys.executable,
            "-m",
            "streamlit",
            "run",
            str(APP),
            "--server.port",
            str(port),
            "--server.headless",
            "true",
        ]
        command += ["--server.address", "127.0.0.1", "--browser.gatherUsageStats", "false"]
        command += ["--runner.postScriptGC", "false"]  # as the dashboard itself is set; for both contenders
        process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        over = threading.Event()

        def log() -> None:
            step = POINTS
            while not over.wait(ROW_S):
                step += 1
                for number, rng in enumerate(rngs):
                    append(store, f"run-{number}", step, 1, keys=KEYS, rng=rng, start_s=start_s)

        logging = threading.Thread(target=log)
        logging.start()
        try:
            wait_until_ready("127.0.0.1", port, process)
            yield f"http://127.0.0.1:{port}", psutil.Process(process.pid)
        finally:
            over.set()
            logging.join()
            end([process])
            store.close()


def watch(
    page: Page,
    window: Window,
    told: tuple[psutil.Process, list[int]],
    refreshes: int,
    zoomed: list[float] | None = None,
) -> None:
    """Adds what so many refreshes of the page take, and, in a zoom, how often it stood."""
    server, received = told
    browsers = psutil.Process().children(recursive=True)
    at_s, server_s, browser_s, before = time.perf_counter(), spent_s([server]), spent_s(browsers), received[0]
    for _ in range(refreshes):
        page.wait_for_timeout(EVERY_S * 1000)
        window.kept += zoomed is not None and same(page.evaluate("window.look()"), zoomed)
    window.wall_s += time.perf_counter() - at_s
    window.server_s += spent_s([server]) - server_s
    window.browser_s += spent_s(browsers) - browser_s
    window.bytes += received[0] - before
    window.refreshes += refreshes


def zoom(page: Page, name: str) -> list[float]:
    """Drags over the middle of the first chart; the range that it then shows."""
    box = None
    for _ in range(100):
        # A chart that is being replaced has no place for a moment.
        box = page.evaluate("wanted => window.box(wanted)", SURFACE[name])
        if box is not None:
            break
        page.wait_for_timeout(100)
    if box is None:
        raise SystemExit(f"{name}: there is no chart to zoom")
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.3 * box["width"], y)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], y, steps=5)
    page.mouse.up()
    page.wait_for_timeout(300)
    return list(page.evaluate("window.look()"))


def same(now: list[float] | None, zoomed: list[float]) -> bool:
    """Whether the range is the one that was zoomed to."""
    return now is not None and all(abs(a - b) < 1e-6 * max(1.0, abs(b)) for a, b in zip(now, zoomed, strict=True))


def size_of(frame: dict[str, object]) -> int:
    """Bytes of one message; a binary one comes as base64."""
    payload = str(frame["payloadData"])
    return len(payload) * 3 // 4 if frame["opcode"] == 2 else len(payload)


def spent_s(processes: list[psutil.Process]) -> float:
    """Processor seconds of all of them so far."""
    spent = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        spent += times.user + times.system
    return spent


def tell(name: str, window: Window) -> None:
    """Prints what a contender took."""
    kept = f", zoom kept in {window.kept} of {window.refreshes}" if name.endswith("zoomed") else ""
    print(
        f"{name:17} {window.bytes / window.refreshes / 1000:7.1f} kB a refresh, server {100 * window.server_s / window.wall_s:.1f} %, "
        f"browser {100 * window.browser_s / window.wall_s:.1f} % of a core{kept}",
        flush=True,
    )


def log_to_pixel(page: Page, rows: int) -> list[float]:
    """Seconds from each call of `log` to the first frame of the browser that shows its row, on the Run page of a live run."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.from_environment({}, home=Path(folder))
        settings.make_home()
        store = open_store(settings.store)
        environ = {**os.environ, "RUNVITALS_HOME": folder, "RUNVITALS_STORE": settings.store}
        watcher = subprocess.Popen([sys.executable, "-m", "runvitals", "watch"], env=environ, stdout=subprocess.DEVNULL)
        run = Run(settings.journals, "pixels", options=Options(sample=False))
        try:
            with served(settings) as (address, _):
                return seen(page, f"{address}/run?run={run.id}", (run, store), rows)
        finally:
            run.finish()
            end([watcher])
            store.close()


def seen(page: Page, url: str, logged: tuple[Run, Store], rows: int) -> list[float]:
    """The delays of all rows that were drawn; a row that a later one of the same refresh hides was drawn with it."""
    run, store = logged
    values = {"loss": 1.0, "grad_norm": 1.0, "learning_rate": 1e-4}
    for step in range(1, 30):
        run.log(values, step=step)
    while not store.runs(ids=[run.id]) or (store.run(run.id).last_step or 0) < 29:
        time.sleep(0.05)
    page.goto(url)
    page.locator(f"{PLOTS['ours']} .xtick").first.wait_for(state="attached", timeout=120_000)
    page.evaluate(OBSERVE, [PLOTS["ours"], False])
    page.wait_for_timeout(3000)
    rng = random.Random(7)
    told_s = {}
    for step in range(100, 100 + rows):
        told_s[step] = time.time()
        run.log(values, step=step)
        page.wait_for_timeout(rng.uniform(200, 900))
    page.wait_for_timeout(5000)
    drawn = sorted((int(float(step)), at_s) for step, at_s in page.evaluate("window.drawn").items())
    return [next(at_s for newest, at_s in drawn if newest >= step) - at for step, at in told_s.items()]


if __name__ == "__main__":
    main()
