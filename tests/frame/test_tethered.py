"""What we start ends with us, also where we are killed and can end nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from runvitals import tethered

PARENT = """
import os, sys
from runvitals import tethered
child = tethered.start(sys.argv[1:], os.environ, out=sys.stdout.fileno())
child.wait()
"""

OBEDIENT = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: (print("ended in order", flush=True), sys.exit(0)))
print("up", sys.argv[1:], __name__, flush=True)
while True:
    signal.pause()
"""

STUBBORN = """
import signal
from runvitals.tethered import end_with_parent
signal.signal(signal.SIGTERM, signal.SIG_IGN)
end_with_parent(grace_s=0.1)
while True:
    signal.pause()
"""


def module(folder: Path, text: str) -> dict[str, str]:
    """The environment in which `python -m told` runs the text."""
    (folder / "told.py").write_text(text)
    return {**os.environ, "PYTHONPATH": str(folder)}


def test_a_child_ends_in_order_when_its_parent_is_killed(tmp_path: Path) -> None:
    words = [sys.executable, "-c", PARENT, "told", "--option", "a"]
    with subprocess.Popen(words, env=module(tmp_path, OBEDIENT), stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "up ['--option', 'a'] __main__\n"
        parent.kill()
        # Both hold the pipe of the output; it is at its end only when the child has gone too.
        assert parent.stdout.read() == "ended in order\n"


def test_a_child_that_does_not_listen_is_ended(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", STUBBORN], stdin=subprocess.PIPE) as child:
        assert child.stdin is not None
        child.stdin.close()
        assert child.wait(timeout=30) == 1


def test_a_child_lives_while_its_parent_does(tmp_path: Path) -> None:
    read, write = os.pipe()
    child = tethered.start(["told"], module(tmp_path, OBEDIENT), out=write)
    os.close(write)
    with os.fdopen(read) as out:
        assert out.readline().startswith("up")
        assert child.poll() is None
        child.send_signal(signal.SIGTERM)
        assert out.read() == "ended in order\n"
    assert child.wait(timeout=30) == 0
    assert child.stdin is not None
    child.stdin.close()


def test_a_back_test_ends_with_who_asked_for_it(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "runvitals.backtest_job"]
    with socket.create_server(("127.0.0.1", 0)) as silent:  # a store that never answers, as a long replay would not
        store = f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/none"
        environ = {**os.environ, "RUNVITALS_HOME": str(tmp_path), "RUNVITALS_STORE": store}
        with subprocess.Popen(words, env=environ, stdin=subprocess.PIPE, text=True) as job:
            assert job.stdin is not None
            job.stdin.write(json.dumps({"runs": ["a"], "rules": "", "only": ""}) + "\n")
            job.stdin.flush()
            silent.settimeout(30)
            held, _ = silent.accept()  # it is at work
            assert job.poll() is None
            job.stdin.close()
            assert job.wait(timeout=30) == -signal.SIGTERM
            held.close()
