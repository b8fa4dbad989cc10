"""Reads the store for the pages. Whatever the store cannot do becomes a `Problem` to show, never a traceback on the screen."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import streamlit as st

from runvitals.dashboard.overview import Overview
from runvitals.errors import ForeignStore, NewerStore, RunvitalsError, SettingsError, StoreUnreachable, UnknownRun
from runvitals.settings import Settings
from runvitals.store import Store, open_store
from runvitals.store.types import LIVE, Health, RunInfo, WatcherInfo

Result = TypeVar("Result")

WATCHER_SILENT_AFTER_S = 10.0
"""A watcher passes every second or so; one that has not for this long is taken for dead."""

AHEAD_S = 10.0
"""A pass further in the future than this was told by a wrong clock, and says nothing about now."""

RETRY_S = 5.0
"""How long a store that did not open is left alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why there is nothing to show: a title, and a sentence that says what to do."""

    kind: Literal["unreachable", "foreign", "newer", "settings", "unknown_run", "store"]
    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """Whether anybody watches. silent_s: since the newest watcher's last pass, None where there never was one that counts.

    ahead_s: how far in the future the watcher's last pass lies, where no clock says that anybody watches; else None.
    at_work: all watchers that live.
    """

    alive: bool
    silent_s: float | None
    watcher: WatcherInfo | None
    ahead_s: float | None = None
    at_work: tuple[WatcherInfo, ...] = ()


@dataclass(slots=True)
class _Opened:
    """One store of this process, opened at first use; left alone for `RETRY_S` after a failure."""

    url: str
    store: Store | None = None
    problem: Problem | None = None
    tried_s: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)
    overview: Overview = field(default_factory=Overview)


def read(action: Callable[[Store], Result], *, now_s: float) -> Result | Problem:
    """What `action` gives for the store of this process, or why it could not be had."""
    try:
        opened = _opened(settings().store)
    except RunvitalsError as error:
        return problem_of(error)
    store = _open(opened, now_s)
    if isinstance(store, Problem):
        return store
    try:
        return action(store)
    except StoreUnreachable as error:
        with opened.lock:
            opened.problem, opened.tried_s = problem_of(error), now_s
            opened.overview = Overview()  # another store may answer next time
        return problem_of(error)
    except RunvitalsError as error:
        return problem_of(error)


def settings() -> Settings:
    """The settings of this process, from the environment. Raises SettingsError; `read` shows it."""
    return Settings.from_environment()


def problem_of(error: RunvitalsError) -> Problem:
    """How a page shows the error."""
    if isinstance(error, StoreUnreachable):
        return Problem(
            kind="unreachable", title="Store not reachable", text=f"Trying again in {RETRY_S:.0f} s. {error}"
        )
    if isinstance(error, ForeignStore):
        return Problem(kind="foreign", title="Not a runvitals store", text=str(error))
    if isinstance(error, NewerStore):
        return Problem(kind="newer", title="Store of a newer runvitals", text=str(error))
    if isinstance(error, UnknownRun):
        return Problem(kind="unknown_run", title="No such run", text=str(error))
    if isinstance(error, SettingsError):
        return Problem(kind="settings", title="Settings", text=str(error))
    return Problem(kind="store", title="Store", text=str(error))


def watching(store: Store, *, now_s: float) -> Watching:
    """Whether a watcher made a pass within the last `WATCHER_SILENT_AFTER_S`; one whose clock is ahead may be dead for long."""
    watchers = sorted(store.watchers(), key=lambda watcher: -watcher.pass_s)
    newest = next((watcher for watcher in watchers if watcher.pass_s - now_s <= AHEAD_S), None)
    silent_s = None if newest is None else max(0.0, now_s - newest.pass_s)
    if silent_s is not None and silent_s < WATCHER_SILENT_AFTER_S:
        at_work = tuple(one for one in watchers if -AHEAD_S <= now_s - one.pass_s < WATCHER_SILENT_AFTER_S)
        return Watching(alive=True, silent_s=silent_s, watcher=newest, at_work=at_work)
    if watchers and watchers[0] is not newest:
        return Watching(alive=False, silent_s=silent_s, watcher=watchers[0], ahead_s=watchers[0].pass_s - now_s)
    return Watching(alive=False, silent_s=silent_s, watcher=newest)


def shown_health(run: RunInfo, *, watched: bool) -> Health:
    """The run's health; unknown for a live run while nobody watches, for silence is not health."""
    return run.health if watched or run.status not in LIVE else "unknown"


def overview() -> Overview:
    """What this process knows of all runs of the store. Raises SettingsError."""
    return _opened(settings().store).overview


@st.cache_resource(show_spinner=False)
def _opened(url: str) -> _Opened:
    return _Opened(url=url)


def _open(opened: _Opened, now_s: float) -> Store | Problem:
    with opened.lock:
        if opened.problem is not None and now_s - opened.tried_s < RETRY_S:
            return opened.problem
        opened.problem = None
        # Once open it stays: its connections renew themselves, while opening it again would make an empty one where the file is away.
        if opened.store is None:
            try:
                opened.store = open_store(opened.url)
            except RunvitalsError as error:
                opened.problem, opened.tried_s = problem_of(error), now_s
                return opened.problem
        return opened.store
