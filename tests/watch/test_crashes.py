"""A watcher that is killed anywhere: another goes on, and the store holds what it would have held."""

from __future__ import annotations

import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from runvitals.collectors.options import Options
from runvitals.collectors.run import Run
from runvitals.store.store import Store
from runvitals.watch.leases import LEASE_S

CHANGES_FILES = ("unlink", "replace", "rmdir", "write_text")
STAGES = (0.4, 0.7, 1.0)


class KilledError(BaseException):
    """The watcher is gone."""


class Bomb:
    """Counts the moments at which a watcher may be killed, and kills it at one of them."""

    def __init__(self, at: int | None = None) -> None:
        self.at = at
        self.moments: list[str] = []

    def tick(self, moment: str) -> None:
        """One moment passes."""
        self.moments.append(moment)
        if len(self.moments) - 1 == self.at:
            raise KilledError(moment)

    def around(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The call, with a moment before and one after it."""

        def called(*arguments: Any, **named: Any) -> Any:
            self.tick(f"before {name}")
            answer = call(*arguments, **named)
            self.tick(f"after {name}")
            return answer

        return called


class MinedStore:
    """The real store, with a bomb at every call."""

    def __init__(self, store: Store, bomb: Bomb) -> None:
        self._store, self._bomb = store, bomb

    def __getattr__(self, name: str) -> Any:
        return self._bomb.around(name, getattr(self._store, name))


@contextmanager
def mined_files(bomb: Bomb) -> Iterator[None]:
    """Puts the bomb at everything that changes files."""
    with pytest.MonkeyPatch.context() as patch:
        for name in CHANGES_FILES:
            patch.setattr(Path, name, bomb.around(f"file {name}", getattr(Path, name)))
        yield


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, scene_in: Any) -> Path:
    """A run of two ranks with a fault, a recovery and alerts of its own, in several files each, and an empty store."""
    folder = tmp_path_factory.mktemp("recorded")
    scene = scene_in(folder)
    ranks = []
    with pytest.MonkeyPatch.context() as patch:
        for rank in range(2):
            patch.setenv("RANK", str(rank))
            options = Options(run_id="the-run", sample=False, heartbeat_s=3600.0, clock=scene.clock, rotate_bytes=4096)
            ranks.append(Run(scene.journals, "p", name="two", config={"lr": 1e-4}, options=options))
    ranks[0].event("trainer", {"kind": "sft", "max_steps": 100})
    for step in range(1, 101):
        scene.clock.now_s += 0.5
        loss = math.nan if 45 <= step < 50 else 2.0 / (1 + 0.05 * step) + 0.01 * math.sin(step * 1.7)
        for rank in ranks:
            rank.log({"loss": loss, "grad_norm": 1.0 + 0.1 * math.sin(step)}, step=step)
        if step in (20, 80):
            ranks[1].alert("Odd sample", f"at {step}")
    for rank in ranks:
        rank.finish()
    (folder / "end_s").write_text(str(scene.clock.now_s))
    scene.store.close()
    return folder


def watch(recorded: Path, folder: Path, scene_in: Any, bomb: Bomb) -> dict[str, Any]:
    """What the store holds after the run was watched while it grew, by watchers of which the first may be killed."""
    folder.mkdir()
    scene = scene_in(folder)
    scene.clock.now_s = float((recorded / "end_s").read_text())
    watcher = scene.watcher(store=MinedStore(scene.store, bomb))
    for stage, share in enumerate(STAGES):
        grow(recorded / "journal" / "the-run", scene.journals / "the-run", STAGES[stage - 1] if stage else 0.0, share)
        try:
            with mined_files(bomb):
                watcher.run_once()
        except KilledError:
            watcher = scene.watcher()
            scene.clock.now_s += LEASE_S + 1
            watcher.run_once()
    if len(bomb.moments) - 1 == bomb.at and not gone(scene.journals):
        watcher.run_once()
    assert gone(scene.journals)
    return held(scene)


def gone(journals: Path) -> bool:
    return not any(journals.iterdir())


def grow(whole: Path, part: Path, before: float, share: float) -> None:
    """Lets the files that a watcher sees grow from one share of their bytes to another, torn wherever that is."""
    part.mkdir(parents=True, exist_ok=True)
    for writer in {path.name.rpartition("-")[0] for path in whole.iterdir()}:
        files = sorted(whole.glob(f"{writer}-*"), key=lambda path: int(path.stem.rpartition("-")[2]))
        ends = [int(sum(path.stat().st_size for path in files) * place) for place in (before, share)]
        began = 0
        for path in files:
            data = path.read_bytes()
            fresh = data[max(ends[0] - began, 0) : max(ends[1] - began, 0)]
            began += len(data)
            if fresh:
                with (part / path.name).open("ab") as stream:
                    stream.write(fresh)


def held(scene: Any) -> dict[str, Any]:
    """Everything that a watcher is to leave behind; the order of what two ranks did at the same time does not count."""
    store = scene.store
    points = {
        key: [tuple(column.tobytes() for column in (read.steps, read.times_s, read.values))]
        for key in store.keys("the-run")
        for read in [store.read("the-run", key)]
    }
    run = store.run("the-run")
    return {
        "points": points,
        "events": sorted(
            (row.writer_id, row.seq, row.time_s, row.kind, str(row.data)) for row in store.events("the-run")
        ),
        "alerts": sorted(
            (
                row.id,
                row.state,
                row.severity,
                row.incident,
                str(row.fired_step),
                str(row.resolved_step),
                row.detail["sentence"],
            )
            for row in store.alerts(run_id="the-run")
        ),
        "run": (run.status, run.health, run.alerts, run.finding, run.last_step, run.ended_s, run.phase),
        "writers": sorted((state.writer_id, state.last_seq) for state in store.writers("the-run")),
        "told": Counter(scene.lines),
    }


@pytest.mark.slow
def test_watcher_killed_before_or_after_any_step_changes_nothing(recorded: Path, tmp_path: Path, scene_in: Any) -> None:
    calm = Bomb()
    expected = watch(recorded, tmp_path / "calm", scene_in, calm)
    assert {row[0].split(":")[1] for row in expected["alerts"]} >= {"non_finite", "user_alert"}
    assert {"loss", "rank/1/loss"} <= expected["points"].keys()
    assert {"before compact", "before file unlink"} <= set(calm.moments)
    for at, moment in enumerate(calm.moments):
        found = watch(recorded, tmp_path / str(at), scene_in, Bomb(at))
        told, was_told = found.pop("told"), expected["told"]
        assert found == {key: value for key, value in expected.items() if key != "told"}, (at, moment)
        # What was on its way when the watcher was killed may have been told: better twice than never.
        asked, marked = (calm.moments[: at + 1].count(moment) for moment in ("before told", "after mark_told"))
        assert was_told <= told <= Counter({line: 2 * times for line, times in was_told.items()}), (at, moment)
        if not asked or marked == was_told.total():
            assert told == was_told, (at, moment)
        shutil.rmtree(tmp_path / str(at))


@pytest.mark.slow
def test_process_killed_again_and_again_while_it_catches_up_loses_and_doubles_nothing(
    recorded: Path, tmp_path: Path, scene_in: Any
) -> None:
    scene = scene_in(tmp_path)
    for number in range(12):
        run = scene.run(f"run {number}")
        scene.train(run, range(1, 1001), loss=math.nan if number == 7 else None, step_s=0.1)
        run.finish()
    ids = {folder.name for folder in scene.journals.iterdir()}
    environ = {**os.environ, "RUNVITALS_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "runvitals", "watch", "--interval", "0.1"]
    for share in (0.05, 0.3, 0.6, 0.9):  # of the runs gone when the watcher is killed
        with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as watcher:
            deadline_s = time.monotonic() + 120.0
            while len(list(scene.journals.glob("*/"))) > (1 - share) * len(ids):
                assert time.monotonic() < deadline_s and watcher.poll() is None
                time.sleep(0.01)
            watcher.send_signal(signal.SIGKILL)
    subprocess.run([*command[:-2], "--once"], env=environ, check=True, timeout=120, stdout=subprocess.DEVNULL)
    assert gone(scene.journals)
    for run_id in ids:
        assert scene.store.read(run_id, "loss").steps.tolist() == list(range(1, 1001))
        assert scene.store.run(run_id).status == "finished"
        assert len({row.id for row in scene.store.alerts(run_id=run_id)}) == len(scene.store.alerts(run_id=run_id))
