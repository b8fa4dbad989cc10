"""What is told of evaluations outside of a training, and of trainings whose exception somebody caught."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runvitals.collectors import face, journal
from runvitals.collectors.records import Event, Rows
from runvitals.trainers.callback import Callback

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::FutureWarning:(trl|transformers|torch|accelerate|peft|datasets).*"),
    pytest.mark.filterwarnings("ignore::UserWarning:(trl|transformers|torch|accelerate|peft|datasets).*"),
]


class Breaks(Callback):
    """Fails at the second step, as the user's own code would."""

    def on_step_end(self, args: Any, state: Any, control: Any, **found: Any) -> None:
        super().on_step_end(args, state, control, **found)
        if state.global_step == 2:
            raise RuntimeError("out of memory")


@pytest.fixture
def journals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("RUNVITALS_HOME", str(tmp_path / "home"))
    yield tmp_path / "home" / "journal"
    face.finish()


def records(run: Any) -> list[Any]:
    return [record for path in journal.files(run.path) for record in journal.read(path).records]


def events(run: Any, kind: str) -> list[Event]:
    return [record for record in records(run) if isinstance(record, Event) and record.kind == kind]


def evaluations(run: Any) -> int:
    return sum(record.count for record in records(run) if isinstance(record, Rows) and "eval_loss" in record.keys)


@pytest.mark.parametrize("train_first", [False, True])
def test_an_evaluation_outside_of_a_training_goes_to_the_users_own_run(
    trainings: Any, journals: Path, train_first: bool
) -> None:
    run = face.init("p", "own")
    trainer = trainings.build("pretrain", Callback(), max_steps=2)
    if train_first:
        trainer.train()
    trainer.evaluate()
    run.finish()

    assert evaluations(run) == 1
    assert [event.step for event in events(run, "eval")] == [2 if train_first else 0]


def test_an_evaluation_outside_of_a_training_goes_to_the_run_that_was_given(trainings: Any, fake_run: Any) -> None:
    trainer = trainings.build("pretrain", Callback(run=fake_run))
    trainer.evaluate()
    trainer.evaluate(metric_key_prefix="test")

    assert len(fake_run.rows("eval_loss")) == len(fake_run.rows("test_loss")) == 1
    assert len(fake_run.events("eval")) == 2


def test_other_processes_than_the_first_tell_no_evaluation(trainings: Any, fake_run: Any) -> None:
    trainer = trainings.build("pretrain", Callback(run=fake_run))
    trainer.state.is_world_process_zero = False
    trainer.evaluate()

    assert fake_run.told == []


def test_a_caught_exception_is_told_where_another_training_begins_while_it_is_handled(
    trainings: Any, journals: Path
) -> None:
    trainer = trainings.build("pretrain", Breaks("first"))
    retry = trainings.build("pretrain", Callback("second"), max_steps=1)
    try:
        trainer.train()
    except RuntimeError:
        failed = face.current()
        retry.train()

    assert failed is not None
    assert [event.data["message"] for event in events(failed, "exception")] == ["out of memory"]
    assert [event.data["status"] for event in events(failed, "finish")] == ["crashed"]


def test_a_training_left_behind_ends_as_crashed_when_another_begins(trainings: Any, journals: Path) -> None:
    trainer = trainings.build("pretrain", Breaks("first"))
    with pytest.raises(RuntimeError):
        trainer.train()
    failed = face.current()
    try:
        raise ValueError("of another matter")
    except ValueError:
        trainings.build("pretrain", Callback("second"), max_steps=1).train()

    assert failed is not None
    assert events(failed, "exception") == []
    assert [event.data["status"] for event in events(failed, "finish")] == ["crashed"]
    assert trainer.state.global_step == 2  # it was still there


def test_a_training_left_behind_ends_as_crashed_when_its_trainer_is_gone(trainings: Any, journals: Path) -> None:
    trainer = trainings.build("pretrain", Breaks("first"))
    with pytest.raises(RuntimeError):
        trainer.train()
    failed = face.current()
    assert failed is not None and not failed.ended
    del trainer
    gc.collect()

    until = time.monotonic() + 10
    while not failed.ended and time.monotonic() < until:
        time.sleep(0.1)
    assert [event.data["status"] for event in events(failed, "finish")] == ["crashed"]


def test_a_training_left_behind_is_no_finished_run_where_the_process_ends(trainings: Any, journals: Path) -> None:
    trainer = trainings.build("pretrain", Breaks("first"))
    with pytest.raises(RuntimeError):
        trainer.train()
    failed = face.current()
    assert failed is not None
    failed.end()  # what the interpreter's end does

    assert [event.data["status"] for event in events(failed, "finish")] == ["crashed"]
    assert trainer.state.global_step == 2
