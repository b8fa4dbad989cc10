"""A scene to watch: a folder of journals, a store, a clock that the test moves, and watchers over them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from shutil import copy
from typing import Any

import pytest

from runvitals.collectors.journal import files, read
from runvitals.collectors.options import Options
from runvitals.collectors.records import Beat
from runvitals.collectors.run import Run
from runvitals.store.open import open_store
from runvitals.watch.loop import Watcher
from runvitals.watch.notify import Console

T0 = 1_800_000_000.0


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now_s = T0

    def __call__(self) -> float:
        return self.now_s


def after_its_beat(run: Run) -> Run:
    """The run, once each of its writers' threads has written the heartbeat that comes at once, however late a busy machine lets it."""
    until_s = time.monotonic() + 60.0
    while not all(any(isinstance(record, Beat) for record in read(path).records) for path in files(run.path)):
        assert time.monotonic() < until_s, f"{run.path}: no heartbeat within a minute"
        time.sleep(0.001)
    return run


class Scene:
    """A folder of journals, a store, a clock, and watchers over them."""

    def __init__(self, folder: Path, *, migrated: Path) -> None:
        self.journals = folder / "journal"
        self.clock = Clock()
        folder.mkdir(parents=True, exist_ok=True)
        self.store = open_store(f"sqlite:///{copy(migrated, folder / 'runvitals.db')}")
        self.lines: list[str] = []
        self.alive: bool | None = True

    def run(self, name: str = "dpo", **config: Any) -> Run:
        """A run recorded by this process, on the scene's clock, without threads that write any more."""
        options = Options(sample=False, heartbeat_s=3600.0, clock=self.clock)
        return after_its_beat(Run(self.journals, "p", name=name, config=config, options=options))

    def watcher(self, **changes: Any) -> Watcher:
        given = {
            "notifiers": [Console(self.lines.append)],
            "clock": self.clock,
            "alive": self.is_alive,
            "store": self.store,
        } | changes
        return Watcher(self.journals, **given)

    def is_alive(self, info: Mapping[str, Any]) -> bool | None:
        return self.alive

    def train(self, run: Run, steps: range, loss: float | None = None, step_s: float = 1.0) -> None:
        """Logs falling losses with a little noise, one step a second."""
        for step in steps:
            self.clock.now_s += step_s
            value = 2.0 / (1 + 0.05 * step) + 0.01 * math.sin(step * 1.7) if loss is None else loss
            run.log({"loss": value, "grad_norm": 1.0 + 0.1 * math.sin(step), "learning_rate": 1e-4}, step=step)


@pytest.fixture
def scene(tmp_path: Path, migrated: Path) -> Scene:
    return Scene(tmp_path, migrated=migrated)


@pytest.fixture(scope="session")
def scene_in(migrated: Path) -> Callable[[Path], Scene]:
    """Makes the scene of a folder."""
    return partial(Scene, migrated=migrated)
