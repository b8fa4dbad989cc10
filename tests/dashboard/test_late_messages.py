"""What a page's fragments ask after the browser has gone on to another page."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.runtime.app_session import AppSession

from runvitals.dashboard import late_messages


class Session:
    """A session as far as requests go: what reached Streamlit, and the page whose script began last."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._pages_manager = SimpleNamespace(current_page_script_hash="")
        self.heard: list[str] = []
        monkeypatch.setattr(AppSession, "request_rerun", lambda session, client_state: session.note(client_state))
        monkeypatch.setattr(
            late_messages, "get_script_run_ctx", lambda: SimpleNamespace(pages_manager=self._pages_manager)
        )
        late_messages.a_page_begins()

    def note(self, client_state: ClientState | None) -> None:
        self.heard.append(
            "server" if client_state is None else client_state.fragment_id or client_state.page_script_hash
        )

    def begins(self, page: str) -> None:
        self._pages_manager.current_page_script_hash = page
        late_messages.a_page_begins()

    def ask(self, page: str, fragment: str = "") -> None:
        self.request(ClientState(page_script_hash=page, fragment_id=fragment))

    def request(self, client_state: ClientState | None) -> None:
        request_rerun: Any = AppSession.request_rerun
        request_rerun(self, client_state)


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    """One that shows the Run page."""
    session = Session(monkeypatch)
    session.ask("")
    session.begins("run")
    session.heard.clear()
    return session


def test_a_page_that_is_shown_is_heard(session: Session) -> None:
    session.ask("run", "clock")
    session.request(None)
    session.ask("run")
    session.ask("run", "clock")
    assert session.heard == ["clock", "server", "run", "clock"]


def test_a_timer_does_not_overtake_the_way_to_another_page(session: Session) -> None:
    session.ask("compare")
    session.ask("run", "clock")
    session.begins("compare")
    session.ask("run", "clock")
    session.ask("compare", "its clock")
    assert session.heard == ["compare", "its clock"]


def test_a_page_that_the_server_went_on_to_is_heard(session: Session) -> None:
    session.ask("runs")
    session.begins("runs")
    session.begins("run")  # by a deep link, or back to where it came from
    session.ask("run", "clock")
    session.ask("runs", "its clock")
    assert session.heard == ["runs", "clock"]


def test_there_and_back_at_once(session: Session) -> None:
    session.ask("compare")
    session.ask("run")
    session.ask("run", "clock")
    session.ask("compare", "its clock")
    assert session.heard == ["compare", "run", "clock"]
