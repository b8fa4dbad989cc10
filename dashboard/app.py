"""The app: `python -m streamlit run dashboard/app.py`. Theme and manners lie beside it in `.streamlit/config.toml`."""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import urlsplit

import streamlit as st

from runvitals.dashboard import head, late_messages, navigation

STATIC = Path(__file__).resolve().parent / "static"


def _runs() -> None:
    from runvitals.dashboard.views import runs

    runs.page()


def _run() -> None:
    from runvitals.dashboard.views import run

    run.page()


def _compare() -> None:
    from runvitals.dashboard.views import compare

    compare.page()


def _alerts() -> None:
    from runvitals.dashboard.views import alerts

    alerts.page()


def _backtest() -> None:
    from runvitals.dashboard.views import backtest

    backtest.page()


def main() -> None:
    """Lays out the app and draws the page that the address names; `/?run=`, `/?compare=` and `/?alert=` lead to theirs."""
    late_messages.a_page_begins()
    seen = head.look(now_s=time.time())
    st.set_page_config(page_title=head.page_title(seen), page_icon=str(STATIC / "icon.svg"), layout="wide")
    theme = "dark" if st.context.theme.type == "dark" else "light"
    st.logo(str(STATIC / f"logo-{theme}.svg"), size="medium")
    # Streamlit serves its default page at / alone; who types /runs, as every other page is named, gets the same page there.
    at_runs = urlsplit(st.context.url or "").path.rstrip("/").endswith("/runs")
    runs = st.Page(_runs, title="Runs", url_path="", default=True, visibility="hidden" if at_runs else "visible")
    typed = st.Page(_runs, title="Runs", url_path="runs", visibility="visible" if at_runs else "hidden")
    pages: dict[navigation.PageName, st.Page] = {
        "runs": runs,
        "run": st.Page(_run, title="Run", url_path="run"),
        "compare": st.Page(_compare, title="Compare", url_path="compare"),
        "alerts": st.Page(_alerts, title=head.alerts_label(seen), url_path="alerts"),
        "backtest": st.Page(_backtest, title="Back-test", url_path="backtest", visibility="hidden"),
    }
    navigation.remember(pages)
    page = st.navigation([typed, *pages.values()], position="top")
    if page in (runs, typed):
        _follow_deep_link()
    st.session_state["runvitals.begun"] = True
    head.shown(seen)
    page.run()


def _follow_deep_link() -> None:
    # Only where a session begins: going to a page leaves such an address in the browser's history, and Back must lead to Runs.
    if st.session_state.get("runvitals.begun"):
        return
    links: dict[str, navigation.PageName] = {"run": "run", "compare": "compare", "alert": "alerts"}
    for word, page in links.items():
        if word in st.query_params:
            navigation.go(page, **dict(st.query_params))


main()
