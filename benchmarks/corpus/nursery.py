"""Processes for runs that need not import torch, transformers and TRL again: a third of a toy run's time is importing.

A nursery is one process that has imported everything and forks a child a run. The child leaves the loop and ends as any interpreter does,
so that exit hooks and uncaught exceptions work as in a program of its own (which multiprocessing's children do not).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

HERE = Path(__file__).parent


class Nursery:
    """The side that asks. One run at a time; not for use by several threads at once."""

    def __init__(self) -> None:
        environ = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        command = [sys.executable, str(HERE / "nursery.py")]
        self._process = subprocess.Popen(
            command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )

    def start(self, recipe: str, cause: str, arguments: list[str], *, home: Path, log: Path) -> int:
        """Starts a run; the number of its process, which leads a process group of its own."""
        request = {"recipe": recipe, "cause": cause, "arguments": arguments, "home": str(home), "log": str(log)}
        print(json.dumps(request), file=_open(self._process.stdin), flush=True)
        return int(self._told()["pid"])

    def exit_code(self) -> int:
        """Waits for the run to end; minus the signal's number where one killed it."""
        return int(self._told()["code"])

    def close(self) -> None:
        """Ends the nursery; a run that is under way is not ended."""
        self._process.kill()
        self._process.wait()

    def _told(self) -> dict[str, Any]:
        line = _open(self._process.stdout).readline()
        if not line:
            raise RuntimeError(f"the nursery of runs died with exit code {self._process.wait()}")
        told: dict[str, Any] = json.loads(line)
        return told


def _open(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


def serve() -> dict[str, Any] | None:
    """Forks a child for each request on standard input. In a child: its request; in the parent None, once nobody asks any more."""
    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        pid = os.fork()
        if pid == 0:
            return request
        print(json.dumps({"pid": pid}), flush=True)
        _, status = os.waitpid(pid, 0)
        print(json.dumps({"code": os.waitstatus_to_exitcode(status)}), flush=True)
    return None


def settle(request: dict[str, Any]) -> None:
    """Makes a forked child a process of its own: session, standard streams, home."""
    os.setsid()
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.environ["RUNVITALS_HOME"] = request["home"]


if __name__ == "__main__":
    import warm  # noqa: F401  # what the children need not import
    from one_run import main

    asked = serve()
    if asked is not None:
        settle(asked)
        main(asked["recipe"], asked["cause"], asked["arguments"])
