"""Plotly as the server gives it: a script that a browser may keep, and nothing from outside its folder."""

from __future__ import annotations

import http.client
import re
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from runvitals.store import Store

APP = Path(__file__).parent.parent.parent / "dashboard" / "app.py"
CHARTS = APP.parent / "components" / "charts.js"


def answered(address: str, path: str) -> tuple[int, Message, str]:
    """Status, head and body of what the server gives."""
    server = http.client.HTTPConnection(urlsplit(address).netloc, timeout=20)
    server.request("GET", path)
    answer = server.getresponse()
    body = answer.read().decode()
    server.close()
    return answer.status, answer.headers, body


def plotly() -> str:
    """Plotly's place in the folder of static files, as the pages ask for it."""
    (path,) = re.findall(r'const PLOTLY = "([^"]+)"', CHARTS.read_text(encoding="utf-8"))
    return str(path)


@pytest.mark.slow
def test_a_browser_may_keep_plotly_under_a_name_with_its_version(serve: Callable[..., Any]) -> None:
    address, _ = serve()
    status, head, script = answered(address, f"/app/static/{plotly()}")
    assert status == 200 and "javascript" in head["content-type"]
    assert head["etag"] and head["last-modified"] and "no-" not in head.get("cache-control", "")
    (version,) = re.findall(r"plotly-([\d.]+)/", plotly())
    assert f"v{version}\n" in script[:300], "a browser keeps it without asking: another script needs another name"
    for outside in ("/app/static/../app.py", "/app/static/%2e%2e/app.py"):
        status, _, body = answered(address, outside)
        assert status >= 400 or "import streamlit" not in body


@pytest.mark.browser
@pytest.mark.slow
def test_charts_are_drawn_where_the_app_serves_no_static_files(
    watched: Store, beating: None, serve: Callable[..., Any], chromium_path: str
) -> None:
    sync_api = pytest.importorskip("playwright.sync_api")
    address, _ = serve(APP, "--server.enableStaticServing", "false")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox", "--disable-gpu"])
        page = chromium.new_page()
        page.goto(f"{address}/run?run=sample00")
        page.locator(".xtick").first.wait_for(state="attached", timeout=60_000)
        chromium.close()
