"""A store full of sample runs, and the app on it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from runvitals.settings import Settings
from runvitals.store import Store, open_store
from runvitals.up import end, free_port, wait_until_ready

ROOT = Path(__file__).parent.parent.parent
APP = ROOT / "dashboard" / "app.py"
COMPONENTS = ROOT / "dashboard" / "components"


@pytest.fixture
def store() -> Iterator[Store]:
    """The empty store of the test's own home; the app opens the same."""
    st.cache_resource.clear()
    settings = Settings.from_environment()
    settings.home.mkdir(parents=True)
    opened = open_store(settings.store)
    yield opened
    opened.close()
    st.cache_resource.clear()


@pytest.fixture
def sample(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """`scripts/sample_store.py`, which fills a store."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import sample_store

    return sample_store


@pytest.fixture
def watched(store: Store, sample: ModuleType) -> Store:
    """The store with the sample runs and a watcher that has just made a pass."""
    now_s = time.time()
    sample.fill(store, now_s=now_s)
    sample.beat(store, now_s=now_s)
    return store


@pytest.fixture
def beating(store: Store, sample: ModuleType) -> Iterator[None]:
    """A watcher's sign of life for as long as the test takes; without one the app would start a watcher in its midst."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(1.0):
            sample.beat(store, now_s=time.time())

    sample.beat(store, now_s=time.time())
    thread = threading.Thread(target=beat)
    thread.start()
    yield
    over.set()
    thread.join()


@pytest.fixture
def app() -> AppTest:
    """The app, not yet run."""
    return AppTest.from_file(str(APP), default_timeout=30)


@pytest.fixture
def running_app(store: Store, beating: None) -> Iterator[str]:
    """The address of the app on the test's home, started as a user would start it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(APP), "--server.port", str(port)]
    process = subprocess.Popen(command, env=dict(os.environ), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        waited_until = time.monotonic() + 60
        while not _answers(address):
            assert time.monotonic() < waited_until, "the app did not start"
            time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=20)


def _answers(address: str) -> bool:
    try:
        with urlopen(f"{address}/_stcore/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


@pytest.fixture
def serve() -> Iterator[Callable[..., tuple[str, subprocess.Popen[bytes]]]]:
    """Serves an app on the test's home, as plainly as can be, and gives its address and process; all end with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(app: Path = APP, *options: str) -> tuple[str, subprocess.Popen[bytes]]:
        port = free_port("127.0.0.1", 0)
        command = [sys.executable, "-m", "streamlit", "run", str(app), "--server.port", str(port), *options]
        process = subprocess.Popen(command, env=os.environ, stdout=subprocess.DEVNULL)
        started.append(process)
        wait_until_ready("127.0.0.1", port, process)
        return f"http://127.0.0.1:{port}", process

    yield start
    end(started)
