"""The live charts in a real browser: points arrive without a remount, zoom and legend stay, nothing of a run is markup."""

from __future__ import annotations

import csv
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
from xml.etree import ElementTree

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


LONG = 20_000
SPIKE = 12_345
NAN = 15_000


def log_long(store: Store) -> None:
    """A finished run of 20,000 steps with one spike, one NaN and a learning rate that drops once."""
    steps = np.arange(LONG, dtype=np.int64)
    times = time.time() - LONG + steps.astype(float)
    loss = 1 + 0.1 * np.sin(steps)
    loss[SPIKE], loss[NAN] = 40.0, np.nan
    curves = {"loss": loss, "learning_rate": np.where(steps < LONG / 2, 1e-3, 1e-4), "num_tokens": 1000.0 * steps}
    series = {key: SeriesPoints(steps=steps, times_s=times, values=values) for key, values in curves.items()}
    start = {"project": "p", "name": HOSTILE, "config": {}, "info": {}, "time_s": times[0], "resumed": False}
    store.append(
        Batch(
            run_id="long",
            writer_id="l",
            first_seq=0,
            last_seq=LONG,
            position={},
            series=series,
            start=start,
            rows=LONG,
        )
    )
    store.set_run("long", last_step=LONG - 1, last_step_s=float(times[-1]), trainer="sft", status="finished")


@pytest.fixture
def server(store: Store, beating: None) -> Iterator[str]:
    """The address of the app on a store with two runs, started as a user would."""
    log(store, 0, 200)
    log_long(store)
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
        visit(opened, f"{server}/run?run=r")
        yield opened
        chromium.close()


def visit(page: sync_api.Page, address: str) -> None:
    page.goto(address)
    page.locator("[data-chart=loss] .xtick").first.wait_for(state="attached", timeout=60_000)


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
    wait_until(page, lambda: ticks(page, "grad_norm") == zoomed)  # a drag zooms all charts
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
    # New points arrived without a reload.
    wait_until(page, lambda: page.locator("[data-chart=loss] .key").inner_text() != drawn)

    page.locator("[data-chart=loss] .surface").hover()
    sync_api.expect(page.locator(".hover:visible")).to_have_count(2)  # one box for each chart that shows a series
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
    sync_api.expect(key).to_have_attribute("aria-pressed", "false")


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


def key_of(page: sync_api.Page, chart: str) -> str:
    """The key as one line: its entries are flex items, which `inner_text` puts on lines of their own."""
    return " ".join(page.locator(f"[data-chart={chart}] .key").inner_text().split())


def marks(page: sync_api.Page, chart: str) -> int:
    """Markers on a chart's curves: dots of single points, carets and crosses at its edges."""
    return page.locator(f"[data-chart={chart}] .scatterlayer path.point").count()


def test_zooming_reads_finer_until_single_points_show(page: sync_api.Page, server: str) -> None:
    visit(page, f"{server}/run?run=long")
    wait_until(page, lambda: "min–max" in key_of(page, "loss"))
    wait_until(page, lambda: marks(page, "learning_rate") == 1)  # where the learning rate dropped
    left, right = 0.0, 1.02 * LONG
    while right - left > 60:
        width = (right - left) / 8
        share = (SPIKE - left) / (right - left)
        before = ticks(page, "loss")
        drag(page, "loss", share - 1 / 16, share + 1 / 16)
        wait_until(page, lambda before=before: ticks(page, "loss") != before)
        left, right = SPIKE - width / 2, SPIKE + width / 2
    wait_until(page, lambda: marks(page, "loss") > 20)
    wait_until(page, lambda: "min–max" not in key_of(page, "loss"))
    wait_until(page, lambda: zoomed(page)[1] - zoomed(page)[0] < 61)  # the address follows what is drawn
    box = page.locator("[data-chart=loss] .surface").bounding_box()
    assert box is not None
    low, high = zoomed(page)
    page.mouse.move(box["x"] + box["width"] * (SPIKE - low) / (high - low), box["y"] + 60)
    hover = page.locator("[data-chart=loss] .hover")
    wait_until(page, lambda: "12\u2009345" in hover.inner_text() and "40.00" in hover.inner_text())

    before = ticks(page, "loss")
    page.keyboard.down("Shift")
    drag(page, "loss", 0.2, 0.8)
    page.keyboard.up("Shift")
    wait_until(page, lambda: ticks(page, "loss") != before)
    assert len(ticks(page, "loss")) > 2
    wait_until(page, lambda: zoomed(page) != [low, high])
    start, stop = zoomed(page)
    assert stop - start == pytest.approx(high - low, abs=0.01), "to pan keeps the width"
    assert stop < SPIKE, "and dragging to the right shows what was to the left"
    visit(page, page.url)
    wait_until(page, lambda: marks(page, "loss") > 20)
    assert ticks(page, "loss") != whole_of(page), "the address holds the zoom"


def zoomed(page: sync_api.Page) -> list[float]:
    """The range in view as the address holds it."""
    return [float(end) for end in page.evaluate("new URLSearchParams(location.search).get('zoom')").split("~")]


def whole_of(page: sync_api.Page) -> list[str | None]:
    """The ticks once all is shown."""
    before = ticks(page, "loss")
    page.locator("[data-chart=loss]").focus()
    page.keyboard.press("0")
    wait_until(page, lambda: ticks(page, "loss") != before)
    return ticks(page, "loss")


def test_outliers_are_clipped_but_told_of_and_a_nan_stays(page: sync_api.Page, server: str) -> None:
    visit(page, f"{server}/run?run=long")
    wait_until(page, lambda: marks(page, "loss") == 2)  # the NaN, and where the learning rate dropped
    edges = marks(page, "loss")
    assert "up to" not in key_of(page, "loss")
    page.get_by_label("Outliers").select_option("Clipped")
    wait_until(page, lambda: "up to 40.0" in key_of(page, "loss"))
    # The spike has a caret; the NaN and the learning rate keep their marks.
    wait_until(page, lambda: marks(page, "loss") == edges + 1)
    page.wait_for_url("**clip=1*")


def test_a_logarithmic_scale_without_anything_above_zero_says_so_and_leads_back(
    page: sync_api.Page, server: str, store: Store
) -> None:
    steps = np.arange(50, dtype=np.int64)
    points = SeriesPoints(steps=steps, times_s=time.time() - 100.0 + steps, values=-1.0 - steps)
    start = {"project": "p", "name": "below", "config": {}, "info": {}, "time_s": time.time() - 100, "resumed": False}
    batch = {"writer_id": "b", "first_seq": 0, "last_seq": 50, "position": {}, "rows": 50}
    store.append(Batch(run_id="below", series={"loss": points}, start=start, **batch))
    page.goto(f"{server}/run?run=below&y=log")
    words = page.locator("[data-chart=loss] .unseen")
    words.wait_for(timeout=30_000)
    assert "above 0" in words.inner_text()
    words.get_by_role("button", name="Linear scale").click()
    page.locator("[data-chart=loss] .ytick text").filter(has_text="−").first.wait_for(timeout=30_000)
    assert words.count() == 0 and "log scale" not in page.locator("[data-chart=loss] .unit").inner_text()


def test_settings_and_a_chart_of_its_own_outlive_a_reload_and_refreshes(page: sync_api.Page, store: Store) -> None:
    page.get_by_label("Smoothing").select_option("Strong")
    wait_until(page, lambda: "EMA, half-life" in key_of(page, "loss"))
    page.locator("[data-chart=grad_norm]").focus()
    for _ in range(9):
        page.keyboard.press("Tab")
        if page.evaluate(FOCUSED) == "⋯":
            break
    page.keyboard.press("Enter")
    menu = page.get_by_role("menu")
    assert page.evaluate(FOCUSED) == "Auto"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    unit = page.locator("[data-chart=grad_norm] .unit")
    wait_until(page, lambda: "log scale" not in unit.inner_text())
    seen = counts(page)["messages"]
    log(store, 200, 50)
    wait_until(page, lambda: counts(page)["messages"] > seen + 1)
    assert menu.is_visible(), "a refresh leaves an open menu alone"
    page.keyboard.press("Escape")
    assert menu.count() == 0 and page.evaluate(FOCUSED) == "⋯"

    page.get_by_label("Other horizontal axis").select_option("Gradient norm")
    wait_until(page, lambda: "against Gradient norm" in page.locator("[data-chart=loss] .unit").inner_text())
    wait_until(page, lambda: any("1." in (text or "") for text in ticks(page, "loss")))
    wait_until(page, lambda: "Gradient" in page.url or "grad_norm" in page.url)
    visit(page, page.url)
    sync_api.expect(page.locator("[data-chart=loss] .unit")).to_contain_text("against Gradient norm")
    wait_until(page, lambda: "EMA" in key_of(page, "loss"))
    assert "log scale" not in unit.inner_text()
    page.get_by_role("button", name="Step", exact=True).click()
    wait_until(page, lambda: "200" in ticks(page, "loss"))


FOCUSED = """() => {
  let node = document.activeElement;
  while (node?.shadowRoot?.activeElement) node = node.shadowRoot.activeElement;
  return node.textContent;
}"""


def saved(page: sync_api.Page, chart: str, kind: str) -> bytes:
    """The file that an entry of a chart's menu brings."""
    page.locator(f"[data-chart={chart}]").hover()
    page.locator(f"[data-chart={chart}] .chart-menu-button").click()
    with page.expect_download(timeout=30_000) as coming:
        page.get_by_role("menuitem", name=kind).click()
    return Path(coming.value.path()).read_bytes()


def test_a_chart_becomes_a_picture_or_its_exact_points(page: sync_api.Page, store: Store) -> None:
    picture = saved(page, "loss", "SVG").decode()
    root = ElementTree.fromstring(picture)
    words = "".join(root.itertext())
    assert "Loss" in words and HOSTILE in words, "a name is text in a file, too"
    assert not root.findall(".//{*}img") and "EMA" not in words
    assert saved(page, "loss", "PNG").startswith(b"\x89PNG")

    rows = list(csv.reader(saved(page, "loss", "CSV").decode().splitlines()))
    exact = store.read("r", "loss").values.tolist()
    assert [float(row[-1]) for row in rows[1:] if row[2] == "loss"] == exact
    assert rows[1][0] == HOSTILE


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
