"""Several recipes at once on one machine.

    python -m runvitals.trainers.recipes.fleet --demo     # four healthy runs and four sick ones, about four minutes

Importing torch, transformers and TRL takes longer than a toy run, so it is done once; each run is then a fork of this
process, with a session and a log file of its own (RUNVITALS_HOME/fleet/<name>.log). All of them end with the fleet.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import gc
import importlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, NoReturn

from runvitals.settings import Settings
from runvitals.trainers.recipes.faults import RecipeName

SILENCE_S = 150.0
"""How long a hung run is left alone once the others are done: two and a half times what the stall rule waits."""
GRACE_S = 5.0
POLL_S = 0.2

Expected = Literal["healthy"] | frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One run of a fleet. expect: "healthy", or the rules of which at least one must fire. hangs: it never ends by itself."""

    name: str
    recipe: RecipeName
    arguments: tuple[str, ...] = ()
    expect: Expected = "healthy"
    hangs: bool = False


class Handle:
    """A run that was started: its process and its log."""

    def __init__(self, entry: Entry, pid: int, log: Path) -> None:
        self.entry = entry
        self.pid = pid
        self.log = log
        self.exit_code: int | None = None

    def poll(self) -> int | None:
        """The exit code, negative for a signal, or None while the run goes on."""
        if self.exit_code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.exit_code = os.waitstatus_to_exitcode(status)
        return self.exit_code

    def silent_s(self, now_s: float) -> float:
        """Seconds since the run last said something; each step of a fleet's run writes a line."""
        return now_s - self.log.stat().st_mtime

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to the run, if it is still there."""
        if self.poll() is None:
            os.kill(self.pid, number)


def launch(entries: Sequence[Entry], home: Path) -> list[Handle]:
    """A handle for each entry, in order. Imports what training needs first; the runs die when this process does.

    home: where the runs write, and the toy models are kept.
    """
    _be_single_threaded(home)
    importlib.import_module("trl.trainer.sft_trainer")
    for recipe in sorted({entry.recipe for entry in entries}):
        importlib.import_module(f"runvitals.trainers.recipes.{recipe}").RECIPE.options()
    for name in ("runvitals.trainers.callback", "runvitals.trainers.recipes.loading"):
        importlib.import_module(name)
    logs = home / "fleet"
    logs.mkdir(parents=True, exist_ok=True)
    gc.collect()
    gc.freeze()  # what is imported stays shared between the processes
    lifeline, held = os.pipe()
    warm = _fork(partial(_prepare_toys, home), logs / "prepare.log", lifeline, held)
    os.waitpid(warm, 0)
    handles = []
    for entry in entries:
        log = logs / f"{entry.name}.log"
        handles.append(Handle(entry, _fork(partial(_train, entry), log, lifeline, held), log))
    os.close(lifeline)
    return handles


def _be_single_threaded(home: Path) -> None:
    """Settings that let many runs share few cores, and that a fork survives."""
    os.environ |= {
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "RUNVITALS_HOME": str(home),
    }
    import torch

    torch.set_num_threads(1)


def _prepare_toys(home: Path) -> int:
    """Trains the toy models once, before the runs that need them start side by side."""
    from runvitals.trainers.recipes import toy_model

    tokenizer, cache = toy_model.make_tokenizer(), home / "toy"
    toy_model.base(tokenizer, cache)
    toy_model.reward_model(tokenizer, cache)  # trains the policy too
    return 0


def _train(entry: Entry) -> int:
    module = importlib.import_module(f"runvitals.trainers.recipes.{entry.recipe}")
    arguments = ["--run_name", entry.name, "--disable_tqdm", "true", *entry.arguments]
    sys.argv = [module.__file__ or entry.recipe, *arguments]
    code: int = module.main(arguments)
    return code


def _fork(work: Callable[[], int], log: Path, lifeline: int, held: int) -> int:
    """The id of a new process that does the work, writes to the log, and ends with this one."""
    log.write_bytes(b"")
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        os.close(held)
        _live_apart(log, lifeline)
        _leave(work)
    return pid


def _live_apart(log: Path, lifeline: int) -> None:
    """A session, a log and default signals of its own; the end of the lifeline's other side is the end of this process."""
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(descriptor, stream.fileno())
    os.close(descriptor)

    def follow() -> None:
        os.read(lifeline, 1)  # nobody writes: it returns when the fleet has ended
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=follow, name="fleet-lifeline", daemon=True).start()


def _leave(work: Callable[[], int]) -> NoReturn:
    """Does the work and ends the process as the interpreter would, without going back into the fleet's stack."""
    code = 1
    try:
        code = work()
    except Exception as error:  # noqa: BLE001 - the last frame of the process: the interpreter would have caught it here
        sys.excepthook(type(error), error, error.__traceback__)
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def wait(handles: Sequence[Handle], *, silence_s: float = SILENCE_S, say: Callable[[str], None] = print) -> None:
    """Comes back when every run has ended; a run that hangs is killed once the others are done and it was silent long enough."""
    told: set[str] = set()
    while True:
        for handle in handles:
            if handle.poll() is not None and handle.entry.name not in told:
                told.add(handle.entry.name)
                say(f"{handle.entry.name}: ended with {handle.exit_code}")
        left = [handle for handle in handles if handle.poll() is None]
        if not left:
            return
        if all(handle.entry.hangs and handle.silent_s(time.time()) >= silence_s for handle in left):
            for handle in left:
                handle.send(signal.SIGKILL)
        time.sleep(POLL_S)


def stop(handles: Sequence[Handle], *, grace_s: float = GRACE_S) -> None:
    """Ends all runs: asks first, and after the grace period does not ask."""
    for handle in handles:
        handle.send(signal.SIGTERM)
    deadline_s = time.monotonic() + grace_s
    while any(handle.poll() is None for handle in handles) and time.monotonic() < deadline_s:
        time.sleep(POLL_S)
    for handle in handles:
        handle.send(signal.SIGKILL)
        if handle.exit_code is None:
            _, status = os.waitpid(handle.pid, 0)
            handle.exit_code = os.waitstatus_to_exitcode(status)


def unexpected(handles: Sequence[Handle]) -> list[str]:
    """A line for each run that did not end as it should have: all end with 0, but for those that hang."""
    return [
        f"{handle.entry.name} ended with {handle.exit_code}; see {handle.log}"
        for handle in handles
        if handle.exit_code != 0 and not handle.entry.hangs
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 0 where every run ended as it should have."""
    parser = argparse.ArgumentParser(
        prog="python -m runvitals.trainers.recipes.fleet",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--demo", action="store_true", required=True, help="run the demo fleet")
    parser.parse_args(argv)
    from runvitals.trainers.recipes.demo import DEMO

    def leave(number: int, _: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, leave)
    handles: list[Handle] = []
    try:
        print(f"starting {len(DEMO)} runs: {', '.join(entry.name for entry in DEMO)}", flush=True)
        handles = launch(DEMO, Settings.from_environment().home)
        wait(handles, say=lambda line: print(line, flush=True))
    except KeyboardInterrupt:
        with contextlib.suppress(KeyboardInterrupt):
            stop(handles)
        return 130
    wrong = unexpected(handles)
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
