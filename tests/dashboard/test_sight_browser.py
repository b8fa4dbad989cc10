"""Charts off the screen cost nothing, in a real browser: their points do not travel, and scrolled to they show the newest rows."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from runvitals.store import Store
from runvitals.store.types import Batch, SeriesPoints

sync_api = pytest.importorskip("playwright.sync_api")

pytestmark = [pytest.mark.browser, pytest.mark.slow]
KEYS = ("loss", *(f"extra/{number:02}" for number in range(24)))
FIRST, LAST = "extra/00", "extra/23"


def log(store: Store, first: int, count: int) -> None:
    steps = np.arange(first, first + count, dtype=np.int64)
    times = time.time() - 1000 + steps.astype(float)
    series = {key: SeriesPoints(steps=steps, times_s=times, values=steps.astype(float)) for key in KEYS}
    start = {"project": "p", "name": "n", "config": {}, "info": {}, "time_s": time.time() - 1000, "resumed": False}
    batch = {"writer_id": f"w{first}", "first_seq": 0, "last_seq": count, "position": {}, "rows": count}
    store.append(Batch(run_id="r", series=series, start=start, **batch))
    store.set_run("r", last_step=int(steps[-1]), last_step_s=float(times[-1]), status="running")


@pytest.fixture
def page(store: Store, running_app: str, chromium_path: str) -> Iterator[sync_api.Page]:
    log(store, 0, 100)
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox", "--disable-gpu"])
        opened = chromium.new_page(viewport={"width": 1440, "height": 900})
        opened.goto(f"{running_app}/run?run=r&open=others&smooth=off")
        opened.locator("[data-chart=loss] .xtick").first.wait_for(state="attached", timeout=60_000)
        yield opened
        chromium.close()


def wait_until(page: sync_api.Page, condition: Callable[[], bool]) -> None:
    for _ in range(300):
        if condition():
            return
        page.wait_for_timeout(100)
    raise AssertionError("did not happen within 30 s")


def chart(page: sync_api.Page, key: str) -> sync_api.Locator:
    return page.locator("figure.chart").filter(has=page.get_by_text(key, exact=True))


def told(page: sync_api.Page) -> Callable[[], set[str]]:
    """The series whose points the browser has received from now on."""
    found: set[str] = set()
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")

    def received(event: dict[str, dict[str, str]]) -> None:
        text = base64.b64decode(event["response"]["payloadData"] + "==")
        found.update(key.decode() for key in re.findall(rb'"([^"]+)": ?\{"(?:from|step|grid|mean)"', text))

    session.on("Network.webSocketFrameReceived", received)
    return lambda: found


def test_points_of_a_chart_off_the_screen_travel_when_it_is_scrolled_to(page: sync_api.Page, store: Store) -> None:
    heard = told(page)
    assert page.locator("figure.chart").count() == len(KEYS)
    height = chart(page, LAST).bounding_box()["height"]
    for first in (100, 105):
        log(store, first, 5)
        newest = str(first + 4)
        wait_until(page, lambda newest=newest: newest in chart(page, "Loss").locator(".key").inner_text())
    assert "loss" in heard() and LAST not in heard()

    chart(page, LAST).scroll_into_view_if_needed()
    wait_until(page, lambda: "109" in chart(page, LAST).locator(".key").inner_text())
    chart(page, LAST).locator(".xtick").first.wait_for(state="attached")
    assert chart(page, LAST).bounding_box()["height"] == height, "its place was of its final height"
    # What has left the sight is told of after a while; then it is not sent any more.
    reads = chart(page, LAST).locator(".key")
    log(store, 110, 5)
    wait_until(page, lambda: "114" in reads.inner_text())
    heard().clear()
    log(store, 115, 5)
    wait_until(page, lambda: "119" in reads.inner_text())
    assert LAST in heard() and FIRST not in heard()

    chart(page, FIRST).scroll_into_view_if_needed()
    wait_until(page, lambda: "119" in chart(page, FIRST).locator(".key").inner_text())


def test_a_chart_scrolled_away_from_is_saved_with_its_newest_points(page: sync_api.Page, store: Store) -> None:
    chart(page, FIRST).scroll_into_view_if_needed()
    wait_until(page, lambda: "99" in chart(page, FIRST).locator(".key").inner_text())
    chart(page, FIRST).hover()
    chart(page, FIRST).locator(".chart-menu-button").click()
    entry = chart(page, FIRST).get_by_role("menuitem", name="SVG")
    heard = told(page)
    chart(page, LAST).scroll_into_view_if_needed()
    wait_until(page, lambda: LAST in heard())
    heard().clear()
    log(store, 100, 8)
    wait_until(page, lambda: "107" in chart(page, LAST).locator(".key").inner_text())
    assert FIRST not in heard()
    with page.expect_download(timeout=30_000) as coming:
        entry.evaluate("node => node.click()")
    assert "107" in coming.value.path().read_text()
