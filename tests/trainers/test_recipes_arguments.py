"""What a command line means to a recipe, and what is refused with which words."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from runvitals.errors import RecipeError
from runvitals.settings import Settings
from runvitals.trainers.recipes import arguments, dpo, grpo, ppo, sft
from runvitals.trainers.recipes.arguments import Recipe
from runvitals.trainers.recipes.faults import Fault
from runvitals.trainers.recipes.running import BAD_SETTINGS, run

pytestmark = [
    pytest.mark.slow,  # importing transformers takes seconds
    pytest.mark.filterwarnings(
        "ignore:`gradient_checkpointing` is deprecated:FutureWarning"
    ),  # TRL's own default sets it
]

REAL = ("--model_name_or_path", "some/model", "--use_cpu", "--bf16", "false")


def parsed(recipe: Recipe, home: Path, *argv: str) -> Any:
    return arguments.parse(recipe, argv, Settings.from_environment({}, home=home))


def test_a_toy_run_has_the_toy_settings_and_writes_under_the_home(tmp_path: Path) -> None:
    job = parsed(sft.RECIPE, tmp_path)
    assert job.is_toy
    assert (job.training.max_steps, job.training.logging_steps) == (sft.TOY["max_steps"], 1)
    assert Path(job.training.output_dir).is_relative_to(tmp_path)
    assert (job.training.run_name, job.training.project) == ("sft", "recipes")


def test_an_option_on_the_command_line_wins_over_the_toy_setting(tmp_path: Path) -> None:
    job = parsed(sft.RECIPE, tmp_path, "--max_steps", "7", "--run_name", "mine", "--inject", "lr_ramp")
    assert (job.training.max_steps, job.training.run_name) == (7, "mine")
    assert job.ours.inject is Fault.LR_RAMP


def test_a_run_is_named_after_its_recipe_and_its_fault(tmp_path: Path) -> None:
    assert parsed(dpo.RECIPE, tmp_path, "--inject", "zero_lr").training.run_name == "dpo-zero-lr"


def test_a_run_on_a_named_model_has_the_defaults_of_trl(tmp_path: Path) -> None:
    from trl import SFTConfig

    job = parsed(sft.RECIPE, tmp_path, *REAL)
    default = SFTConfig(use_cpu=True, bf16=False)
    for name in ("max_steps", "learning_rate", "logging_steps", "save_strategy", "gradient_checkpointing"):
        assert getattr(job.training, name) == getattr(default, name)


def test_a_yaml_file_can_name_the_model(tmp_path: Path) -> None:
    settings = tmp_path / "run.yaml"
    settings.write_text("model_name_or_path: some/model\nuse_cpu: true\nbf16: false\nlearning_rate: 0.25\n")
    job = parsed(sft.RECIPE, tmp_path, "--config", str(settings))
    assert not job.is_toy
    assert job.training.learning_rate == 0.25


@pytest.mark.parametrize(
    ("recipe", "argv", "words"),
    [
        (sft.RECIPE, ("--inject", "shuffled_labels"), "does not fit the recipe sft: it fits reward, dpo"),
        (sft.RECIPE, ("--dataset_name", "some/data"), "--dataset_name needs --model_name_or_path"),
        (sft.RECIPE, ("--inject", "hang", "--dataloader_num_workers", "2"), "leave --dataloader_num_workers at 0"),
        (sft.RECIPE, ("--pace_s", "-1"), "--pace_s: expected 0 or more"),
        (sft.RECIPE, ("--probe_pairs", "-1"), "--probe_pairs: expected 0 or more"),
        (sft.RECIPE, ("--no_such_option", "1"), "--no_such_option"),
        (sft.RECIPE, ("--config", "no/such/file.yaml"), "--config: expected a YAML file"),
        (ppo.RECIPE, ("--inject", "nan"), "it fits pretrain, sft, reward, dpo"),
    ],
)
def test_settings_that_cannot_work_together_are_refused_with_the_reason(
    recipe: Recipe, argv: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match=words):
        parsed(recipe, tmp_path, *argv)


def test_a_refused_command_line_ends_with_one_line_and_exit_code_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(sft.RECIPE, ["--inject", "flipped_labels"]) == BAD_SETTINGS
    said = capsys.readouterr()
    assert said.err.startswith("error: --inject flipped_labels does not fit")
    assert said.err.count("\n") == 1


def test_a_trl_without_ppo_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trl.experimental.ppo", None)  # what import finds in TRL 1.13 and later
    with pytest.raises(RecipeError, match=r"PPO left TRL after 1\.12\.0; pip install trl==1\.12\.0"):
        ppo.options()


def test_ppo_on_a_model_of_ones_own_asks_for_a_reward_model(tmp_path: Path) -> None:
    job = parsed(ppo.RECIPE, tmp_path, *REAL, "--reward_model_path", "")
    with pytest.raises(RecipeError, match="needs --reward_model_path"):
        ppo.reward_and_value(job, None)


def test_grpo_on_a_dataset_of_ones_own_asks_for_a_reward(tmp_path: Path) -> None:
    data = (*REAL, "--dataset_name", "some/data")
    with pytest.raises(RecipeError, match="needs a reward"):
        grpo.rewards(parsed(grpo.RECIPE, tmp_path, *data))
    named = parsed(grpo.RECIPE, tmp_path, *data, "--reward_funcs", "think_format_reward", "math.fsum")
    assert [reward.__name__ for reward in grpo.rewards(named) if callable(reward)] == ["think_format_reward", "fsum"]


@pytest.mark.parametrize("name", ["no_such_reward", "no.such.module"])
def test_a_reward_that_cannot_be_loaded_is_named(name: str) -> None:
    with pytest.raises(RecipeError, match=f"could not load '{name}'"):
        grpo.named_reward(name)
