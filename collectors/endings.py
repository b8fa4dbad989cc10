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

from runvitals.collectors.rescue import Rescue


class Ending(Protocol):
    """What a run does when its process ends."""

    def note_exception(self, error: BaseException) -> None: ...
    def note_signal(self, number: int, *, deadly: bool) -> bool: ...
    def end(self) -> None: ...
    def go_inert(self) -> None: ...


_runs: weakref.WeakSet[Ending] = weakref.WeakSet()
_installed: set[str] = set()
_previous_term: signal.Handlers | signal._HANDLER = signal.SIG_DFL
_rescue: Rescue | None = None
_forking = threading.local()


def watch(run: Ending) -> None:
    """Lets the run know how the process ends. Signals are only watched where this is the main thread's doing."""
    _runs.add(run)
    if "hooks" not in _installed:
        _installed.add("hooks")
        atexit.register(_at_exit)
        os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork)
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


def _before_fork() -> None:
    """Holds SIGTERM back in this thread: a child must not get it while it still has the parent's handler and the parent's pipe."""
    _forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def _after_fork_in_parent() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _forking.mask)


def _after_fork() -> None:
    _unchain_term()
    signal.pthread_sigmask(signal.SIG_SETMASK, _forking.mask)
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
    """Puts our handler before the one that is there. Where that is the system's default, only with somebody to act for a stuck main thread."""
    global _previous_term, _rescue
    found = signal.getsignal(signal.SIGTERM)
    if found is None:  # set by C code: we could not put it back
        return
    if found is signal.SIG_DFL:
        _rescue = Rescue.begin(signal.SIGTERM, _on_term, note=_note_term)
        if _rescue is None:
            return
    _previous_term = found
    signal.signal(signal.SIGTERM, _on_term)


def _unchain_term() -> None:
    """In a forked child: SIGTERM does again what it did before us, so that a worker can be ended whatever it is busy with."""
    global _rescue
    if _rescue is not None:
        _rescue.forget()
        _rescue = None
    if signal.getsignal(signal.SIGTERM) is _on_term:
        signal.signal(signal.SIGTERM, _previous_term)
    _installed.discard("term")


def _on_term(number: int, frame: FrameType | None) -> None:
    if _note_term(number):
        _pass_on(number, frame)


def _note_term(number: int) -> bool:
    """True once every run has it."""
    deadly = _previous_term is signal.SIG_DFL
    noted = [run.note_signal(number, deadly=deadly) for run in list(_runs)]
    return all(noted)


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
