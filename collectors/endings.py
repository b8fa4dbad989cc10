"""How a training process may end without telling us: its last exception, SIGTERM, the interpreter's end, a fork.

Hooks are put in once, keep what was there before and pass everything on, so that training ends as it would have without us.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import weakref
from types import FrameType, TracebackType
from typing import Protocol


class Ending(Protocol):
    """What a run does when its process ends."""

    def note_exception(self, error: BaseException) -> None: ...
    def note_signal(self, number: int, *, deadly: bool) -> bool: ...
    def end(self) -> None: ...
    def go_inert(self) -> None: ...


_runs: weakref.WeakSet[Ending] = weakref.WeakSet()
_installed: set[str] = set()
_previous_term: signal.Handlers | signal._HANDLER = signal.SIG_DFL


def watch(run: Ending) -> None:
    """Lets the run know how the process ends. Signals are only watched where this is the main thread's doing."""
    _runs.add(run)
    if "hooks" not in _installed:
        _installed.add("hooks")
        atexit.register(_at_exit)
        os.register_at_fork(after_in_child=_after_fork)
        _chain_excepthook()
    if "term" not in _installed and threading.current_thread() is threading.main_thread():
        _installed.add("term")
        _chain_term()


def forget(run: Ending) -> None:
    """The run has ended by itself."""
    _runs.discard(run)


def _at_exit() -> None:
    for run in list(_runs):
        run.end()


def _after_fork() -> None:
    for run in list(_runs):
        run.go_inert()
    _runs.clear()


def _chain_excepthook() -> None:
    previous = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not hasattr(sys, "ps1"):  # at a prompt the session goes on after an error
            for run in list(_runs):
                run.note_exception(error)
        previous(kind, error, trace)

    sys.excepthook = hook


def _chain_term() -> None:
    global _previous_term
    found = signal.getsignal(signal.SIGTERM)
    if found is None:  # set by C code: we could not put it back
        return
    _previous_term = found
    signal.signal(signal.SIGTERM, _on_term)


def _on_term(number: int, frame: FrameType | None) -> None:
    deadly = _previous_term is signal.SIG_DFL
    noted = [run.note_signal(number, deadly=deadly) for run in list(_runs)]
    if all(noted):
        _pass_on(number, frame)


def _pass_on(number: int, frame: FrameType | None) -> None:
    """Does what would have happened without us."""
    if callable(_previous_term):
        _previous_term(number, frame)
    elif _previous_term is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def send_again(number: int) -> None:
    """Repeats a signal that came while the run was busy writing; the handler runs in the main thread as before."""
    os.kill(os.getpid(), number)
