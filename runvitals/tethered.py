"""`python -m runvitals.tethered MODULE ARGUMENT…`: a module as a process that ends with the process that started it, however that ends.

Standard input is a pipe of which the parent alone holds the other end. The kernel closes it with the parent, also where that was killed
with -9 and could end nothing. Linux's own signal for it (PR_SET_PDEATHSIG) comes when the *thread* that started the process ends, which in the
web process is right after the start.
"""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import IO, NoReturn

GRACE_S = 15.0
"""How long the process may take to end in order before it is ended as it is."""


def start(
    words: Sequence[str], environ: Mapping[str, str], *, out: IO[bytes] | int | None = None, both: bool = False
) -> subprocess.Popen[bytes]:
    """A process of its own session that runs `python -m WORDS` and ends with this one; it lives as long as the returned object.

    out: its standard output. both: its errors go there too.
    """
    return subprocess.Popen(
        [sys.executable, "-m", "runvitals.tethered", *words],
        env=dict(environ),
        stdin=subprocess.PIPE,
        stdout=out,
        stderr=subprocess.STDOUT if both else None,
        start_new_session=True,
    )


def let_go(process: subprocess.Popen[bytes]) -> None:
    """Closes our end of the pipe of a process that has ended."""
    if process.stdin is not None:
        process.stdin.close()


def end_with_parent(descriptor: int = 0, *, grace_s: float = GRACE_S) -> None:
    """From now on SIGTERM comes to this process when all that stands in the pipe was read and its other end is closed."""

    def follow() -> NoReturn:
        while os.read(descriptor, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(grace_s)
        os._exit(1)

    threading.Thread(target=follow, name="runvitals-tether", daemon=True).start()


def main() -> None:
    """Runs the module that the first argument names, as `python -m` would."""
    end_with_parent()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
