"""Six things to know before the first run shows: store, space, watcher, rules, journal, notifications. Each is really looked at."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runvitals.dashboard.data import Watching
from runvitals.dashboard.formatter import age, count, data_size
from runvitals.dashboard.rules_file import rules_file
from runvitals.dashboard.watcher_notices import failing_receivers, receivers
from runvitals.settings import Settings
from runvitals.store import Store

LITTLE_SPACE_BYTES = 1 << 30
"""Free space below which to say so, as for `runvitals doctor`."""

Check = dict[str, str]


def checks(store: Store, watching: Watching, settings: Settings) -> list[Check]:
    """What each of the six says: {name, state, text, answer}; state is healthy, warning or unknown."""
    return [
        _store(store.describe(), settings),
        _space(settings.home),
        _watcher(watching),
        _rules(settings.rules),
        _journal(settings.journals),
        _notifications(watching, len(settings.notify)),
    ]


def _check(name: str, state: str, text: str, answer: str) -> Check:
    return {"name": name, "state": state, "text": text, "answer": answer}


def _store(described: Mapping[str, Any], settings: Settings) -> Check:
    what = f"{described['kind']}, {described['place']}, {_many(described['runs'], 'run')}"
    if not settings.store.startswith("sqlite:///"):
        return _check("Store", "healthy", f"{what}, it answers", "ok")
    path = Path(settings.store.removeprefix("sqlite:///"))
    # SQLite writes its log beside the file, so the folder must take files too.
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        return _check("Store", "healthy", f"{what}, can be written", "ok")
    return _check("Store", "warning", f"{what}, cannot be written by this user", "read only")


def _space(home: Path) -> Check:
    """What is free where journals are written, which is on this machine even if the store is a server."""
    place = next(folder for folder in (home, *home.parents) if folder.is_dir())
    try:
        free = shutil.disk_usage(place).free
    except OSError as error:
        return _check("Disk", "unknown", f"{_short(home)} does not say what is free: {error.strerror}", "unknown")
    text = f"{data_size(free)} free in {_short(home)}"
    if free < LITTLE_SPACE_BYTES:
        return _check("Disk", "warning", f"{text}; free some, or name another folder with RUNVITALS_HOME", "little")
    return _check("Disk", "healthy", text, "ok")


def _rules(path: Path) -> Check:
    """The user's rules file as the watcher reads it: what is wrong with it spoils those rules alone, so it is easily overlooked."""
    file = rules_file(path)
    if not file.text:
        if path.exists() and path.stat().st_size:
            return _check("Rules file", "warning", f"{_short(path)} cannot be read, so it changes nothing", "unread")
        return _check("Rules file", "healthy", f"the built-in rules; {_short(path)} would change them", "ok")
    faults = file.rules.faults
    if faults:
        more = f", and {count(len(faults) - 1)} more" if len(faults) > 1 else ""
        return _check("Rules file", "warning", f"{faults[0]}{more}; see runvitals rules --check FILE", "faulty")
    return _check("Rules file", "healthy", f"{_short(path)}, {_many(len(file.rules.own), 'rule')} of your own", "ok")


def _watcher(watching: Watching) -> Check:
    if watching.ahead_s is not None:
        ahead = f"its clock is {age(watching.ahead_s)} ahead, so nobody can tell whether it lives; set it"
        return _check("Watcher", "warning", ahead, "clock")
    if watching.watcher is None or not watching.alive:
        return _check("Watcher", "warning", "nobody watches; start one with: runvitals watch", "missing")
    return _check("Watcher", "healthy", f"running, {_many(watching.watcher.rules, 'rule')} loaded", "ok")


def _journal(journals: Path) -> Check:
    if not journals.is_dir():
        return _check("Journal", "unknown", f"nothing in {_short(journals)} yet", "waiting")
    runs = sum(entry.is_dir() for entry in journals.iterdir())
    if not runs:
        return _check("Journal", "unknown", f"no file in {_short(journals)} yet", "waiting")
    return _check("Journal", "healthy", f"{_many(runs, 'run')} in {_short(journals)}", "ok")


def _notifications(watching: Watching, configured: int) -> Check:
    """Receivers as the watcher that lives has them; while none does, as this process's environment has them."""
    known = receivers(watching.at_work) if watching.alive else configured
    failing = failing_receivers(watching.at_work)
    if failing:
        text = f"no messages go to {count(len(failing))} of {_many(known, 'channel')}; see runvitals doctor"
        return _check("Notifications", "warning", text, "failing")
    if not known:
        none = "no channel set, alerts show here only; set RUNVITALS_NOTIFY, or [[notify]] in runvitals.toml"
        return _check("Notifications", "unknown", none, "none")
    return _check("Notifications", "healthy", f"{_many(known, 'channel')} set", "ok")


def _many(number: int, thing: str) -> str:
    return f"{count(number)} {thing}{'' if number == 1 else 's'}"


def _short(path: Path) -> str:
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
