"""Compare in real Chromium: a dozen runs, groups, the address, views, keys, and hostile names and settings."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from runvitals.store import Store
from runvitals.store.types import Batch, SeriesPoints

HOSTILE = "<img src=x onerror=window.hurt=1> ![](http://tracker.example/x.png) $x^2$"

# A cold browser and a cold server on a busy machine.
expect.set_options(timeout=60_000)

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def ids(store: Store, sample: ModuleType) -> str:
    """Twelve ended runs, four seeds of three settings, one of them of a hostile name and setting."""
    samples = tuple(
        sample.Sample(
            name=HOSTILE if number == 1 else f"run-{number}", trainer="dpo", kind="clean", step=60, max_steps=60, age_s=1_000,
            status="finished", probe=1.0 + number,
            config={"learning_rate": 10.0 ** -(1 + number % 3), "seed": number, "note": HOSTILE if number == 1 else "plain"},
        )
        for number in range(12)
    )  # fmt: skip
    sample.fill(store, now_s=time.time(), samples=samples)
    by_name = {run.name: run.id for run in store.runs()}
    return ",".join(by_name[one.name] for one in samples)


@pytest.fixture
def page(chromium_path: str) -> Iterator[Page]:
    """A page of a fresh browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox", "--disable-gpu"])
        opened = browser.new_page(viewport={"width": 1440, "height": 1200})
        opened.set_default_timeout(60_000)
        yield opened
        browser.close()


OWN = "reward/<b>format</b>"


def logged_too(store: Store, run_id: str, value: float) -> None:
    """One more signal of the run, of its own."""
    steps = np.arange(1, 61, dtype=np.int64)
    points = SeriesPoints(steps=steps, times_s=1e9 + steps, values=np.full(60, value))
    store.append(
        Batch(run_id=run_id, writer_id="own", first_seq=0, last_seq=60, position={}, series={OWN: points}, rows=60)
    )


def test_a_signal_of_ones_own_is_found_pinned_and_there_again_after_run_and_back(
    ids: str, store: Store, beating: None, serve: Callable[..., Any], page: Page
) -> None:
    two = ids.split(",")[2:4]
    for number, run_id in enumerate(two):
        logged_too(store, run_id, 1.0 + number)
    address, _ = serve()
    page.goto(f"{address}/compare?compare={','.join(two)}")
    expect(page.locator(".run-chip")).to_have_count(2)

    # By keys alone: to the search, find, pin, and out again.
    page.keyboard.press("/")
    expect(page.locator(".signal-input")).to_be_focused()
    page.keyboard.type("format rew")
    expect(page.locator(".signal-row")).to_have_count(1)
    expect(page.locator(".signal-row")).to_contain_text("all runs")
    page.keyboard.press("Enter")
    page.wait_for_url("**pin=key*")
    page.keyboard.press("Escape")
    expect(page.locator(".signal-list")).to_be_hidden()
    pinned = page.locator(f'figure[data-chart="pin:key:{OWN}"]')
    expect(pinned.locator(".chart-words b")).to_have_text(OWN)
    expect(pinned.locator(".key-entry b")).to_have_text(["1.00", "2.00"])
    expect(pinned.get_by_role("button", name="run-2 1.00")).to_be_visible()
    row = page.locator(".against-table tbody tr", has_text=OWN)
    expect(row).to_contain_text("+1.00")

    # Who types and presses Enter at once gets what was typed.
    page.keyboard.type("format")
    page.keyboard.press("Enter")
    expect(pinned).to_have_count(0)
    page.keyboard.press("Enter")
    expect(pinned).to_have_count(1)
    page.keyboard.press("Escape")

    # A chip hides its run on all charts; another baseline keeps the focus on its run.
    page.get_by_role("button", name="run-3 on all charts").click()
    expect(page.locator('figure[data-chart="loss"] .key-entry.off')).to_have_count(1)
    expect(page.locator('figure[data-chart="margin"] .key-entry.off')).to_have_count(1)
    page.get_by_role("button", name="Make run-3 the baseline").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".run-chip-name").first).to_have_text("run-3")
    expect(page.get_by_role("button", name="run-3 on all charts")).to_be_focused()
    expect(page.locator(".key-entry.off")).to_have_count(0)

    # To a run and Back: runs, pin, what is hidden and how far it was scrolled.
    page.get_by_role("button", name="run-2 on all charts").click()
    expect(page.locator(".hidden-run")).to_have_count(1)
    page.get_by_test_id("stMain").evaluate("pane => pane.scrollTo(0, 300)")
    page.wait_for_function("history.state?.runvitals?.scroll === 300")
    page.locator(".run-chip-name").last.evaluate("link => link.click()")
    page.wait_for_url("**/run?run=*")
    expect(page.locator(".facts")).to_be_visible()
    page.go_back()
    page.wait_for_url("**/compare?compare=*pin=*")
    expect(page.locator(".hidden-run .run-chip-name")).to_have_text("run-2")
    expect(pinned).to_have_count(1)
    page.wait_for_function("pane => pane.scrollTop === 300", arg=page.get_by_test_id("stMain").element_handle())
    page.go_forward()
    page.wait_for_url("**/run?run=*")

    assert page.evaluate("window.hurt") is None


def test_a_comparison_is_grouped_kept_in_its_address_saved_and_walked_by_keys(
    ids: str, beating: None, serve: Callable[..., Any], page: Page
) -> None:
    address, _ = serve()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}/compare?compare={ids}")

    # Six in colour, the other six one thin grey trace.
    expect(page.locator(".run-chip")).to_have_count(6)
    expect(page.locator(".more-runs")).to_contain_text("6 more")
    expect(page.locator('figure[data-chart="loss"] .main-svg').first).to_be_attached()
    page.wait_for_function(
        "plot => new Set(plot.data.map(one => one.line?.color).filter(color => color?.startsWith('#'))).size === 6",
        arg=page.locator('figure[data-chart="loss"] .plot').element_handle(),
    )
    expect(page.locator(".against-table.tall tbody tr")).to_have_count(12)

    # A run that is thin becomes one of the six, behind the baseline.
    page.locator(".against-table.tall tbody tr").last.get_by_role("button", name="in colour").click()
    expect(page.locator(".run-chip-name").nth(1)).to_have_text("run-11")
    page.wait_for_url(f"**compare={ids.split(',')[0]}%2C{ids.split(',')[-1]}*")

    # A grey line says whose it is where the pointer is on it.
    page.locator('figure[data-chart="loss"]').scroll_into_view_if_needed()
    at = page.locator('figure[data-chart="loss"] .surface').evaluate("""(surface) => {
      const plot = surface.closest("figure").querySelector(".plot");
      const line = plot.data[0];
      const [low, high] = plot.layout.yaxis.range;
      const [left, right] = plot.layout.xaxis.range;
      const box = surface.getBoundingClientRect();
      return { x: box.left + (box.width * (line.x[30] - left)) / (right - left), y: box.top + box.height * (1 - (line.y[30] - low) / (high - low)) };
    }""")
    page.mouse.move(at["x"], at["y"])
    expect(page.locator('figure[data-chart="loss"] .hover-row.thin')).to_contain_text("run-")

    # Groups, and the address says so.
    page.get_by_label("Group by").select_option("learning_rate")
    expect(page.locator(".run-chip")).to_have_count(3)
    expect(page.locator(".run-chip").first).to_contain_text("n 4")
    # A chart off the screen is not drawn, and the click on the table's last row has scrolled the page.
    page.locator('figure[data-chart="margin"]').scroll_into_view_if_needed()
    expect(page.locator('figure[data-chart="margin"] .key')).to_contain_text("n 4")
    page.wait_for_url("**group=learning_rate*")
    page.get_by_label("Group by, setting 2").select_option("note")
    expect(page.locator(".run-chip")).to_have_count(4)
    page.wait_for_url("**group=learning_rate%2Cnote*")
    page.get_by_label("Group by, setting 2").select_option("")
    expect(page.locator(".run-chip")).to_have_count(3)
    page.get_by_role("button", name="Share of run").click()
    expect(page.get_by_role("button", name="Share of run")).to_have_attribute("aria-pressed", "true")
    page.wait_for_function("location.search.includes('x=share')")

    # The same address shows the same page; a view keeps it.
    page.reload()
    expect(page.locator(".run-chip")).to_have_count(3)
    page.locator("details.views summary").click()
    page.get_by_label("Name of this view").fill(HOSTILE[:60])
    page.keyboard.press("Enter")
    link = page.locator("details.views a")
    expect(link).to_have_text(HOSTILE[:60])
    assert "group=learning_rate" in str(link.get_attribute("href"))

    # Arrow keys pick runs out of the outcome, in its order.
    plot = page.locator("svg.outcome").first
    plot.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".outcome-read")).to_contain_text("run-0")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".outcome-read")).to_contain_text(HOSTILE)

    assert page.evaluate("window.hurt") is None
    assert [url for url in asked if "127.0.0.1" not in url and not url.startswith("data:")] == []
