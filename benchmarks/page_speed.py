"""How fast pages open in a real browser: python benchmarks/page_speed.py [runs] [run] [compare] [--rounds 7] [--home FOLDER].

    runs     the Runs page with 1,000 runs, one in ten with a firing alert
    run      the Run page of 1,000,000 steps against one of 10,000, both of 40 series, in turns
    compare  the Compare page of 50 runs of 2,000 steps x 12 series

Chromium and server are warm: each page is opened once before it counts, scripts come from the browser's cache, every opening is a
session of its own. Wall time from the order to go there until what the first screen shows is drawn (all rows of it, the curves
of every chart on it); beside it the processor time of server and browser together, which other work on the machine does not
swell. A home given by --home is filled at first and used again; without it a folder is filled and removed.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from page_server import DPO_KEYS, FLAGS, browser_path, served, write_run
from playwright.sync_api import Page, sync_playwright

from runvitals.settings import Settings
from runvitals.store import Store, open_store

FORTY = (*DPO_KEYS, *(f"custom/{number}" for number in range(40 - len(DPO_KEYS))))
LONG, SHORT = 1_000_000, 10_000
COMPARED = 50
POLL_MS = 20
LONGEST_S = 60.0

CHARTS_DRAWN = """figures => {
  const seen = figures.filter(figure => { const box = figure.getBoundingClientRect(); return box.top < innerHeight && box.height; });
  return seen.length > 0 && seen.every(figure => (figure.querySelector(".plot")?.data ?? []).length > 0);
}"""
"""True where each chart on the first screen has its curves."""


def fill_runs(store: Store) -> None:
    """1,000 ended runs."""
    from runs_page import fill

    fill(store, 1000)


def fill_run(store: Store) -> None:
    """One long run and a short one."""
    for run_id, steps in (("short", SHORT), ("long", LONG)):
        write_run(store, run_id, steps=steps, keys=FORTY)


def fill_compare(store: Store) -> None:
    """Fifty runs of a sweep."""
    for number in range(COMPARED):
        config: dict[str, object] = {"learning_rate": 1e-6 * (1 + number % 10), "seed": number // 10}
        write_run(store, f"sweep-{number:02d}", steps=2000, config=config, seed=number)


def rows_drawn(page: Page) -> bool:
    """True where the table stands."""
    return page.locator("tr.run").count() > 0


def charts_drawn(page: Page) -> bool:
    """True where the charts of the first screen have their curves."""
    return bool(page.locator("figure.chart").evaluate_all(CHARTS_DRAWN))


Plan = tuple[Callable[[Store], None], dict[str, str], Callable[[Page], bool]]
PLANS: dict[str, Plan] = {
    "runs": (fill_runs, {"1,000 runs": ""}, rows_drawn),
    "run": (fill_run, {"10,000 steps": "run?run=short", "1,000,000 steps": "run?run=long"}, charts_drawn),
    "compare": (
        fill_compare,
        {"50 runs": "compare?compare=" + ",".join(f"sweep-{number:02d}" for number in range(COMPARED))},
        charts_drawn,
    ),
}


def main() -> None:
    """Fills a store for each page asked for, opens it, and prints medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", metavar="PAGE", help="runs, run, compare (default: all three)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--home", type=Path)
    options = parser.parse_args()
    for name in options.pages or PLANS:
        with tempfile.TemporaryDirectory() as folder:
            home = (options.home or Path(folder)) / name
            measure(name, home, rounds=options.rounds)


def measure(name: str, home: Path, *, rounds: int) -> None:
    """Prints what one page's openings took."""
    fill, paths, ready = PLANS[name]
    settings = Settings.from_environment({}, home=home)
    settings.make_home()
    store = open_store(settings.store)
    if not store.runs():
        fill(store)
    store.close()
    with served(settings) as (address, server), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=list(FLAGS))
        context = browser.new_context(viewport={"width": 1440, "height": 1000})
        found: dict[str, list[tuple[float, float]]] = {label: [] for label in paths}
        for turn in range(1 + rounds):
            for label, path in paths.items():
                took = opened(context.new_page(), f"{address}/{path}", ready, server)
                if turn:
                    found[label].append(took)
        browser.close()
    tell(name, found)


def opened(page: Page, url: str, ready: Callable[[Page], bool], server: psutil.Process) -> tuple[float, float]:
    """Wall and processor seconds until the page is ready; closes it."""
    before_cpu_s, before_s = cpu_s(server), time.perf_counter()
    page.goto(url, wait_until="commit")
    while not ready(page):
        if time.perf_counter() - before_s > LONGEST_S:
            raise SystemExit(f"{url}: nothing was drawn within {LONGEST_S:.0f} s")
        page.wait_for_timeout(POLL_MS)
    took_s = time.perf_counter() - before_s
    # By process: one of an earlier page may end in between, and take its seconds out of the sum.
    took_cpu_s = sum(spent_s - before_cpu_s.get(pid, 0.0) for pid, spent_s in cpu_s(server).items())
    page.close()
    return took_s, took_cpu_s


def cpu_s(server: psutil.Process) -> dict[int, float]:
    """Processor seconds so far of the server and of every process of the browser, by process."""
    spent = {}
    for process in (server, *server.children(recursive=True), *psutil.Process().children(recursive=True)):
        try:
            times: Any = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        spent[process.pid] = times.user + times.system
    return spent


def tell(name: str, found: dict[str, list[tuple[float, float]]]) -> None:
    """Prints medians, the slowest, and ratios against the first."""
    base = [statistics.median(column) for column in zip(*next(iter(found.values())), strict=True)]
    for label, took in found.items():
        wall_s, spent_s = (statistics.median(column) for column in zip(*took, strict=True))
        ratio = f"; {wall_s / base[0]:.2f} x by the clock, {spent_s / base[1]:.2f} x" if len(found) > 1 else ""
        slowest_s = max(wall for wall, _ in took)
        print(
            f"{name:8} {label:16} {wall_s:.2f} s, slowest {slowest_s:.2f} s; processor {spent_s:.2f} s{ratio} ({len(took)} rounds)",
            flush=True,
        )


if __name__ == "__main__":
    main()
