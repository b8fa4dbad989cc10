"""Alerts that a watcher hands back reach the W&B run of the training, and whatever W&B does, training does not notice."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runvitals.collectors.handed_back import LONGEST_FILE, HandedBack, Reader, file_for, hand_back
from runvitals.collectors.options import Options
from runvitals.collectors.run import Run
from runvitals.trainers.guard import FAILURES_TO_DISABLE, Guard
from runvitals.trainers.wandb_alerts import WandbAlerts
from runvitals.watch.message import About, Message
from runvitals.watch.wandb_notifier import WandbNotifier

EVERY_S = 0.01


class WandbRun:
    """What we use of a W&B run, with the checks of wandb 0.31's own `Run.alert`."""

    def __init__(self, *, fails: bool = False) -> None:
        self.alerts: list[tuple[str, str, str]] = []
        self.came = threading.Event()
        self.asked = 0
        self._fails = fails

    def alert(self, title: str, text: str, level: str | None = None, wait_duration: float | None = None) -> None:
        self.asked += 1
        if self._fails:
            raise RuntimeError("the run is finished")
        assert level in ("INFO", "WARN", "ERROR")
        assert len(title) < 64
        assert wait_duration and int(wait_duration * 1000) == 1
        self.alerts.append((title, text, level))
        self.came.set()


@pytest.fixture
def run(tmp_path: Path) -> Any:
    run = Run(tmp_path / "journal", "p", name="dpo", options=Options(sample=False, heartbeat_s=3600.0))
    yield run
    run.finish()


def message(run: Any, title: str = "Loss diverges · dpo", severity: str = "critical") -> Message:
    about = About(run_id=run.id, name="dpo")
    return Message(kind="firing", severity=severity, title=title, body="It rises.\nTwice.", about=about)


def quiet_guard() -> Guard:
    return Guard(lambda fault: None)


def ended(alerts: WandbAlerts) -> None:
    alerts.close()
    alerts._thread.join(10.0)
    assert not alerts._thread.is_alive()


def test_what_the_watcher_tells_reaches_the_wandb_run(run: Any) -> None:
    notifier, there = WandbNotifier(run.path.parent), WandbRun()
    assert notifier.send(message(run, "told to an earlier process")).taken
    alerts = WandbAlerts(run, quiet_guard(), find=lambda: there, every_s=EVERY_S)
    assert notifier.send(message(run)).taken
    assert there.came.wait(10.0)
    assert notifier.send(message(run, "x" * 200, "warning")).taken
    ended(alerts)
    assert there.alerts == [
        ("Loss diverges · dpo", "It rises.\nTwice.", "ERROR"),
        ("x" * 63, "It rises.\nTwice.", "WARN"),
    ]
    assert not file_for(run.path.parent, run.id).exists()


def test_alert_waits_until_wandb_has_a_run(run: Any) -> None:
    there, asked = WandbRun(), threading.Event()
    found: list[WandbRun] = []

    def find() -> WandbRun | None:
        asked.set()
        return found[0] if found else None

    alerts = WandbAlerts(run, quiet_guard(), find=find, every_s=EVERY_S)
    WandbNotifier(run.path.parent).send(message(run))
    assert asked.wait(10.0)
    found.append(there)
    assert there.came.wait(10.0)
    ended(alerts)
    assert len(there.alerts) == 1


def test_wandb_that_fails_is_left_alone_after_a_few_times(run: Any) -> None:
    faults: list[dict[str, Any]] = []
    there, guard = WandbRun(fails=True), Guard(faults.append)
    alerts = WandbAlerts(run, guard, find=lambda: there, every_s=EVERY_S)
    WandbNotifier(run.path.parent).send(message(run))
    alerts._thread.join(10.0)
    assert not alerts._thread.is_alive()
    assert there.asked == FAILURES_TO_DISABLE
    assert faults[-1]["disabled"]


def test_wandb_that_hangs_hangs_alone(run: Any) -> None:
    release, entered = threading.Event(), threading.Event()

    def hang(**given: Any) -> None:
        entered.set()
        release.wait(30.0)

    alerts = WandbAlerts(run, quiet_guard(), find=lambda: SimpleNamespace(alert=hang), every_s=EVERY_S)
    WandbNotifier(run.path.parent).send(message(run))
    assert entered.wait(10.0)
    alerts.close()  # returns
    run.log({"loss": 1.0}, step=1)
    release.set()
    alerts._thread.join(10.0)


def test_run_that_is_over_or_elsewhere_gets_no_file(tmp_path: Path) -> None:
    gone = SimpleNamespace(id="gone")
    assert WandbNotifier(tmp_path / "journal").send(message(gone)).taken
    assert list(tmp_path.iterdir()) == []


def test_file_is_bounded_and_a_torn_line_waits(tmp_path: Path) -> None:
    path = tmp_path / "a" / "r.jsonl"
    reader = Reader(path)
    got: list[HandedBack] = []
    alert = HandedBack(severity="info", title="t", text="x" * 100_000)
    for _ in range(20):
        hand_back(path, alert)
    assert path.stat().st_size <= LONGEST_FILE
    with path.open("ab") as stream:
        stream.write(b'{"severity": "info"')
    reader.take(got.append)
    assert got == [alert] * 10
    with path.open("ab") as stream:
        stream.write(b', "title": "u", "text": ""}\n')
    reader.take(got.append)
    assert got[10:] == [HandedBack(severity="info", title="u", text="")]


REAL = """
import sys, threading
from pathlib import Path
import wandb
from runvitals.collectors.options import Options
from runvitals.collectors.run import Run
from runvitals.trainers.guard import Guard
from runvitals.trainers.wandb_alerts import WandbAlerts
from runvitals.watch.message import About, Message
from runvitals.watch.wandb_notifier import WandbNotifier
there = wandb.init(project="p", mode="offline")
run = Run(Path("journal"), "p", name="dpo", options=Options(sample=False))
faults = []
alerts = WandbAlerts(run, Guard(faults.append), every_s=0.05)
about = About(run_id=run.id, name="dpo")
WandbNotifier(run.path.parent).send(Message(kind="firing", severity="critical", title="Planted title", body="Planted text", about=about))
alerts.close()
alerts._thread.join(30.0)
run.finish()
assert not faults, faults
there.finish()
"""


@pytest.mark.slow
def test_real_wandb_offline_records_the_alert(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    environ = {**os.environ, "WANDB_SILENT": "true", "WANDB_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", REAL], cwd=tmp_path, env=environ, check=True, timeout=180)
    (file,) = tmp_path.rglob("run-*.wandb")
    data = file.read_bytes()
    assert b"Planted title" in data
    assert b"Planted text" in data
    assert b"ERROR" in data


def test_training_that_asks_for_it_passes_alerts_on(run: Any, trainings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import TrainerCallback

    from runvitals.trainers.callback import Callback

    there = WandbRun()

    class Watcher(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *given: Any, **found: Any) -> None:
            monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(run=there))
            WandbNotifier(run.path.parent).send(message(run))

    trainer = trainings.build("pretrain", Callback(run=run, wandb_alerts=True), max_steps=1)
    trainer.add_callback(Watcher())
    trainer.train()
    assert there.came.wait(20.0)
    assert there.alerts[0][0] == "Loss diverges · dpo"
