"""The callback in a process that is not the first: which run it joins, and when it leaves everything alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import runvitals
from runvitals.collectors import journal
from runvitals.collectors.options import Options
from runvitals.collectors.records import Event, Record, Rows
from runvitals.collectors.run import Run
from runvitals.trainers import callback as module
from runvitals.trainers.callback import Callback
from runvitals.trainers.meeting import Meeting
from runvitals.watch.batches import rows

CONTROL = SimpleNamespace(should_save=False, should_evaluate=False)


class Place:
    """A store where two processes meet, and the run of the first."""

    def __init__(self, folder: Path) -> None:
        self.store = torch.distributed.HashStore()
        self.run = Run(folder, "p", name="n", options=Options(sample=False))
        self.files = set(self.run.path.glob("*.rvj"))

    def tell(self) -> None:
        Meeting(self.store, 1).tell(self.run)

    def of_the_other(self) -> list[Record]:
        """What the process that is not the first wrote."""
        return [one for path in set(self.run.path.glob("*.rvj")) - self.files for one in journal.read(path).records]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    found = Place(tmp_path / "journal")
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("RUNVITALS_HOME", str(tmp_path))
    monkeypatch.setattr(module, "WAIT_S", 0.0)
    monkeypatch.setattr(module, "next_meeting", lambda: Meeting(found.store, 1))
    yield found
    found.run.finish()


def state(step: int = 0, *, first: bool = False) -> Any:
    return SimpleNamespace(global_step=step, is_world_process_zero=first, max_steps=4, stateful_callbacks={})


def train(callback: Callback, steps: range, model: Any, *, before: dict[int, Any] | None = None) -> None:
    """A trainer's events over some steps. before: what happens before a step."""
    for step in steps:
        if before and step in before:
            before[step]()
        callback.on_step_begin(None, state(step), CONTROL, model=model)
        model(torch.ones(1, 2)).sum().backward()
        callback.on_step_end(None, state(step + 1), CONTROL, model=model)
        callback.on_log(None, state(step + 1), CONTROL, logs={"loss": 1.0})


def steps_of(records: list[Record]) -> list[int]:
    return [row.step for record in records if isinstance(record, Rows) for row in rows(record)]


def test_a_process_logs_its_steps_into_the_run_of_the_first_and_ends_its_part(place: Place) -> None:
    place.tell()
    callback, model = Callback(), torch.nn.Linear(2, 2)
    callback.on_train_begin(None, state(), CONTROL, model=model)
    train(callback, range(4), model)
    callback.on_train_end(None, state(4), CONTROL, model=model)
    told = place.of_the_other()
    assert steps_of(told) == [1, 2, 3, 4]
    assert [one.data["status"] for one in told if isinstance(one, Event) and one.kind == "finish"] == ["finished"]
    assert not model._forward_hooks
    assert not place.run.ended


def test_a_first_process_that_was_held_up_is_joined_as_soon_as_it_is_there(place: Place) -> None:
    callback, model = Callback(), torch.nn.Linear(2, 2)
    callback.on_train_begin(None, state(), CONTROL, model=model)
    train(callback, range(4), model, before={2: place.tell})
    callback.on_train_end(None, state(4), CONTROL, model=model)
    assert steps_of(place.of_the_other()) == [3, 4]


def test_a_process_whose_first_records_nothing_records_nothing(place: Place) -> None:
    Meeting(place.store, 1).tell(None)
    callback, model = Callback(), torch.nn.Linear(2, 2)
    callback.on_train_begin(None, state(), CONTROL, model=model)
    train(callback, range(4), model)
    callback.on_train_end(None, state(4), CONTROL, model=model)
    assert place.of_the_other() == []
    assert callback.guard.counts == {}


def test_a_run_that_the_user_began_on_every_rank_stays_the_users_to_finish(place: Place) -> None:
    place.tell()
    mine = runvitals.init(resume=place.run.id, options=Options(sample=False))
    callback, model = Callback(), torch.nn.Linear(2, 2)
    callback.on_train_begin(None, state(), CONTROL, model=model)
    train(callback, range(2), model)
    callback.on_train_end(None, state(2), CONTROL, model=model)
    assert not mine.ended
    mine.finish()
    assert steps_of(place.of_the_other()) == [1, 2]
    assert len(set(place.run.path.glob("*.rvj")) - place.files) == 1


def test_a_first_process_that_cannot_begin_lets_nobody_wait(place: Place) -> None:
    broken = Callback(run=object())  # has none of a run's methods
    broken.on_train_begin(SimpleNamespace(), state(first=True), CONTROL, model=torch.nn.Linear(2, 2))
    assert place.store.get("runvitals/run/1") == b"null"


def test_a_folder_that_cannot_be_written_stops_nothing(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    place.run.path = tmp_path / "file" / "journal" / place.run.id
    place.tell()
    callback, model = Callback(), torch.nn.Linear(2, 2)
    callback.on_train_begin(None, state(), CONTROL, model=model)
    train(callback, range(2), model)
    callback.on_train_end(None, state(2), CONTROL, model=model)
    assert callback.guard.counts == {}
    assert "training goes on" in capsys.readouterr().err
