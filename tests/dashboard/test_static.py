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

CHARTS = Path(__file__).parent.parent.parent / "dashboard" / "components" / "charts.js"


def answered(address: str, path: str) -> tuple[int, Message, str]:
    """Status, head and body of what the server gives."""
    server = http.client.HTTPConnection(urlsplit(address).netloc, timeout=20)
    server.request("GET", path)
    answer = server.getresponse()
    body = answer.read().decode()
    server.close()
    return answer.status, answer.headers, body


def plotly() -> str:
    """The path of Plotly, as the pages ask for it."""
    (path,) = re.findall(r'"(?:\.\./)+(app/static/[^"]+)"', CHARTS.read_text(encoding="utf-8"))
    return f"/{path}"


@pytest.mark.slow
def test_a_browser_may_keep_plotly_under_a_name_with_its_version(serve: Callable[..., Any]) -> None:
    address, _ = serve()
    status, head, script = answered(address, plotly())
    assert status == 200 and "javascript" in head["content-type"]
    assert head["etag"] and head["last-modified"] and "no-" not in head.get("cache-control", "")
    (version,) = re.findall(r"plotly-([\d.]+)/", plotly())
    assert f"v{version}\n" in script[:300], "a browser keeps it without asking: another script needs another name"
    for outside in ("/app/static/../app.py", "/app/static/%2e%2e/app.py"):
        status, _, body = answered(address, outside)
        assert status >= 400 or "import streamlit" not in body
