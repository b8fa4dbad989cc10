"""Receivers that take nothing, and what a watcher complains of, stand at the head of every page."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from runvitals.dashboard.checks import checks
from runvitals.dashboard.data import Watching
from runvitals.dashboard.watcher_notices import watcher_notices
from runvitals.settings import Settings
from runvitals.store.open import open_store
from runvitals.store.types import WatcherInfo

WELL = WatcherInfo(
    id="a",
    host="h",
    pid=1,
    started_s=0.0,
    pass_s=1000.0,
    behind_bytes=0,
    rules=3,
    receivers=[{"label": "console", "state": "ok"}, {"label": "slack", "state": "ok"}],
)


def failing(label: str, **changes: Any) -> dict[str, Any]:
    return {
        "label": label,
        "state": "failing",
        "failing_since_s": 880.0,
        "problem": "answered HTTP 500",
        "next_s": 1030.0,
    } | changes


def test_all_well_says_nothing() -> None:
    assert watcher_notices([WELL], now_s=1000.0) == []


def test_failing_receiver_says_since_when_why_and_what_then() -> None:
    (notice,) = watcher_notices([replace(WELL, receivers=[failing("on call")])], now_s=1000.0)
    assert notice["title"] == "on call takes no notifications"
    assert notice["text"].startswith("It answered HTTP 500 for 2 min, asked again in 30 s. ")


def test_several_are_one_notice_and_one_that_fails_two_watchers_is_named_once() -> None:
    both = [failing("slack"), failing("mail", next_s=None, problem="gives no answer")]
    info = replace(WELL, receivers=both)
    (notice,) = watcher_notices([info, replace(info, id="b")], now_s=1000.0)
    assert notice["title"] == "2 receivers take no notifications"
    assert notice["text"].startswith("mail: gives no answer for 2 min; slack: answered HTTP 500 for 2 min, asked again")


def test_watcher_s_complaint_is_shown_and_bounded() -> None:
    (notice,) = watcher_notices([replace(WELL, message="rules file: x.toml:3: " + "y" * 999)], now_s=1000.0)
    assert "x.toml:3" in notice["text"]
    assert len(notice["text"]) == 300


def test_check_before_the_first_run_counts_the_watcher_s_receivers(tmp_path: Any) -> None:
    settings = Settings.from_environment({"RUNVITALS_HOME": str(tmp_path)})
    store = open_store(settings.store)

    def told(info: WatcherInfo) -> tuple[str, str]:
        watching = Watching(alive=True, silent_s=0.0, watcher=info, at_work=(info,))
        (check,) = [one for one in checks(store, watching, settings) if one["name"] == "Notifications"]
        return check["state"], check["text"]

    assert told(WELL) == ("healthy", "1 channel set")
    assert told(replace(WELL, receivers=[failing("slack")])) == (
        "warning",
        "no messages go to 1 of 1 channel; see runvitals doctor",
    )
    assert told(replace(WELL, receivers=()))[0] == "unknown"
