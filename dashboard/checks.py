"""Four things to know before the first run shows: store, watcher, journal, notifications. Each is really looked at."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runvitals.dashboard.data import Watching
from runvitals.dashboard.formatter import age, count
from runvitals.dashboard.watcher_notices import failing_receivers, receivers
from runvitals.settings import Settings
from runvitals.store import Store

Check = dict[str, str]


def checks(store: Store, watching: Watching, settings: Settings) -> list[Check]:
    """What each of the four says: {name, state, text, answer}; state is healthy, warning or unknown."""
    return [
        _store(store.describe(), settings),
        _watcher(watching),
        _journal(settings.journals),
        _notifications(watching, len(settings.notify)),
    ]


def _check(name: str, state: str, text: str, answer: str) -> Check:
    return {"name": name, "state": state, "text": text, "answer": answer}


def _store(described: Mapping[str, Any], settings: Settings) -> Check:
    what = f"{described['kind']}, {described['place']}, {count(described['runs'])} runs"
    if not settings.store.startswith("sqlite:///"):
        return _check("Store", "healthy", f"{what}, it answers", "ok")
    path = Path(settings.store.removeprefix("sqlite:///"))
    # SQLite writes its log beside the file, so the folder must take files too.
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        return _check("Store", "healthy", f"{what}, can be written", "ok")
    return _check("Store", "warning", f"{what}, cannot be written by this user", "read only")


def _watcher(watching: Watching) -> Check:
    if watching.ahead_s is not None:
        ahead = f"its clock is {age(watching.ahead_s)} ahead, so nobody can tell whether it lives; set it"
        return _check("Watcher", "warning", ahead, "clock")
    if watching.watcher is None or not watching.alive:
        return _check("Watcher", "warning", "nobody watches; start one with: runvitals watch", "missing")
    return _check("Watcher", "healthy", f"running, {count(watching.watcher.rules)} rules loaded", "ok")


def _journal(journals: Path) -> Check:
    if not journals.is_dir():
        return _check("Journal", "unknown", f"nothing in {_short(journals)} yet", "waiting")
    runs = sum(entry.is_dir() for entry in journals.iterdir())
    if not runs:
        return _check("Journal", "unknown", f"no file in {_short(journals)} yet", "waiting")
    return _check("Journal", "healthy", f"{count(runs)} runs in {_short(journals)}", "ok")


def _notifications(watching: Watching, configured: int) -> Check:
    """Receivers as the watcher that lives has them; while none does, as this process's environment has them."""
    known = receivers(watching.at_work) if watching.alive else configured
    failing = failing_receivers(watching.at_work)
    if failing:
        text = f"no messages go to {count(len(failing))} of {_channels(known)}; see runvitals doctor"
        return _check("Notifications", "warning", text, "failing")
    if not known:
        none = "no channel set, alerts show here only; set RUNVITALS_NOTIFY, or [[notify]] in runvitals.toml"
        return _check("Notifications", "unknown", none, "none")
    return _check("Notifications", "healthy", f"{_channels(known)} set", "ok")


def _channels(number: int) -> str:
    return "1 channel" if number == 1 else f"{count(number)} channels"


def _short(path: Path) -> str:
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
