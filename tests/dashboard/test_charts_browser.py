"""The live charts in a real browser: points arrive without a remount, zoom and legend stay, nothing of a run is markup."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import pytest

from runvitals.store import Store
from runvitals.store.types import Batch, SeriesPoints

sync_api = pytest.importorskip("playwright.sync_api")

ROOT = Path(__file__).parent.parent.parent
HOSTILE = "<img src=x onerror=window.pwned=1><b>bold</b>"
pytestmark = [pytest.mark.browser, pytest.mark.slow]


def log(store: Store, first: int, count: int) -> None:
    steps = np.arange(first, first + count, dtype=np.int64)
    times = time.time() - 1000 + steps.astype(float)
    curves = {"loss": 1 / (1 + steps), "grad_norm": 1 + 0.1 * np.sin(steps), "rewards/margins": steps / 1000}
    series = {
        key: SeriesPoints(steps=steps, times_s=times, values=values.astype(float)) for key, values in curves.items()
    }
    start = {"project": "p", "name": HOSTILE, "config": {}, "info": {}, "time_s": time.time() - 1000, "resumed": False}
    store.append(
        Batch(
            run_id="r",
            writer_id=f"w{first}",
            first_seq=0,
            last_seq=count,
            position={},
            series=series,
            start=start,
            rows=count,
        )
    )
    store.set_run("r", last_step=int(steps[-1]), last_step_s=float(times[-1]), trainer="dpo", status="running")


@pytest.fixture
def server(store: Store, beating: None) -> Iterator[str]:
    """The address of the app on a store with one run, started as a user would."""
    log(store, 0, 200)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "dashboard" / "app.py"), "--server.port", str(port)]
    process = subprocess.Popen(command, env=dict(os.environ), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        waited_until = time.monotonic() + 60
        while not _answers(address):
            assert time.monotonic() < waited_until, "the app did not start"
            time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=20)


def _answers(address: str) -> bool:
    try:
        with urlopen(f"{address}/_stcore/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


@pytest.fixture
def page(server: str, chromium_path: str) -> Iterator[sync_api.Page]:
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox", "--disable-gpu"])
        opened = chromium.new_page(viewport={"width": 1440, "height": 1100})
        opened.goto(f"{server}/run?run=r")
        opened.locator("[data-chart=loss] .xtick").first.wait_for(state="attached", timeout=60_000)
        yield opened
        chromium.close()


def counts(page: sync_api.Page) -> dict[str, int]:
    """How often the component was mounted, told something and drawn."""
    data = page.locator(".rv.page").evaluate("root => ({...root.dataset})")
    return {name: int(value) for name, value in data.items() if value.isdigit()}


def ticks(page: sync_api.Page, chart: str) -> list[str | None]:
    return list(page.locator(f"[data-chart={chart}] .xtick text").all_text_contents())


def wait_until(page: sync_api.Page, condition: Callable[[], bool]) -> None:
    for _ in range(300):
        if condition():
            return
        page.wait_for_timeout(100)
    raise AssertionError("did not happen within 30 s")


def drag(page: sync_api.Page, chart: str, start: float, stop: float) -> None:
    box = page.locator(f"[data-chart={chart}] .surface").bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + start * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + stop * box["width"], middle, steps=4)
    page.mouse.up()


def test_live_points_zoom_legend_and_hostile_names(page: sync_api.Page, store: Store) -> None:
    assert page.locator(".run-name").inner_text().endswith(HOSTILE)
    assert page.evaluate("window.pwned") is None

    before = counts(page)
    whole = ticks(page, "loss")
    drag(page, "loss", 0.2, 0.5)
    wait_until(page, lambda: ticks(page, "loss") != whole)
    zoomed = ticks(page, "loss")
    assert ticks(page, "grad_norm") == zoomed, "a drag zooms all charts"
    page.locator("[data-chart=reward_margin] .key button").first.click()

    drawn = page.locator("[data-chart=loss] .key").inner_text()
    for first in (200, 300, 400):
        told = counts(page)["messages"]
        log(store, first, 100)
        wait_until(page, lambda told=told: counts(page)["messages"] > told + 1)
    assert ticks(page, "loss") == zoomed, "zoom outlives refreshes"
    assert page.locator("[data-chart=reward_margin] .key .off").count() == 1, "so does a hidden series"
    after = counts(page)
    assert after["mounts"] == before["mounts"]
    assert after["messages"] >= before["messages"] + 3

    page.locator("[data-chart=loss] .surface").dblclick()
    wait_until(page, lambda: "400" in ticks(page, "loss"))
    assert page.locator("[data-chart=loss] .key").inner_text() != drawn, "new points arrived without a reload"

    page.locator("[data-chart=loss] .surface").hover()
    assert page.locator(".hover:visible").count() == 2, "one box for each chart that shows a series"
    page.get_by_role("button", name="Time", exact=True).click()
    wait_until(page, lambda: all(":" in (text or "") for text in ticks(page, "loss")))


def boxes(page: sync_api.Page) -> dict[str, list[int]]:
    """Where every chart, fact and section stands."""
    found = page.locator("figure.chart, .fact, .section").evaluate_all("""nodes => nodes.map((node, at) => {
      const { x, y, width, height } = node.getBoundingClientRect();
      return [`${at} ${node.dataset.chart ?? node.className}`, [x, y, width, height].map(Math.round)];
    })""")
    return dict(found)


def test_no_chart_moves_over_five_refreshes_of_a_live_run(page: sync_api.Page, store: Store) -> None:
    before = boxes(page)
    assert len(before) > 8
    for tick in range(5):
        seen = counts(page)["messages"]
        log(store, 200 + 50 * tick, 50)
        wait_until(page, lambda seen=seen: counts(page)["messages"] > seen)
        assert boxes(page) == before


def strokes(page: sync_api.Page) -> int:
    return page.locator("[data-chart=loss] .scatterlayer path.js-line").count()


def test_superseded_steps_are_drawn_behind_and_can_be_hidden(page: sync_api.Page, store: Store) -> None:
    key = page.locator("[data-chart=loss] .key-entry", has_text="superseded")
    assert key.count() == 0
    before = strokes(page)
    log(store, 150, 100)  # another process, from a checkpoint at step 150
    key.wait_for(timeout=30_000)
    wait_until(page, lambda: strokes(page) == before + 1)
    key.click()
    wait_until(page, lambda: strokes(page) == before)
    assert key.get_attribute("aria-pressed") == "false"


def focused(page: sync_api.Page) -> dict[str, Any]:
    return dict(
        page.evaluate("""() => {
      let node = document.activeElement;
      while (node?.shadowRoot?.activeElement) node = node.shadowRoot.activeElement;
      const ring = getComputedStyle(node);
      return { chart: node.dataset.chart ?? '', text: node.textContent.trim(), ring: ring.outlineStyle };
    }""")
    )


def test_tab_reaches_controls_and_charts_and_the_ring_is_seen(page: sync_api.Page) -> None:
    page.get_by_role("button", name="Whole run").focus()
    reached = []
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.append(focused(page))
    words = {one["text"] for one in reached}
    assert {"Last 50 steps", "Follow", "Step", "Time", "Compare"} <= words
    assert {"loss", "grad_norm", "reward_margin"} <= {one["chart"] for one in reached}
    assert all(one["ring"] == "solid" for one in reached if one["chart"] or one["text"] in ("Follow", "Time"))


def test_an_unknown_run_leads_back_to_the_table(page: sync_api.Page, server: str) -> None:
    page.goto(f"{server}/run?run=nobody")
    page.locator(".notice").filter(has_text="No such run").wait_for(timeout=30_000)
    page.get_by_role("link", name="Open Runs").click()
    page.locator("tr.run").first.wait_for(timeout=30_000)


def test_deep_links_at_the_root_lead_to_their_pages(page: sync_api.Page, server: str) -> None:
    for query, landed in (("run=r", "/run?run=r"), ("compare=r", "/compare?compare=r"), ("alert=x", "/alerts?alert=x")):
        page.goto(f"{server}/?{query}")
        page.wait_for_url(f"**{landed}", timeout=30_000)
        assert not page.get_by_text("Traceback").count()
