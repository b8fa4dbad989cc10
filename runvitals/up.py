"""Runs watcher and dashboard as two processes beside each other, and ends them together; killed itself, it takes them with it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from runvitals import tethered
from runvitals.errors import SettingsError
from runvitals.settings import Settings

APP = Path(__file__).parent / "dashboard" / "app.py"
READY_S = 60.0
END_S = 10.0
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0
LOOPBACK = ("localhost", "127.0.0.1", "::1")
EVERYWHERE = ("0.0.0.0", "::")

STEADY_S = 30.0
"""A watcher that lived this long was well; its next end is a first one again."""


class Together:
    """A watcher process and a dashboard process. A context manager: both are ended on the way out."""

    def __init__(
        self,
        settings: Settings,
        *,
        host: str,
        port: int,
        notify: Sequence[str] = (),
        names: Sequence[str] = (),
    ) -> None:
        self._settings = settings
        self._host = host
        self._names = names
        self._port = free_port(host, port)
        self._notify = notify
        self._watcher: subprocess.Popen[bytes] | None = None
        self._watcher_since_s = 0.0
        self._restart_wait_s = FIRST_WAIT_S
        self._dashboard: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where the dashboard is."""
        return (
            f"http://{'localhost' if self._host in ('127.0.0.1', '0.0.0.0', 'localhost') else self._host}:{self._port}"
        )

    def __enter__(self) -> Together:
        self._settings.make_home()
        self._start_watcher()
        self._dashboard = start_dashboard(self._settings, host=self._host, port=self._port, names=self._names)
        try:
            wait_until_ready(self._host, self._port, self._dashboard)
        except SettingsError:
            self.__exit__(None, None, None)
            raise
        return self

    def _start_watcher(self) -> None:
        self._watcher_since_s = time.monotonic()
        self._watcher = tethered.start(["runvitals", "watch"], _environment(self._settings, self._notify))

    def wait(self, stop: threading.Event) -> int:
        """Waits until `stop` is set (0) or the dashboard ends by itself (1). A watcher that ends is started again, after 1, 2, 4 … 60 s."""
        while not stop.wait(1.0):
            if self._dashboard is not None and self._dashboard.poll() is not None:
                print("runvitals: the dashboard ended by itself; see its last lines above", file=sys.stderr)  # noqa: T201
                return 1
            if self._watcher is not None and self._watcher.poll() is not None:
                tethered.let_go(self._watcher)
                self._restart_watcher(stop)
        return 0

    def _restart_watcher(self, stop: threading.Event) -> None:
        if time.monotonic() - self._watcher_since_s > STEADY_S:
            self._restart_wait_s = FIRST_WAIT_S
        print(  # noqa: T201 - the command's own output
            f"runvitals: the watcher ended by itself, see above; starting it again in {self._restart_wait_s:.0f} s",
            file=sys.stderr,
        )
        if not stop.wait(self._restart_wait_s):
            self._restart_wait_s = min(self._restart_wait_s * 2, LONGEST_WAIT_S)
            self._start_watcher()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        end([process for process in (self._dashboard, self._watcher) if process is not None])


def end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ends processes in order: SIGTERM, and SIGKILL to what is left after ten seconds."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
    for process in processes:
        try:
            process.wait(timeout=END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        tethered.let_go(process)


def start_dashboard(settings: Settings, *, host: str, port: int, names: Sequence[str] = ()) -> subprocess.Popen[bytes]:
    """The Streamlit server of the dashboard. names: under which it may be reached besides its own; see `allowed_hosts`."""
    words = dashboard_words(host=host, port=port, names=names)
    return tethered.start(words, _environment(settings, ()), out=subprocess.DEVNULL)


def dashboard_words(*, host: str, port: int, names: Sequence[str] = ()) -> list[str]:
    """Module and arguments that serve the dashboard. Theme and safety settings lie beside the app, in its own configuration."""
    return [
        *("streamlit", "run", str(APP)),
        *("--server.address", host, "--server.port", str(port), "--server.headless", "true"),
        *(word for name in allowed_hosts(host, names) for word in ("--server.allowedHosts", name)),
    ]


def allowed_hosts(host: str, names: Sequence[str]) -> tuple[str, ...]:
    """The names by which a browser may reach the dashboard: this machine's own, the address it binds to, and those that were named.

    A page of the web that lets its own name lead to this machine (DNS rebinding) reaches nothing then. Bound to every address without a name, the
    dashboard cannot know what it is called, and answers to any.
    """
    if host in EVERYWHERE:
        return (*LOOPBACK, *names) if names else ("*",)
    return tuple(dict.fromkeys((*LOOPBACK, host, *names)))


def serve_dashboard(
    settings: Settings, *, host: str, port: int, stop: threading.Event, names: Sequence[str] = ()
) -> int:
    """Serves the dashboard until `stop` is set (0) or it ends by itself (its status)."""
    port = free_port(host, port)
    process = start_dashboard(settings, host=host, port=port, names=names)
    try:
        wait_until_ready(host, port, process)
        print(f"runvitals  http://{host}:{port}", flush=True)  # noqa: T201 - the command's own output
        while not stop.wait(1.0):
            if process.poll() is not None:
                return process.returncode or 1
        return 0
    finally:
        end([process])


def wait_until_ready(host: str, port: int, process: subprocess.Popen[bytes]) -> None:
    """Returns when the dashboard answers. Raises SettingsError where it ends first or says nothing for a minute."""
    url = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}/_stcore/health"
    deadline_s = time.monotonic() + READY_S
    while time.monotonic() < deadline_s:
        if process.poll() is not None:
            raise SettingsError(
                "the dashboard did not start: is runvitals[dashboard] installed? Its own message stands above"
            )
        try:
            with urllib.request.urlopen(url, timeout=1.0):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise SettingsError(f"the dashboard did not answer on {host}:{port} within {READY_S:.0f} s")


def free_port(host: str, port: int) -> int:
    """The port, or a free one for 0. Raises SettingsError where it is taken."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SettingsError(
                f"--port {port} on --host {host}: {error.strerror}. Name a free one, or 0 to have one picked"
            ) from error
        return int(probe.getsockname()[1])


def _environment(settings: Settings, notify: Sequence[str]) -> dict[str, str]:
    """The environment of the two processes: the same home and store, and the receivers, which must not stand in a process list."""
    receivers = " ".join((*settings.notify, *notify))
    return {
        **os.environ,
        "RUNVITALS_HOME": str(settings.home),
        "RUNVITALS_STORE": settings.store,
        **({"RUNVITALS_NOTIFY": receivers} if receivers else {}),
    }
