"""Reads the store for the pages. Whatever the store cannot do becomes a `Problem` to show, never a traceback on the screen."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import streamlit as st

from runvitals.errors import ForeignStore, NewerStore, RunvitalsError, SettingsError, StoreUnreachable, UnknownRun
from runvitals.settings import Settings
from runvitals.store import Store, open_store
from runvitals.store.types import LIVE, Axis, Envelope, Health, RunInfo, WatcherInfo

Result = TypeVar("Result")

WATCHER_SILENT_AFTER_S = 10.0
"""A watcher passes every second or so; one that has not for this long is taken for dead."""

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
    """Whether anybody watches. silent_s: since the newest watcher's last pass, None where there never was one."""

    alive: bool
    silent_s: float | None
    watcher: WatcherInfo | None


@dataclass(slots=True)
class _Opened:
    """One store of this process, opened at first use and again `RETRY_S` after a failure."""

    url: str
    store: Store | None = None
    problem: Problem | None = None
    tried_s: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)
    envelopes: OrderedDict[object, dict[str, Envelope]] = field(default_factory=OrderedDict)


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
            opened.store, opened.problem, opened.tried_s = None, problem_of(error), now_s
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
    """Whether a watcher made a pass within the last `WATCHER_SILENT_AFTER_S`."""
    newest = max(store.watchers(), key=lambda watcher: watcher.pass_s, default=None)
    if newest is None:
        return Watching(alive=False, silent_s=None, watcher=None)
    silent_s = max(0.0, now_s - newest.pass_s)
    return Watching(alive=silent_s < WATCHER_SILENT_AFTER_S, silent_s=silent_s, watcher=newest)


def shown_health(run: RunInfo, *, watched: bool) -> Health:
    """The run's health; unknown for a live run while nobody watches, for silence is not health."""
    return run.health if watched or run.status not in LIVE else "unknown"


def envelopes(store: Store, run: RunInfo, keys: Sequence[str], *, n: int, axis: Axis = "step") -> dict[str, Envelope]:
    """The whole run's series in at most n buckets each, read once for each revision of the run."""
    opened = _opened(settings().store)
    name = (run.id, run.revision, tuple(keys), n, axis)
    with opened.lock:
        if name in opened.envelopes:
            opened.envelopes.move_to_end(name)
            return opened.envelopes[name]
    found = store.envelope(run.id, list(keys), n=n, axis=axis)
    with opened.lock:
        opened.envelopes[name] = found
        while len(opened.envelopes) > 1024:
            opened.envelopes.popitem(last=False)
    return found


@st.cache_resource(show_spinner=False)
def _opened(url: str) -> _Opened:
    return _Opened(url=url)


def _open(opened: _Opened, now_s: float) -> Store | Problem:
    with opened.lock:
        if opened.store is None and (opened.problem is None or now_s - opened.tried_s >= RETRY_S):
            opened.tried_s, opened.problem = now_s, None
            try:
                opened.store = open_store(opened.url)
            except RunvitalsError as error:
                opened.problem = problem_of(error)
        if opened.store is not None:
            return opened.store
        return opened.problem or Problem(kind="store", title="Store", text="The store did not open.")
