"""Goes from page to page. `app.py` says once a session which pages there are; views name them."""

from __future__ import annotations

from typing import Any, Literal

import streamlit as st

PageName = Literal["runs", "run", "compare", "alerts", "backtest"]

_PAGES = "runvitals.pages"


def remember(pages: dict[PageName, Any]) -> None:
    """Keeps the session's pages, so that a view can go to another without importing it."""
    st.session_state[_PAGES] = pages


def go(page: PageName, /, **query: str) -> None:
    """Opens the page with this query in its address, e.g. `go("run", run=run_id)`. Does not return. A query may name a `page` of its own."""
    st.switch_page(st.session_state[_PAGES][page], query_params=query)
