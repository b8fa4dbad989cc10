"""A page that has been left is not heard any more.

Streamlit puts a request that comes while another waits into one with it, and takes the page of the later one. A page's timer that fires
between a press of Back and the start of the page before thus brings the left page back, with the other's words in its address; one that comes a
moment later has the browser throw the new page's elements away. On a busy server both happen. So what a left page's fragments ask is dropped
before Streamlit sees it; they ask nothing that anybody still sees.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from streamlit.runtime.app_session import AppSession
from streamlit.runtime.scriptrunner import get_script_run_ctx

_ASKED = "_runvitals_asked"
"""Attribute of a session: the page that the browser asked for last, and how many had begun by then."""
_BEGUN = "_runvitals_begun"
"""Attribute of a session's pages: how many have begun."""


def a_page_begins() -> None:
    """To be called when the app begins to draw a page. The first call has every session of this process drop what comes late."""
    context = get_script_run_ctx()
    if context is not None:
        setattr(context.pages_manager, _BEGUN, getattr(context.pages_manager, _BEGUN, 0) + 1)
    if not hasattr(AppSession.request_rerun, "__wrapped__"):
        AppSession.request_rerun = _heeding(AppSession.request_rerun)  # type: ignore[method-assign]


def _heeding(given: Any) -> Any:
    @wraps(given)
    def request_rerun(session: AppSession, client_state: Any) -> None:
        if client_state is None or not _is_late(session, client_state):
            given(session, client_state)

    return request_rerun


def _is_late(session: Any, client_state: Any) -> bool:
    """True for what a fragment asks whose page was left; also notes the page that a request for a whole page is for."""
    pages, page = session._pages_manager, client_state.page_script_hash
    begun = getattr(pages, _BEGUN, 0)
    if not client_state.fragment_id:
        setattr(session, _ASKED, (page, begun))
        return False
    asked, then = getattr(session, _ASKED, ("", 0))
    # Until the page that was asked for has begun, the one before still counts as the current one.
    wanted = asked if asked and begun == then else pages.current_page_script_hash
    return bool(page and wanted and page != wanted)
