"""Back-tests asked for on the page: one process at a time, the others wait in line, each can be cancelled.

The work itself is `python -m runvitals.backtest_job`, so that no viewer waits for it. What came of the newest ones is kept in memory.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import streamlit as st

from runvitals.settings import Settings

State = Literal["waiting", "running", "done", "cancelled", "failed"]

MOST_RUNS = 50
MOST_WAITING = 8
MOST_KEPT = 24
LONGEST_S = 1800.0
"""A back-test that has not ended by then is ended."""

Start = Callable[[Settings], "subprocess.Popen[str]"]


@dataclass(slots=True)
class Trial:
    """One back-test. results: by run, what the job told of it. at: the run under way and how far it is. text: why it failed."""

    id: str
    run_ids: Sequence[str]
    rules: str
    only: str
    asked_s: float
    state: State = "waiting"
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    at: Mapping[str, Any] | None = None
    text: str = ""


@dataclass(slots=True)
class Trials:
    """All back-tests of this process."""

    start: Start
    _kept: OrderedDict[str, Trial] = field(default_factory=OrderedDict)
    _waiting: deque[Trial] = field(default_factory=deque)
    _running: tuple[Trial, subprocess.Popen[str]] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _thread: threading.Thread | None = None

    def ask(self, run_ids: Sequence[str], rules: str, only: str, *, settings: Settings, now_s: float) -> Trial | str:
        """The back-test, in line; or why it is refused."""
        wanted = tuple(dict.fromkeys(run_ids))
        if not wanted:
            return "Choose at least one run."
        if len(wanted) > MOST_RUNS:
            return f"At most {MOST_RUNS} runs at once; {len(wanted)} are chosen."
        with self._lock:
            if len(self._waiting) >= MOST_WAITING:
                return f"{MOST_WAITING} back-tests wait already; try again when one is done."
            trial = Trial(id=uuid.uuid4().hex[:10], run_ids=wanted, rules=rules, only=only, asked_s=now_s)
            self._kept[trial.id] = trial
            over = [name for name, one in self._kept.items() if one.state in ("done", "cancelled", "failed")]
            for name in over[: max(0, len(self._kept) - MOST_KEPT)]:
                del self._kept[name]
            self._waiting.append(trial)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=self._work, args=(settings,), name="runvitals-backtest", daemon=True
                )
                self._thread.start()
        return trial

    def get(self, trial_id: str) -> Trial | None:
        """The back-test of this id; None where it is unknown, or too old to be kept."""
        with self._lock:
            return self._kept.get(trial_id)

    def ahead(self, trial: Trial) -> int:
        """How many are done before this one begins."""
        with self._lock:
            return list(self._waiting).index(trial) + (self._running is not None) if trial in self._waiting else 0

    def cancel(self, trial_id: str) -> None:
        """Ends a back-test that waits or runs; what it found so far stays."""
        with self._lock:
            trial = self._kept.get(trial_id)
            if trial is None or trial.state not in ("waiting", "running"):
                return
            trial.state = "cancelled"
            if trial in self._waiting:
                self._waiting.remove(trial)
            if self._running is not None and self._running[0] is trial:
                self._running[1].terminate()

    def close(self) -> None:
        """Ends what runs, with the process."""
        with self._lock:
            self._waiting.clear()
            if self._running is not None:
                self._running[1].terminate()

    def _work(self, settings: Settings) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return
                trial = self._waiting.popleft()
                try:
                    process = self.start(settings)
                except OSError as error:
                    trial.state, trial.text = "failed", f"The back-test could not be started: {error}"
                    continue
                trial.state = "running"
                self._running = (trial, process)
            limit = threading.Timer(LONGEST_S, self._too_long, (trial, process))
            limit.start()
            try:
                self._follow(trial, process)
            finally:
                limit.cancel()
                with self._lock:
                    self._running = None

    def _too_long(self, trial: Trial, process: subprocess.Popen[str]) -> None:
        trial.text = f"It took longer than {LONGEST_S / 60:.0f} min and was ended; choose fewer runs."
        process.terminate()

    def _follow(self, trial: Trial, process: subprocess.Popen[str]) -> None:
        """Takes in what the job tells until it ends."""
        ended = False
        # One that was cancelled before it read its request leaves it in the pipe, whose closing then fails.
        with suppress(BrokenPipeError), process:
            try:
                request = {"runs": list(trial.run_ids), "rules": trial.rules, "only": trial.only}
                assert process.stdin is not None and process.stdout is not None
                process.stdin.write(json.dumps(request) + "\n")
                process.stdin.flush()  # and left open: its end is how the job learns that this process is gone
                for line in process.stdout:
                    ended = _take(trial, json.loads(line)) or ended
            except (OSError, ValueError) as error:
                trial.text = trial.text or f"The back-test broke off: {error}"
                process.kill()
        with self._lock:
            trial.at = None
            if trial.state == "running":
                trial.state = "done" if ended else "failed"
                if not ended:
                    trial.text = trial.text or f"The back-test ended early, with exit code {process.returncode}."


def _take(trial: Trial, told: Mapping[str, Any]) -> bool:
    """Keeps one line of the job; true for its last."""
    kind = told["kind"]
    if kind == "at":
        trial.at = told
    elif kind in ("run", "failed"):
        trial.results = {**trial.results, str(told["run"]): dict(told)}
        trial.at = None
    elif kind == "broken":
        trial.text = str(told["text"])
    return bool(kind == "done")


@st.cache_resource(show_spinner=False)
def trials() -> Trials:
    """Those of this process."""
    made = Trials(start=start_job)
    atexit.register(made.close)
    return made


def start_job(settings: Settings) -> subprocess.Popen[str]:
    """A job on the store of these settings, waiting for its request."""
    environment = {**os.environ, "RUNVITALS_HOME": str(settings.home), "RUNVITALS_STORE": settings.store}
    return subprocess.Popen(
        [sys.executable, "-m", "runvitals.backtest_job"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
        env=environment,
    )
