"""Real trainings of a tiny model, with the callback in them."""

from __future__ import annotations

import math
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from runvitals.trainers.callback import Callback

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::FutureWarning:(trl|transformers|torch|accelerate|peft|datasets).*"),
    pytest.mark.filterwarnings("ignore::UserWarning:(trl|transformers|torch|accelerate|peft|datasets).*"),
]

KINDS = ("pretrain", "sft", "sft_lora", "dpo", "reward", "grpo", "ppo")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_training_gives_rows_of_loss_rate_and_time(trainings: Any, fake_run: Any, kind: str) -> None:
    trainings.build(kind, Callback(run=fake_run)).train()

    assert fake_run.events("fault") == []
    assert fake_run.events("trainer")[0]["kind"] == kind.removesuffix("_lora")
    assert fake_run.events("trainer")[0]["max_steps"] == 6
    assert [step for step, _ in fake_run.rows("perf/step_time_s")] == [1, 2, 3, 4, 5, 6]
    assert all(value > 0 for value in fake_run.values("perf/step_time_s"))
    assert all(math.isfinite(value) for value in fake_run.values("grad_norm"))
    assert all(value >= 0 for value in fake_run.values("learning_rate"))
    logged = [1, 2, 3, 4, 5, 6] if kind == "ppo" else [2, 4, 6]
    assert [step for step, _ in fake_run.rows("learning_rate")] == logged
    assert [step for step, _ in fake_run.rows("grad_norm")] == logged


def test_where_the_time_goes_is_logged(trainings: Any, fake_run: Any, tmp_path: Any) -> None:
    options = {"eval_strategy": "steps", "eval_steps": 2, "save_strategy": "steps", "save_steps": 3}
    trainings.build("sft", Callback(run=fake_run), **options).train()

    series = {
        key: {step: row[key] for step, row in fake_run.rows(key)}
        for key in map(
            "perf/{}".format, ("step_time_s", "data_wait_s", "optimizer_time_s", "eval_time_s", "save_time_s")
        )
    }
    whole = series["perf/step_time_s"]
    for part in ("perf/data_wait_s", "perf/optimizer_time_s"):
        assert all(0 <= value <= whole[step] for step, value in series[part].items())
        assert series[part].keys() == whole.keys()
    evaluated = {step: row["eval_runtime"] for step, row in fake_run.rows("eval_runtime")}
    assert evaluated.keys() == series["perf/eval_time_s"].keys() == {2, 4, 6}
    for step, took_s in series["perf/eval_time_s"].items():
        assert took_s > evaluated[step] - 0.001, "the evaluation itself, and what lies around it"
    assert series["perf/save_time_s"].keys() == {3, 6}
    assert all(value > 0 for value in series["perf/save_time_s"].values())


def test_ppo_tells_how_long_it_generates(trainings: Any, fake_run: Any) -> None:
    trainings.build("ppo", Callback(run=fake_run)).train()

    whole, generated = fake_run.values("perf/step_time_s"), fake_run.values("perf/generation_time_s")
    assert len(generated) == len(whole)
    assert all(0 < part < step for part, step in zip(generated, whole, strict=True))


@pytest.mark.parametrize("kind", ["pretrain", "sft", "dpo", "reward", "grpo"])
def test_tokens_are_counted_where_the_trainer_lets_us_know(trainings: Any, fake_run: Any, kind: str) -> None:
    trainings.build(kind, Callback(run=fake_run)).train()

    tokens = fake_run.values("tokens")
    assert len(tokens) == 3
    assert tokens == sorted(tokens)
    assert all(rate > 0 for rate in fake_run.values("perf/tokens_per_s"))
    if kind == "pretrain":  # 4 sequences of 8 tokens a step
        assert tokens == [64.0, 128.0, 192.0]


def test_the_final_summary_is_an_event_and_no_row(trainings: Any, fake_run: Any) -> None:
    trainings.build("sft", Callback(run=fake_run), include_num_input_tokens_seen="all").train()

    assert fake_run.rows("train_loss") == []
    assert len(fake_run.events("summary")) == 1
    assert fake_run.events("summary")[0]["train_loss"] > 0
    assert len(fake_run.rows("loss")) == 3


def test_evaluation_and_saving_are_told_as_they_happen(trainings: Any, fake_run: Any) -> None:
    changes = {"eval_strategy": "steps", "eval_steps": 3, "save_strategy": "steps", "save_steps": 3}
    trainings.build("dpo", Callback(run=fake_run), **changes).train()

    assert [step for step, _ in fake_run.rows("eval_loss")] == [3, 6]
    assert len(fake_run.events("eval")) == 2
    paths = [event["path"] for event in fake_run.events("checkpoint")]
    assert [path.rsplit("/", 1)[1] for path in paths] == ["checkpoint-3", "checkpoint-6"]
    assert fake_run.phases() == ["train", "eval", "save", "train", "eval", "save", "train"]


def test_ppo_averages_are_corrected_for_several_minibatches(trainings: Any, fake_run: Any) -> None:
    trainings.build("ppo", Callback(run=fake_run)).train()

    for _, row in fake_run.rows("val/ratio"):
        assert row["val/ratio"] == pytest.approx(0.5, abs=0.1)
        assert row["corrected/val/ratio"] == pytest.approx(1.0, abs=0.2)
        assert row["corrected/policy/approxkl_avg"] == 2 * row["policy/approxkl_avg"]


def test_ppo_with_one_minibatch_needs_no_correction(trainings: Any, fake_run: Any) -> None:
    trainings.build("ppo", Callback(run=fake_run), num_mini_batches=1, max_steps=2).train()

    assert [round(value, 1) for value in fake_run.values("val/ratio")] == [1.0, 1.0]
    assert fake_run.rows("corrected/val/ratio") == []


def test_the_optimizer_hook_is_gone_after_ppo(trainings: Any, fake_run: Any) -> None:
    from torch.optim.optimizer import _global_optimizer_pre_hooks

    before = len(_global_optimizer_pre_hooks)
    trainings.build("ppo", Callback(run=fake_run), max_steps=2).train()

    assert len(_global_optimizer_pre_hooks) == before


def test_a_nan_that_the_trainer_hides_in_the_loss_still_shows(trainings: Any, fake_run: Any) -> None:
    trainer = trainings.build("pretrain", Callback(run=fake_run), logging_steps=1)
    with torch.no_grad():
        trainer.model.model.layers[0].mlp.up_proj.weight[0, 0] = math.nan
    trainer.train()

    assert fake_run.values("loss") == [0.0] * 6  # logging_nan_inf_filter at work
    assert all(math.isnan(value) for value in fake_run.values("grad_norm"))
    assert fake_run.events("config")[0]["logging_nan_inf_filter"] is True


def test_a_run_begun_by_the_callback_is_finished_with_the_training(
    trainings: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runvitals.collectors import face, journal

    monkeypatch.setenv("RUNVITALS_HOME", str(tmp_path / "home"))
    begun = []

    class Witness(Callback):
        def on_step_end(self, args: Any, state: Any, control: Any, **found: Any) -> None:
            begun.append(face.current())
            super().on_step_end(args, state, control, **found)

    trainings.build("sft", Witness("named", project="tests", tags="baseline", group="sweep")).train()

    run = begun[0]
    assert (run.name, run.project) == ("named", "tests")
    assert run.ended
    (path,) = (tmp_path / "home" / "journal" / run.id).iterdir()
    start = journal.read(path).records[0]
    assert (start.tags, start.group, start.description) == (["baseline"], "sweep", "")


def test_a_training_that_ends_by_an_exception_leaves_its_run_to_the_recorder(trainings: Any, fake_run: Any) -> None:
    class Breaks(Callback):
        def on_step_end(self, args: Any, state: Any, control: Any, **found: Any) -> None:
            super().on_step_end(args, state, control, **found)
            if state.global_step == 3:
                raise RuntimeError("the user's own")

    with pytest.raises(RuntimeError, match="the user's own"):
        trainings.build("sft", Breaks(run=fake_run)).train()

    assert len(fake_run.rows("perf/step_time_s")) == 3
    assert fake_run.events("fault") == []


def test_resuming_tells_from_where_and_keeps_the_run(
    trainings: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runvitals.collectors import face

    monkeypatch.setenv("RUNVITALS_HOME", str(tmp_path / "home"))
    ids = []

    class Witness(Callback):
        def on_step_end(self, args: Any, state: Any, control: Any, **found: Any) -> None:
            ids.append((state.global_step, face.current().id))
            super().on_step_end(args, state, control, **found)

    saving = {"save_strategy": "steps", "save_steps": 3}
    trainings.build("sft", Witness("one"), max_steps=3, **saving).train()
    trainings.build("sft", Witness("one"), **saving).train(
        resume_from_checkpoint=str(tmp_path / "output" / "checkpoint-3")
    )
    trainings.build("sft", Witness("another"), **saving).train(
        resume_from_checkpoint=str(tmp_path / "output" / "checkpoint-3")
    )

    trainings.build("sft", Witness("one", resume="chosen"), **saving).train(
        resume_from_checkpoint=str(tmp_path / "output" / "checkpoint-3")
    )

    first, resumed, renamed, chosen = ids[:3], ids[3:6], ids[6:9], ids[9:]
    assert {run for _, run in chosen} == {"chosen"}
    assert [step for step, _ in resumed] == [4, 5, 6]
    assert {run for _, run in first} == {run for _, run in resumed}
    assert {run for _, run in renamed}.isdisjoint({run for _, run in first})


def test_in_a_notebook_the_exception_that_ends_a_cell_is_told(
    trainings: Any, fake_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    watching: list[Any] = []
    events = SimpleNamespace(
        callbacks={"post_run_cell": watching},
        register=lambda name, function: watching.append(function),
        unregister=lambda name, function: watching.remove(function),
    )
    shell = SimpleNamespace(events=events)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))

    trainings.build("sft", Callback(run=fake_run)).train()
    assert watching == []  # a training that ends well needs no watch any more

    class Breaks(Callback):
        def on_step_end(self, args: Any, state: Any, control: Any, **found: Any) -> None:
            raise RuntimeError("in the cell")

    with pytest.raises(RuntimeError) as raised:
        trainings.build("sft", Breaks(run=fake_run)).train()
    watching[0](SimpleNamespace(error_in_exec=raised.value))

    assert fake_run.told[-1] == ("exception", raised.value)
    assert watching == []


def test_other_processes_than_the_first_tell_nothing(trainings: Any, fake_run: Any) -> None:
    class Second(Callback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **found: Any) -> None:
            state.is_world_process_zero = False
            super().on_train_begin(args, state, control, **found)

    trainings.build("sft", Second(run=fake_run)).train()

    assert fake_run.told == []


def test_a_run_that_fails_at_everything_does_not_stop_training(trainings: Any) -> None:
    class Broken:
        id = "broken"

        def __getattr__(self, name: str) -> Any:
            raise OSError("the disk is gone")

    trainer = trainings.build("sft", Callback(run=Broken()))
    trainer.train()

    assert trainer.state.global_step == 6


def test_the_run_of_the_user_is_joined_and_left_open(
    trainings: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runvitals.collectors.face import current, init

    monkeypatch.setenv("RUNVITALS_HOME", str(tmp_path / "home"))
    with init("mine", "before") as run:
        trainings.build("sft", Callback("ignored")).train()
        assert current() is run
        assert not run.ended

    assert [folder.name for folder in (tmp_path / "home" / "journal").iterdir()] == [run.id]


def test_two_trainings_at_once_have_two_runs(trainings: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNVITALS_HOME", str(tmp_path / "home"))
    inner = trainings.build("reward", Callback("inner"))

    class Outer(Callback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **found: Any) -> None:
            super().on_step_begin(args, state, control, **found)
            if state.global_step == 1:
                inner.train()

    outer = trainings.build("sft", Outer("outer"))
    outer.train()

    assert len(list((tmp_path / "home" / "journal").iterdir())) == 2
    assert outer.state.global_step == 6
