"""What `Run.log` takes, what it refuses, and what it says about it."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runvitals.collectors import face
from runvitals.collectors.options import Options
from runvitals.collectors.records import is_none
from runvitals.collectors.run import Run

QUIET = Options(sample=False, heartbeat_s=1000.0)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    run = Run(tmp_path, "p", name="n", options=QUIET)
    yield run
    run.finish()


def test_a_row_has_its_step_its_time_and_its_values(tmp_path: Path, told: Callable[[Path], Any]) -> None:
    now = [100.0]
    run = Run(tmp_path, "p", options=Options(sample=False, heartbeat_s=1000.0, clock=lambda: now[0]))
    now[0] = 101.5
    run.log({"loss": 2.0}, step=0)
    run.log({"gpu": 3.0})
    run.finish()
    assert [row[1:] for row in told(run.path).rows] == [(101.5, 0, {"loss": 2.0}), (101.5, -1, {"gpu": 3.0})]


@pytest.mark.parametrize(
    "value",
    [
        1,
        True,
        1.5,
        np.float32(1.5),
        np.float64(2.5),
        np.int64(3),
        np.array(4.0),
        Decimal("1.25"),
        Fraction(1, 4),
        "1e-3",
        " 7 ",
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_is_one_number_becomes_that_number(run: Run, value: Any, told: Callable[[Path], Any]) -> None:
    run.log({"a": 1, "b": value}, step=1)
    run.finish()
    assert told(run.path).training == [(1, {"a": 1.0, "b": float(value)})]
    assert told(run.path).of("fault") == []


def test_torch_scalars_become_numbers(run: Run, told: Callable[[Path], Any]) -> None:
    torch = pytest.importorskip("torch")
    run.log(
        {
            "a": torch.tensor(1.5),
            "b": torch.tensor([2.0], requires_grad=True).sum(),
            "c": torch.tensor(3),
            "d": torch.tensor(0.5, dtype=torch.bfloat16),
            "e": torch.tensor([True]),
            "f": torch.ones(2),
            "g": torch.tensor(1.0, device="meta"),
        },
        step=torch.tensor(4),
    )
    run.finish()
    assert told(run.path).training == [(4, {"a": 1.5, "b": 2.0, "c": 3.0, "d": 0.5, "e": 1.0})]
    assert len(told(run.path).of("fault")) == 2  # two numbers in one, and one that is nowhere


def test_nan_infinities_and_none_survive_apart(run: Run, told: Callable[[Path], Any]) -> None:
    run.log({"nan": math.nan, "up": math.inf, "down": -math.inf, "none": None}, step=1)
    run.finish()
    [(_, values)] = told(run.path).training
    assert math.isnan(values["nan"]) and not is_none(values["nan"])
    assert (values["up"], values["down"]) == (math.inf, -math.inf)
    assert is_none(values["none"])


def test_nested_dicts_are_flattened(run: Run, told: Callable[[Path], Any]) -> None:
    run.log({"a": {"b": 1, "c": {"d": "2"}}, 3: 4}, step=1)
    run.finish()
    assert told(run.path).training == [(1, {"a/b": 1.0, "a/c/d": 2.0, "3": 4.0})]


def test_a_value_that_is_no_number_is_refused_alone_counted_and_told_once(
    run: Run, told: Callable[[Path], Any], capfd: pytest.CaptureFixture[str]
) -> None:
    for step in range(5):
        run.log({"loss": step, "text": "hello", "vector": [1, 2], "tensor": np.ones(2)}, step=step)
    run.finish()
    say = told(run.path)
    assert say.training == [(step, {"loss": float(step)}) for step in range(5)]
    last = {fault["message"]: fault["count"] for fault in say.of("fault")}
    assert last == {
        "text: a str cannot be one number": 5,
        "vector: a list cannot be one number": 5,
        "tensor: a ndarray cannot be one number": 5,
    }
    assert len(say.of("fault")) == 6  # each at its first and with its count at the end
    assert capfd.readouterr().err.count("text: a str") == 1


@pytest.mark.parametrize("values", [None, 3, "loss", [("a", 1)]])
def test_what_is_no_dict_is_refused_and_training_goes_on(run: Run, values: Any, told: Callable[[Path], Any]) -> None:
    run.log(values, step=1)
    run.log({"loss": 1}, step=2)
    run.finish()
    assert told(run.path).training == [(2, {"loss": 1.0})]
    assert "expected a dict of numbers" in told(run.path).of("fault")[0]["message"]


@pytest.mark.parametrize("step", ["x", 1.5, math.nan, 2**70, object()], ids=["text", "half", "nan", "huge", "object"])
def test_a_step_that_is_no_whole_number_costs_the_step_but_not_the_row(
    run: Run, step: Any, told: Callable[[Path], Any]
) -> None:
    run.log({"loss": 1}, step=step)
    run.finish()
    assert [(row[2], row[3]) for row in told(run.path).rows] == [(-1, {"loss": 1.0})]
    assert told(run.path).of("fault")[0]["message"].startswith("step: expected a whole number")


def test_a_step_that_is_a_whole_float_is_that_step(run: Run, told: Callable[[Path], Any]) -> None:
    run.log({"loss": 1}, step=3.0)  # type: ignore[arg-type]
    run.finish()
    assert told(run.path).training == [(3, {"loss": 1.0})]


def test_an_object_that_refuses_everything_cannot_stop_training(run: Run, told: Callable[[Path], Any]) -> None:
    class Awful:
        def __float__(self) -> float:
            raise RuntimeError("device lost")

        __str__ = __float__  # type: ignore[assignment]

    run.log({"loss": 1, "awful": Awful(), Awful(): 2}, step=1)
    run.event("note", {"what": Awful(), Awful(): 1}, step=1)
    run.finish()
    assert told(run.path).training == [(1, {"loss": 1.0, "<Awful>": 2.0})]
    assert told(run.path).of("note") == [{"what": "<Awful>", "<Awful>": 1}]


def test_a_row_of_ten_thousand_keys_comes_back(run: Run, told: Callable[[Path], Any]) -> None:
    values = {f"key/{i}": float(i) for i in range(10_000)}
    run.log(values, step=1)
    run.finish()
    assert told(run.path).training == [(1, values)]


def test_rows_from_many_threads_are_all_there_in_each_threads_order(run: Run, told: Callable[[Path], Any]) -> None:
    def work(thread: int) -> None:
        for step in range(500):
            run.log({f"loss/{thread}": step}, step=step)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run.finish()
    say = told(run.path)
    for i in range(8):
        assert [step for step, values in say.training if f"loss/{i}" in values] == list(range(500))
    seqs = [row[0] for row in say.rows]
    assert seqs == sorted(set(seqs)) and not say.damage


def test_config_name_and_event_data_that_json_cannot_hold_are_kept_as_text(
    tmp_path: Path, told: Callable[[Path], Any]
) -> None:
    circle: dict[str, Any] = {}
    circle["self"] = circle
    config = {
        "path": Path("/a"),
        "type": float,
        3: np.int64(4),
        "inf": math.inf,
        "set": {1},
        "circle": circle,
        "odd": "\ud800",
    }
    run = Run(tmp_path, "p", name=Path("run one"), config=config, options=QUIET)  # type: ignore[arg-type]
    run.event("completions", {"rows": [{"prompt": "é", "reward": math.nan}], "by": np.float32(0.5)}, step=3)
    run.finish()
    say = told(run.path)
    start = say.starts[0]
    assert start.name == "run one"
    assert {key: start.config[key] for key in ("path", "type", "3", "inf", "set", "odd")} == {
        "path": "/a",
        "type": "<class 'float'>",
        "3": 4,
        "inf": math.inf,
        "set": [1],
        "odd": "?",
    }
    [data] = say.of("completions")
    assert math.isnan(data["rows"][0]["reward"]) and data["by"] == 0.5


def test_config_may_be_a_namespace_or_a_dataclass(tmp_path: Path, told: Callable[[Path], Any]) -> None:
    class Arguments:
        def __init__(self) -> None:
            self.learning_rate = 0.1

    run = Run(tmp_path, "p", config=Arguments(), options=QUIET)
    run.finish()
    assert told(run.path).starts[0].config == {"learning_rate": 0.1}


def test_the_start_says_who_writes(run: Run, told: Callable[[Path], Any]) -> None:
    run.finish()
    start = told(run.path).starts[0]
    assert (start.project, start.name, start.run_id, start.resumed) == ("p", "n", run.id, False)
    assert start.info["pid"] == os.getpid()
    assert {
        "host",
        "process_start_s",
        "argv",
        "python",
        "user",
        "cwd",
        "platform",
        "git_commit",
        "rank",
        "world_size",
    } <= set(start.info)


def test_two_writers_of_one_run_keep_to_their_own_files(tmp_path: Path, told: Callable[[Path], Any]) -> None:
    first = Run(tmp_path, "p", options=QUIET)
    second = Run(tmp_path, "p", options=Options(sample=False, heartbeat_s=1000.0, run_id=first.id))
    first.log({"a": 1}, step=1)
    second.log({"a": 2}, step=1)
    first.finish()
    second.finish()
    say = told(first.path)
    assert len({start.writer_id for start in say.starts}) == 2
    assert sorted(start.resumed for start in say.starts) == [False, True]
    assert len(say.training) == 2


def test_a_resumed_run_says_so_though_the_watcher_has_taken_its_folder_away(
    tmp_path: Path, told: Callable[[Path], Any]
) -> None:
    run = Run(tmp_path, "p", options=Options(sample=False, heartbeat_s=1000.0, run_id="before"))
    run.finish()
    assert [start.resumed for start in told(run.path).starts] == [True]


def test_another_rank_that_joins_a_run_is_no_resume(
    tmp_path: Path, told: Callable[[Path], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    run = Run(tmp_path, "p", options=Options(sample=False, heartbeat_s=1000.0, run_id="alive"))
    run.finish()
    assert [start.resumed for start in told(run.path).starts] == [False]


def test_phases_are_told_once_where_they_change_and_unknown_ones_are_faults(
    run: Run, told: Callable[[Path], Any]
) -> None:
    run.phase("train")
    run.phase("train")
    run.phase("eval")
    run.phase("lunch")  # type: ignore[arg-type]
    run.finish()
    say = told(run.path)
    assert [data["phase"] for data in say.of("phase")] == ["train", "eval"]
    assert "lunch" in say.of("fault")[0]["message"]


def test_an_alert_of_the_users_own_is_an_event_at_the_last_step(run: Run, told: Callable[[Path], Any]) -> None:
    run.log({"loss": 1}, step=7)
    run.alert("reward is odd", "look at it", severity="critical")
    run.finish()
    [event] = [event for event in told(run.path).events if event.kind == "alert"]
    assert (event.step, event.data) == (7, {"title": "reward is odd", "text": "look at it", "severity": "critical"})


def test_finish_is_told_once_and_what_comes_later_is_a_warning(
    run: Run, told: Callable[[Path], Any], capfd: pytest.CaptureFixture[str]
) -> None:
    run.finish("stopped", exit_code=3)
    run.finish()
    run.log({"loss": 1}, step=1)
    run.log({"loss": 1}, step=2)
    run.event("note")
    assert told(run.path).of("finish") == [{"status": "stopped", "exit_code": 3}]
    assert told(run.path).training == []
    assert capfd.readouterr().err.count("log: called after run 'n' had ended") == 1


def test_a_with_block_that_ends_well_finishes_and_one_that_raises_is_a_crash(
    tmp_path: Path, told: Callable[[Path], Any]
) -> None:
    with Run(tmp_path, "p", options=QUIET) as well:
        well.log({"loss": 1}, step=1)
    with pytest.raises(ZeroDivisionError), Run(tmp_path, "p", options=QUIET) as ill:
        ill.log({"loss": 1 / 0}, step=1)
    assert told(well.path).of("finish") == [{"status": "finished", "exit_code": None}]
    say = told(ill.path)
    assert say.of("finish") == [{"status": "crashed", "exit_code": 1}]
    [exception] = say.of("exception")
    assert exception["type"] == "ZeroDivisionError" and "1 / 0" in exception["traceback"]


@pytest.mark.parametrize(
    ("error", "status", "exit_code"),
    [
        (KeyboardInterrupt(), "stopped", 130),
        (SystemExit(0), "finished", 0),
        (SystemExit("no"), "crashed", 1),
        (SystemExit(4), "crashed", 4),
    ],
)
def test_a_with_block_knows_an_interrupt_and_an_exit(
    tmp_path: Path, told: Callable[[Path], Any], error: BaseException, status: str, exit_code: int
) -> None:
    with pytest.raises(type(error)), Run(tmp_path, "p", options=QUIET) as run:
        raise error
    assert told(run.path).of("finish") == [{"status": status, "exit_code": exit_code}]
    assert told(run.path).of("exception") == []


def test_the_face_logs_to_the_newest_run_and_finishes_the_one_before(
    tmp_path: Path, told: Callable[[Path], Any]
) -> None:
    first = face.init("p", "one", home=tmp_path, options=QUIET)
    second = face.init("p", "two", {"lr": 1}, home=tmp_path, options=QUIET)
    face.log({"loss": 1}, step=1)
    face.alert("odd")
    face.finish()
    assert told(first.path).of("finish") == [{"status": "finished", "exit_code": None}]
    assert told(second.path).training == [(1, {"loss": 1.0})]
    assert len(told(second.path).of("alert")) == len(told(second.path).of("finish")) == 1


def test_a_database_that_we_cannot_use_does_not_stop_a_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "mysql://somebody/else")
    face.init("p", options=QUIET).finish()
    assert len(list((tmp_path / "home" / "journal").iterdir())) == 1


class Name(str, Enum):  # noqa: UP042 - a StrEnum has its value as its str(), this has not
    """Keys as some libraries have them."""

    LOSS = "loss"


def test_odd_keys_and_a_dict_that_holds_itself_are_taken_as_far_as_they_go(
    run: Run, told: Callable[[Path], Any]
) -> None:
    circle: dict[str, Any] = {"a": 1}
    circle["self"] = circle
    run.log({Name.LOSS: 2, "\ud800": 3}, step=1)
    run.log(circle, step=2)
    run.finish()
    first, second = told(run.path).training
    assert first == (1, {"loss": 2.0, "?": 3.0})
    assert second[1]["a"] == 1.0 and second[1]["self/a"] == 1.0
    assert "a dict cannot be one number" in told(run.path).of("fault")[0]["message"]


def test_event_data_that_is_no_dict_is_kept_in_one(run: Run, told: Callable[[Path], Any]) -> None:
    run.event("note", "text")  # type: ignore[arg-type]
    run.finish()
    assert told(run.path).of("note") == [{"value": "text"}]
