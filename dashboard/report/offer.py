"""Puts a report where the reader's browser can fetch it."""

from __future__ import annotations

from streamlit.runtime import get_instance

from runvitals.dashboard.data import settings
from runvitals.dashboard.report.make import html_report
from runvitals.dashboard.rules_file import rules_file
from runvitals.store import Store


def offered(store: Store, run_id: str, *, incident_id: str | None = None, asked: str, now_s: float) -> dict[str, str]:
    """The file as a page tells its browser of it: `asked`, by which the browser knows its own wish, its name and its address.

    Raises as `html_report` does.
    """
    report = html_report(store, run_id, incident_id=incident_id, rules=rules_file(settings().rules).rules, now_s=now_s)
    files = get_instance().media_file_mgr
    content = report.text.encode()
    url = files.add(content, "text/html", "runvitals.report", file_name=report.name, is_for_static_download=True)
    return {"id": asked, "name": report.name, "url": url}
