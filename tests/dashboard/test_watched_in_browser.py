"""What happens to a run while somebody watches it in real Chromium: it finishes; its store goes away and comes back."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from runvitals.errors import StoreError
from runvitals.store import Store, open_store
from runvitals.store.types import Batch, EventRow, SeriesPoints
from tests.postgres_server import postgres_server

PATIENCE_MS = 60_000

Serve = Callable[..., tuple[str, subprocess.Popen[bytes]]]

expect.set_options(timeout=PATIENCE_MS)
pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def page(chromium_path: str) -> Iterator[Page]:
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=chromium_path, args=flags)
        yield browser.new_context(viewport={"width": 1440, "height": 1000}).new_page()
        browser.close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A PostgreSQL server of the test's own, which is the app's store."""
    with postgres_server("runvitals-away-") as found:
        monkeypatch.setenv("RUNVITALS_STORE", found.get_uri())
        yield found


@pytest.fixture
def watching(server: Any, sample: ModuleType) -> Iterator[Store]:
    """The store on the server, with a watcher that waits while the server is away."""
    store = open_store(os.environ["RUNVITALS_STORE"].replace("postgresql://", "postgresql+psycopg://"))
    over = threading.Event()

    def beat() -> None:
        while not over.wait(0.5):
            try:
                sample.beat(store, now_s=time.time())
            except StoreError:
                continue

    sample.beat(store, now_s=time.time())
    thread = threading.Thread(target=beat)
    thread.start()
    yield store
    over.set()
    thread.join()
    store.close()


def log(store: Store, first: int, rows: int, *, finish: bool = False) -> None:
    """Rows of a live run, and its end."""
    now_s = time.time()
    steps = np.arange(first, first + rows, dtype=np.int64)
    times_s = now_s - rows + np.arange(rows)
    last = first + rows
    end = EventRow(
        run_id="r", writer_id="w", seq=last, time_s=now_s, step=last - 1, kind="finish", data={"status": "finished"}
    )
    start = {"project": "p", "name": "watched", "config": {}, "info": {}, "time_s": now_s - rows, "resumed": False}
    store.append(
        Batch(
            run_id="r",
            writer_id="w",
            first_seq=first,
            last_seq=last if finish else last - 1,
            position={},
            series={"loss": SeriesPoints(steps=steps, times_s=times_s, values=1 / (1.0 + steps))},
            events=[end] if finish else [],
            start=start if first == 1 else None,
            rows=rows,
        )
    )
    ended = {"status": "finished", "ended_s": now_s} if finish else {"status": "running"}
    store.set_run("r", last_step=last - 1, last_step_s=now_s, trainer="sft", max_steps=100, health="healthy", **ended)


def opened(page: Page, address: str) -> None:
    page.goto(f"{address}/run?run=r")
    page.locator("[data-chart=loss] .xtick").first.wait_for(state="attached", timeout=PATIENCE_MS)
    page.evaluate("() => { window.neverReloaded = true; }")


def fact(page: Page, label: str) -> Any:
    return page.locator(".fact").filter(has_text=label)


def test_a_run_that_finishes_while_watched_says_so_with_its_last_point(
    store: Store, beating: None, serve: Serve, page: Page
) -> None:
    log(store, 1, 60)
    address, _ = serve()
    opened(page, address)
    expect(fact(page, "Status")).to_contain_text("Running")
    expect(page.get_by_role("button", name="Follow")).to_be_visible()
    log(store, 61, 40, finish=True)
    expect(fact(page, "Status")).to_contain_text("Finished")
    expect(fact(page, "Step").first).to_contain_text("100")
    expect(page.locator(".fact-label", has_text="Took")).to_be_visible()
    expect(page.get_by_role("button", name="Follow")).to_have_count(0)
    expect(page.locator("[data-chart=loss] .xtick", has_text="100")).to_be_attached()
    assert page.evaluate("window.neverReloaded") is True
    page.goto(address)
    expect(page.locator("tr.run")).to_contain_text("Finished")


@pytest.mark.postgres
def test_a_store_that_goes_away_leaves_the_picture_and_comes_back(
    watching: Store, server: Any, serve: Serve, page: Page
) -> None:
    log(watching, 1, 60)
    address, _ = serve()
    opened(page, address)
    table = page.context.new_page()
    table.goto(address)
    expect(table.locator("tr.run")).to_have_count(1)
    server.stop()
    for one in (page, table):
        expect(one.locator(".notice").filter(has_text="Store not reachable")).to_be_visible()
    expect(page.locator("[data-chart=loss] .xtick").first).to_be_attached()
    expect(table.locator("tr.run")).to_have_count(1)
    server.ensure_postgres_running()
    log(watching, 61, 30)
    for one in (page, table):
        expect(one.locator(".notice").filter(has_text="Store not reachable")).to_have_count(0)
    expect(fact(page, "Step").first).to_contain_text("90")
    expect(page.locator("[data-chart=loss] .xtick", has_text="80")).to_be_attached()
    assert page.evaluate("window.neverReloaded") is True
