"""The store goes away for a while, and comes back: journals wait, nothing is lost, nothing is told twice."""

from __future__ import annotations

import math
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from runvitals.collectors.options import Options
from runvitals.collectors.run import Run
from runvitals.errors import StoreUnreachable
from runvitals.store.open import open_store
from tests.postgres_server import postgres_server

AWAY_S = float(os.environ.get("RUNVITALS_TEST_OUTAGE_S", "3"))
PATIENCE_S = 60.0 + AWAY_S


class Server:
    """A real PostgreSQL server of the test's own, which it may kill."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self.url: str = server.get_uri()

    def kill(self) -> None:
        """Ends the server's first process with SIGKILL; the others follow."""
        os.kill(self._server.get_pid(), signal.SIGKILL)

    def stop(self) -> None:
        """Ends the server as its administrator would."""
        self._server.stop()

    def start(self) -> None:
        """Starts it again; right after a kill its other processes may still be there."""
        wait_for(self._started)

    def _started(self) -> bool:
        try:
            self._server.ensure_postgres_running()
        except (RuntimeError, subprocess.SubprocessError):
            return False
        return True


@pytest.fixture
def server() -> Iterator[Server]:
    with postgres_server("runvitals-outage-") as found:
        yield Server(found)


def wait_for(condition: Callable[[], Any]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.1)


class Training:
    """A thread that logs a row every 10 ms, with NaN for a while once `spoil` is set."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.step = 0
        self.spoil = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._train)
        self._thread.start()

    def _train(self) -> None:
        while not self._stop.wait(0.01):
            self.step += 1
            self.run.log({"loss": math.nan if self.spoil else 1.0 + 0.01 * math.sin(self.step)}, step=self.step)

    def end(self) -> None:
        """Ends the run."""
        self._stop.set()
        self._thread.join()
        self.run.finish()


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.parametrize("end", ["kill", "stop"])
def test_server_that_goes_away_and_comes_back_loses_and_doubles_nothing(
    server: Server, tmp_path: Path, end: str, request: pytest.FixtureRequest
) -> None:
    journals = tmp_path / "journal"
    store = open_store(server.url)
    request.addfinalizer(store.close)
    environ = {**os.environ, "RUNVITALS_HOME": str(tmp_path), "RUNVITALS_STORE": server.url}
    command = [sys.executable, "-m", "runvitals", "watch", "--interval", "0.1"]
    run = Run(journals, "p", name="long", options=Options(run_id="the-run", sample=False))
    run.event("trainer", {"kind": "sft", "max_steps": 100_000})
    training = Training(run)
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watcher:
        try:
            wait_for(lambda: any((info.last_step or 0) > 100 for info in store.runs()))
            getattr(server, end)()
            training.spoil = True
            run.alert("Odd sample", "while the store is away", "critical")
            time.sleep(AWAY_S)  # the outage itself
            server.start()
            wait_for(lambda: any(row.rule == "non_finite" for row in store.alerts(run_id="the-run")))
            training.spoil = False
            wait_for(lambda: {row.rule for row in store.alerts(run_id="the-run", states=("firing",))} == {"user_alert"})
            assert watcher.poll() is None
            training.end()
            wait_for(lambda: not any(journals.iterdir()))
        finally:
            training.end()
            watcher.terminate()
            said, complained = watcher.communicate(timeout=60)
    assert store.read("the-run", "loss").steps.tolist() == list(range(1, training.step + 1))
    assert store.run("the-run").status == "finished"
    rows = [row for row in store.alerts(run_id="the-run") if row.rule == "non_finite"]
    assert [row.state for row in rows] == ["resolved"]
    # What still waited for others of its incident is told by the next watcher.
    for _ in range(2):
        ending = subprocess.run([*command[:-2], "--once"], env=environ, capture_output=True, text=True, check=True)
        said += ending.stdout
    told = [line for line in said.splitlines() if "Odd sample" in line]
    assert [line[:1] for line in told] == ["◆"], said
    assert "journals wait" in complained
    assert "Traceback" not in complained


def test_store_file_that_another_process_locks_is_waited_for(scene: Any, tmp_path: Path) -> None:
    """SQLite waits for a lock for a while itself; what then fails is as harmless as a server that is away."""
    run = scene.run()
    scene.train(run, range(1, 11))
    store = open_store(f"sqlite:///{tmp_path / 'runvitals.db'}")
    event.listen(
        store._database.engine, "begin", lambda begun: begun.exec_driver_sql("PRAGMA busy_timeout=50"), insert=True
    )
    watcher = scene.watcher(store=store)
    watcher.step()
    scene.train(run, range(11, 21))
    with sqlite3.connect(tmp_path / "runvitals.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        for _ in range(3):
            with pytest.raises(StoreUnreachable, match="lock"):
                watcher.step()
        other.execute("ROLLBACK")
    watcher.step()
    assert scene.store.read(run.id, "loss").steps.tolist() == list(range(1, 21))
    run.finish()


def test_disk_of_the_store_that_is_full_for_a_while_costs_nothing(scene: Any, tmp_path: Path) -> None:
    run = scene.run()
    scene.train(run, range(1, 11))
    store = open_store(f"sqlite:///{tmp_path / 'runvitals.db'}")
    full = threading.Event()
    limit_pages(store, full)
    watcher = scene.watcher(store=store)
    watcher.step()
    full.set()
    for step in range(11, 5000):
        run.log({f"key/{number}": float(step * number) for number in range(20)}, step=step)
    with pytest.raises(StoreUnreachable, match="full"):
        watcher.step()
    with pytest.raises(StoreUnreachable, match="full"):
        watcher.step()
    full.clear()
    run.finish()
    watcher.run_once()
    assert scene.store.read(run.id, "key/3").steps.tolist() == list(range(11, 5000))
    assert not any(scene.journals.iterdir())


def limit_pages(store: Any, full: threading.Event) -> None:
    """Lets SQLite refuse to grow while `full` is set, as on a full disk."""

    def begin(connection: Any) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar() if full.is_set() else 2**30
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    event.listen(store._database.engine, "begin", begin)
