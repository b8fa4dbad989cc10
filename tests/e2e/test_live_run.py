"""The whole of runvitals at once: a real training process, the watcher, the dashboard in a real browser, a real alert."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect, sync_playwright

from runvitals.settings import Settings
from runvitals.store.open import open_store
from runvitals.up import Together

pytestmark = [pytest.mark.slow, pytest.mark.browser]

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
PATIENCE_MS = 90_000
STEPS = 150

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.from_environment({}, home=tmp_path / "home")


@pytest.fixture
def page(chromium_path: str) -> Iterator[Page]:
    """A page whose requests to anywhere but this machine would be seen and refused."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        page.set_default_timeout(PATIENCE_MS)
        strangers: list[str] = []
        page.on("request", lambda request: strangers.append(request.url) if not is_local(request.url) else None)
        yield page
        browser.close()
        assert strangers == []


def is_local(url: str) -> bool:
    return re.match(r"^(https?|wss?)://(localhost|127\.0\.0\.1)[:/]|^(data|blob|about):", url) is not None


def train(settings: Settings, name: str, *arguments: str) -> subprocess.Popen[bytes]:
    """A DPO training process, paced so that there is something to watch."""
    command = [sys.executable, "-m", "runvitals.trainers.recipes.dpo", "--run_name", name, *arguments]
    environ = {**os.environ, "RUNVITALS_HOME": str(settings.home)}
    return subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def chart(page: Page, title: str) -> Locator:
    return page.locator("figure.chart").filter(has=page.locator(f"b:text-is('{title}')")).first


def drawn(figure: Locator) -> dict[str, Any]:
    """What Plotly has on the screen: the number of points of its longest line, and the x range."""
    return figure.locator(".plot").evaluate(
        """plot => ({
            points: Math.max(0, ...(plot.data ?? []).map(trace => trace.x?.length ?? 0)),
            range: (plot.layout?.xaxis?.range ?? []).map(Number),
        })"""
    )


def messages(page: Page) -> int:
    return int(page.locator("[data-messages]").first.get_attribute("data-messages") or 0)


def wait_until(page: Page, what: str, condition: Any) -> None:
    deadline_s = time.monotonic() + PATIENCE_MS / 1000
    while not condition():
        assert time.monotonic() < deadline_s, f"waited in vain for {what}"
        page.wait_for_timeout(200)


def test_live_dpo_run_moves_keeps_its_zoom_and_raises_an_alert(settings: Settings, page: Page) -> None:
    with Together(settings, host="127.0.0.1", port=0) as together:
        page.goto(together.address)
        expect(page.get_by_text("Your first run shows here")).to_be_visible()
        arguments = ("--inject", "shuffled_labels", "--max_steps", str(STEPS), "--pace_s", "0.25")
        with train(settings, "e2e <b>dpo</b>", *arguments) as training:
            row = page.get_by_text("e2e <b>dpo</b>", exact=True).first
            expect(row).to_be_visible()
            row.click()
            page.wait_for_url("**/run?run=*")
            page.evaluate("() => { window.neverReloaded = true; }")
            loss = chart(page, "Loss")
            loss.scroll_into_view_if_needed()
            wait_until(page, "twenty points", lambda: drawn(loss)["points"] >= 20)
            before = drawn(loss)["points"]
            wait_until(page, "new points", lambda: drawn(loss)["points"] > before)
            zoomed = zoom(page, loss)
            mounts = page.locator("[data-mounts]").first.get_attribute("data-mounts")
            seen = messages(page)
            wait_until(page, "three refreshes", lambda: messages(page) >= seen + 3)
            assert drawn(loss)["range"] == pytest.approx(zoomed["range"])
            assert drawn(chart(page, "Gradient norm"))["range"] == pytest.approx(zoomed["range"])
            assert page.locator("[data-mounts]").first.get_attribute("data-mounts") == mounts
            incident = page.get_by_text("Causes and remedies")
            expect(incident).to_be_visible()
            assert page.evaluate("() => window.neverReloaded === true")
            incident.click()
            page.wait_for_url("**/alerts*")
            expect(page.get_by_text("What to do")).to_be_visible()
            expect(page.get_by_text("Likely causes")).to_be_visible()
            training.wait(timeout=120)
        together.wait(_set())
    store = open_store(settings.store)
    (run,) = store.runs()
    alerts = [row for row in store.alerts(run_id=run.id) if row.fired_s is not None and row.severity != "info"]
    assert {row.rule for row in alerts} & {"margin_stagnant", "margin_too_small"}
    assert store.read(run.id, "loss").steps.tolist() == sorted(set(store.read(run.id, "loss").steps.tolist()))


def zoom(page: Page, figure: Locator) -> dict[str, Any]:
    """Drags over the middle of the chart; what is drawn afterwards."""
    whole = drawn(figure)["range"]
    box = figure.locator(".surface").bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.3, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, middle, steps=4)
    page.mouse.move(box["x"] + box["width"] * 0.6, middle, steps=4)
    page.mouse.up()
    wait_until(page, "the zoom", lambda: drawn(figure)["range"] != whole and drawn(figure)["range"][1] < whole[1])
    page.wait_for_timeout(600)  # the finer points arrive
    return drawn(figure)


LOGGER = """
import sys, runvitals
run = runvitals.init(name="victim")
step = 0
while True:
    step += 1
    run.log({"loss": 1 / step, "grad_norm": 1.0}, step=step)
    sys.stdout.write(f"{step}\\n")
    sys.stdout.flush()
"""


def test_killed_process_loses_no_row_and_is_shown_as_crashed_within_15_s(settings: Settings, page: Page) -> None:
    with Together(settings, host="127.0.0.1", port=0) as together:
        environ = {**os.environ, "RUNVITALS_HOME": str(settings.home)}
        with subprocess.Popen([sys.executable, "-c", LOGGER], env=environ, stdout=subprocess.PIPE, text=True) as victim:
            assert victim.stdout is not None
            logged = 0
            for line in victim.stdout:
                logged = int(line)
                if logged == 5_000:
                    break
            victim.send_signal(signal.SIGKILL)
            killed_s = time.monotonic()
            logged = max([logged, *(int(line) for line in victim.stdout if line.endswith("\n"))])
        page.goto(together.address)
        expect(page.get_by_text("Crashed", exact=True).first).to_be_visible()
        assert time.monotonic() - killed_s < 15.0
        store = open_store(settings.store)
        (run,) = store.runs()
        steps = store.read(run.id, "loss").steps.tolist()
        assert len(steps) >= logged
        assert steps == list(range(1, len(steps) + 1))
        assert any(row.rule == "run_crashed" for row in store.alerts(run_id=run.id))
        together.wait(_set())


def _set() -> threading.Event:
    event = threading.Event()
    event.set()
    return event
