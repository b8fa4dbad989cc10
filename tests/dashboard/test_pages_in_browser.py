"""Runs and Alerts in real Chromium: rows stay in place, what people do is kept. Hostile texts: test_hostile_pages.py."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from runvitals.store import Store
from runvitals.store.types import Batch, EventRow

APP = Path(__file__).parent.parent.parent / "dashboard" / "app.py"
HOSTILE = (
    "<img src=x onerror=window.hurt=1>",
    "![](http://tracker.example/x.png)",
    "$x^2$",
    ":material/skull: :red[b]",
)

# A cold browser and a cold server on a busy machine.
expect.set_options(timeout=30_000)

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def address(store: Store, sample: ModuleType, beating: None) -> Iterator[str]:
    """The app served on the test's home, with the sample runs, runs of hostile names and a watcher's sign of life."""
    now_s = time.time()
    hostile = tuple(
        sample.Sample(name=name, trainer="dpo", kind="clean", step=30, max_steps=60, age_s=1, finding=name)
        for name in HOSTILE
    )
    sample.fill(store, now_s=now_s, samples=(*sample.SAMPLES, *hostile))
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(APP), "--server.port", str(port)]
    process = subprocess.Popen(command, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_until_ready(f"http://127.0.0.1:{port}/_stcore/health")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait_until_ready(url: str) -> None:
    until_s = time.monotonic() + 60
    while time.monotonic() < until_s:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise AssertionError("the app did not start within 60 s")


@pytest.fixture
def page(chromium_path: str) -> Iterator[Page]:
    """A page of a fresh browser that reaches nothing but this machine."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox", "--disable-gpu"])
        opened = browser.new_page(viewport={"width": 1440, "height": 1000})
        yield opened
        browser.close()


def test_a_refresh_keeps_rows_selection_and_typing(address: str, page: Page) -> None:
    page.goto(address)
    expect(page.locator("tr.run")).to_have_count(16)
    first = page.locator("tr.run").first.element_handle()
    page.locator(".pick").nth(0).check()
    page.locator(".pick").nth(1).check()
    updated = page.locator(".updated").inner_text()
    expect(page.locator(".updated")).not_to_have_text(updated, timeout=10_000)
    assert first is not None
    assert first.evaluate("node => node.isConnected")
    expect(page.get_by_role("button", name="Compare 2")).to_be_enabled()
    page.get_by_label("Search").fill("trainer:ppo")
    expect(page.locator("tr.run")).to_have_count(2)
    assert "q=trainer%3Appo" in page.url


def test_back_from_a_run_leads_to_the_table(address: str, page: Page) -> None:
    page.goto(address)
    page.locator("tr.run a").first.click()
    page.wait_for_url("**/run?run=*")
    page.go_back()
    expect(page.locator("tr.run")).to_have_count(16)


def test_runs_has_an_address_like_the_other_pages(address: str, page: Page) -> None:
    page.goto(f"{address}/runs?q=trainer:ppo")
    expect(page.locator("tr.run")).to_have_count(2)
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page).to_have_url(f"{address}/runs?q=trainer:ppo")
    expect(page.get_by_role("link", name="Runs", exact=True)).to_have_attribute("aria-current", "page")
    page.locator("tr.run a").first.click()
    page.wait_for_url("**/run?run=*")
    page.go_back()
    expect(page.locator("tr.run").first).to_be_visible()
    expect(page.get_by_role("link", name="Runs", exact=True)).to_have_count(1)


def test_an_acknowledgement_is_kept_and_counted(address: str, page: Page, store: Store) -> None:
    page.goto(f"{address}/alerts")
    expect(page.get_by_role("button", name="Open 6")).to_be_visible()
    page.get_by_role("button", name="Acknowledge", exact=True).first.click()
    page.get_by_label("Note").fill("seen")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Open 5")).to_be_visible()
    expect(page).to_have_title("◆ 5 · runvitals")
    assert "seen" in {alert.acknowledged_note for alert in store.alerts()}


def test_when_the_server_is_gone_values_turn_stale(address: str, page: Page) -> None:
    page.goto(address)
    expect(page.locator("tr.run")).to_have_count(16)
    page.context.set_offline(True)
    expect(page.locator(".notice").filter(has_text="Stale")).to_be_visible(timeout=20_000)
    expect(page.locator("tr.run")).to_have_count(16)


def test_completions_are_read_step_by_step_as_plain_text(address: str, page: Page, store: Store) -> None:
    run = next(run for run in store.runs() if run.name == "dpo-7b-uf-b01")
    said = {0: "a first answer", 40: HOSTILE[0], 90: "line one\nline two " + HOSTILE[1]}
    for number, (step, text) in enumerate(said.items()):
        rows = [{"prompt": HOSTILE[2], "chosen": "good", "rejected": HOSTILE[3], "completion": text}]
        _tell(store, run.id, number, step, {"source": "held-out", "rows": rows})
    page.goto(f"{address}/run?run={run.id}")
    table = page.locator("table.completions")
    expect(table.locator("th").last).to_have_text("Policy, step 90")
    assert table.locator(".completions-text").last.inner_text() == said[90]
    assert table.locator("td").all_inner_texts()[:4] == [HOSTILE[2], "good", HOSTILE[3], said[0]]
    page.get_by_role("button", name="Earlier").click()
    expect(table.locator("th").last).to_have_text("Policy, step 40")
    assert table.locator(".completions-text").last.inner_text() == HOSTILE[0]
    _tell(store, run.id, 3, 120, {"source": "held-out", "rows": [{"prompt": HOSTILE[2], "completion": "newer"}]})
    expect(page.locator(".completions-step")).to_contain_text("2 of 4")  # a reader's place is kept while more comes
    expect(table.locator("th").last).to_have_text("Policy, step 40")
    page.get_by_role("button", name="Newest").click()
    expect(table.locator(".completions-text").last).to_have_text("newer")
    assert page.evaluate("window.hurt") is None


def _tell(store: Store, run_id: str, number: int, step: int, data: dict[str, Any]) -> None:
    """One completions event, as ingest of another rank of the run stores it."""
    writer, seq = "teller", number + 1
    start = {"project": "sample", "name": run_id, "config": {}, "info": {}, "time_s": time.time(), "resumed": False}
    event = EventRow(
        run_id=run_id, writer_id=writer, seq=seq, time_s=time.time(), step=step, kind="completions", data=data
    )
    store.append(
        Batch(
            run_id=run_id, writer_id=writer, first_seq=seq, last_seq=seq, position={"byte": seq}, events=[event],
            start=start if number == 0 else None,
        )
    )  # fmt: skip
