"""Every page in real Chromium on a store in which every text is hostile: no request leaves, nothing runs, the layout holds."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from runvitals.store import Store
from runvitals.store.types import AlertRow, Batch, EventRow, SeriesPoints, WatcherInfo

TEXTS = (
    "<img src=x onerror=window.hurt=1>",
    "<script>window.hurt=1</script>",
    '"><svg onload=window.hurt=1>',
    "![](http://tracker.example/x.png)",
    '<a href="http://tracker.example">a</a>',
    "[b](javascript:window.hurt=1)",
    "$\\href{javascript:window.hurt=1}{x^2}$",
    ":material/skull: :red[b] :rainbow[c]",
    "javascript:window.hurt=1",
    "\u202egnp.exe",
    "long" * 2500,
)
EVIL = " ".join(TEXTS[:-1])
LONG = TEXTS[-1]

FOUND = """() => {
  const roots = [document];
  const found = [];
  while (roots.length) {
    const root = roots.pop();
    for (const node of root.querySelectorAll("*")) {
      if (node.shadowRoot) roots.push(node.shadowRoot);
      const href = node.getAttribute("href") ?? node.getAttribute("src") ?? node.getAttribute("xlink:href") ?? "";
      if (/^\\s*javascript:|tracker\\.example\\/?$|tracker\\.example\\/x/i.test(decodeURIComponent(href)) && !/^(run|\\.\\/|compare|alerts|runs|\\?)/.test(href)) found.push(node.outerHTML.slice(0, 200));
      if ([...node.attributes].some((one) => /^on/.test(one.name))) found.push(node.outerHTML.slice(0, 200));
      if (node.tagName === "IMG" && node.getAttribute("src") === "x") found.push(node.outerHTML.slice(0, 200));
    }
  }
  return found;
}"""
"""Whatever in the page, its shadow roots included, a hostile text would have become."""

WIDE = """() => {
  const roots = [document];
  const found = [];
  while (roots.length) {
    const root = roots.pop();
    for (const node of root.querySelectorAll("*")) {
      if (node.shadowRoot) roots.push(node.shadowRoot);
      const text = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
      if (root === document || !text || node.getBoundingClientRect().right <= innerWidth + 1) continue;
      let around = node;
      while (around && getComputedStyle(around).overflowX === "visible") around = around.parentElement;
      if (!around || around.getBoundingClientRect().right > innerWidth + 1) found.push(node.outerHTML.slice(0, 120));
    }
  }
  return found;
}"""
"""Texts of our components that stick out of the screen at the right, and that nothing around them cuts."""

Serve = Callable[..., tuple[str, subprocess.Popen[bytes]]]

expect.set_options(timeout=30_000)
pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def page(chromium_path: str) -> Iterator[Page]:
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=chromium_path, args=flags)
        yield browser.new_page(viewport={"width": 1440, "height": 1000}, accept_downloads=True)
        browser.close()


def hostile_run(store: Store, run_id: str, name: str, now_s: float) -> None:
    """A live run in which every text is hostile: name, settings, keys, surroundings, completions, alert, note, tag, group."""
    steps = np.arange(1, 61, dtype=np.int64)
    times_s = now_s - 60 + steps
    keys = (
        "loss",
        "grad_norm",
        "rewards/margins",
        *TEXTS[:-1],
        LONG[:400],
        "gpu/0/utilization",
        "gpu/0/memory_used_gib",
    )
    series = {key: SeriesPoints(steps=steps, times_s=times_s, values=1 / (1.0 + steps)) for key in keys}
    row = {"prompt": EVIL, "completion": LONG, "chosen": EVIL, "rejected": EVIL, "reward": 1.0}
    happened: list[tuple[str, dict[str, Any]]] = [
        ("trainer", {"kind": "dpo", "max_steps": 60}),
        ("completions", {"source": EVIL, "rows": [row]}),
        ("completions", {"source": "held-out", "rows": [row]}),
        ("exception", {"type": EVIL, "message": EVIL, "traceback": EVIL}),
        ("resume", {"from_step": EVIL}),
        ("checkpoint", {"path": EVIL}),
    ]
    events = [
        EventRow(run_id=run_id, writer_id="w", seq=at, time_s=now_s, step=30, kind=kind, data=data)
        for at, (kind, data) in enumerate(happened, start=1)
    ]
    config = {EVIL: EVIL, LONG: LONG, "model": {EVIL: run_id + EVIL}, "beta": run_id + EVIL, "learning_rate": EVIL}
    info = {"host": EVIL, "argv": [EVIL], "gpus": [EVIL], "versions": {EVIL: EVIL}}
    start = {"project": EVIL, "name": name, "config": config, "info": info, "time_s": now_s - 60, "resumed": False}
    store.append(
        Batch(
            run_id=run_id,
            writer_id="w",
            first_seq=1,
            last_seq=60,
            position={},
            series=series,
            events=events,
            start=start,
            rows=60,
        )
    )
    rules = [{"rule": EVIL, "state": "unknown", "reason": EVIL, "error": EVIL}]
    store.set_run(
        run_id, status="running", phase=EVIL, health="critical", trainer="dpo", finding=EVIL, alerts=1, rules=rules,
        last_step=60, last_step_s=now_s, max_steps=60,
    )  # fmt: skip
    first = hostile_alert(run_id, now_s)
    second = replace(first, id=f"{run_id}-a2", incident=f"{run_id}-a2", severity="warning")
    store.put_alerts([first, second])
    store.acknowledge(f"{run_id}-a2", EVIL, now_s, who=EVIL)
    store.feedback(f"{run_id}-a2", EVIL, now_s)
    store.add_note(run_id, EVIL, 5, now_s)
    store.tag_runs([run_id], add=["<b>tag</b>"])
    store.group_runs([run_id], TEXTS[0])
    store.describe_run(run_id, EVIL)


def hostile_alert(run_id: str, now_s: float) -> AlertRow:
    """A firing alert in which every text is hostile."""
    curve = {"signal": TEXTS[0], "steps": [1, 2, 3], "values": [1.0, "NaN", 2.0]}
    detail = {
        "title": EVIL,
        "sentence": EVIL,
        "evidence": {
            "numbers": [{"label": EVIL, "value": 1.0, "unit": EVIL, "expected": EVIL}],
            "window": [1, 3],
            "curves": [curve, curve | {"signal": "loss"}],
        },
        "causes": [{"text": EVIL, "likelihood": EVIL, "because": LONG}],
        "remedies": [{"text": EVIL, "detail": EVIL, "source": EVIL, "url": "javascript:window.hurt=1"}],
    }
    return AlertRow(
        id=f"{run_id}-a1",
        run_id=run_id,
        rule=TEXTS[0],
        signal="loss",
        severity="critical",
        state="firing",
        incident=f"{run_id}-a1",
        onset_step=20,
        onset_s=now_s - 40,
        fired_step=25,
        fired_s=now_s - 35,
        resolved_step=None,
        resolved_s=None,
        detail=detail,
    )


@pytest.fixture
def address(store: Store, beating: None, serve: Serve) -> str:
    """The app on three hostile runs, views with hostile names, and a watcher with a hostile message."""
    now_s = time.time()
    for number, name in enumerate((EVIL, TEXTS[0], LONG)):
        hostile_run(store, f"h{number}", name, now_s)
    for page_name, name in (("runs", TEXTS[0]), ("compare", TEXTS[1])):
        store.save_view(page_name, name, f"q={EVIL}", now_s)
    store.watcher_beat(
        WatcherInfo(id="evil", host=EVIL, pid=1, started_s=now_s, pass_s=now_s, behind_bytes=0, rules=1, message=EVIL)
    )
    found: str = serve()[0]
    return found


PAGES = {
    "": "tr.run",
    "?q=config.beta%3A%3Cimg%20src%3Dx%20onerror%3Dwindow.hurt%3D1%3E": ".troubles, tr.run",
    "run?run=h0": "figure.chart .xtick",
    "run?run=h2&more=1": "figure.chart .xtick",
    "run?run=%3Cimg%20src%3Dx%20onerror%3Dwindow.hurt%3D1%3E": ".notice",
    "compare?compare=h0,h1,h2": "figure.chart .xtick",
    "alerts": ".detail .sentence",
    "alerts?alert=h1-a2": ".detail .sentence",
    "backtest?rule=loss_spike&alert=h0-a1": ".rv",
}
"""Every page, and what of it tells that it is drawn."""


def test_no_text_of_a_run_acts_on_any_page(address: str, page: Page) -> None:
    asked: list[str] = []
    opened: list[str] = []
    page.context.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: (opened.append(dialog.message), dialog.dismiss()))
    page.context.on("page", lambda other: opened.append(other.url))
    for path, drawn in PAGES.items():
        page.goto(f"{address}/{path}")
        page.locator(drawn).first.wait_for(state="attached", timeout=30_000)
        if not path:
            names = {" ".join(name.split()) for name in page.locator("tr.run a").all_inner_texts()}
            assert {TEXTS[0], " ".join(EVIL.split()).replace("\u202e", "⟨U+202E⟩")} <= names, (
                "names are shown as they are"
            )
        poke(page)
        assert page.evaluate(FOUND) == [], path
        assert page.evaluate("window.hurt") is None, path
        assert page.evaluate(WIDE) == [], path
    outside = [url for url in asked if not url.startswith((address, "data:", "blob:", address.replace("http", "ws")))]
    assert outside == []
    assert opened == []


def poke(page: Page) -> None:
    """Hovers over what shows more when hovered: charts, titles, rows."""
    for place in (".surface", "figure.chart b", "tr.run", ".chip"):
        for node in page.locator(place).all()[:2]:
            if node.is_visible():
                node.hover(force=True)


def test_the_report_of_a_hostile_run_is_saved_and_acts_no_more(address: str, page: Page, tmp_path: Path) -> None:
    page.goto(f"{address}/run?run=h0")
    with page.expect_download(timeout=60_000) as saving:
        page.get_by_role("button", name="Report", exact=True).click()
    whole = tmp_path / "run.html"
    saving.value.save_as(whole)
    page.goto(f"{address}/alerts?alert=h1-a1")
    with page.expect_download(timeout=60_000) as saving:
        page.get_by_role("button", name="Report", exact=True).click()
    incident = tmp_path / "incident.html"
    saving.value.save_as(incident)
    asked: list[str] = []
    page.context.on("request", lambda request: asked.append(request.url))
    for file in (whole, incident):
        page.goto(file.as_uri())
        expect(page.locator("h1")).to_contain_text("onerror")
        assert page.locator("svg.chart").count() > 0
        assert page.evaluate(FOUND) == []
        assert page.evaluate("window.hurt") is None
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert [url for url in asked if not url.startswith("file:")] == []
