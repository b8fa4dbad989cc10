"""Group relative policy optimisation.

    python -m runvitals.trainers.recipes.grpo                            # a toy model, on a CPU, in seconds
    python -m runvitals.trainers.recipes.grpo --inject constant_reward   # no group has anything to learn from
    python -m runvitals.trainers.recipes.grpo --inject reward_hack       # one word pays, no KL penalty
    python -m runvitals.trainers.recipes.grpo \\
        --model_name_or_path Qwen/Qwen2.5-0.5B-Instruct --dataset_name trl-lib/DeepMath-103K \\
        --reward_funcs accuracy_reward --learning_rate 1e-6 --output_dir grpo-out --project reasoning

The toy reward is a rule: 1 for a right answer, 1 for a kind closing, half for a willing opening. With a model of your own, name the rewards:
--reward_funcs takes those of trl.rewards and dotted import paths, --reward_model_name_or_path a reward model.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

from runvitals.errors import RecipeError
from runvitals.trainers.recipes.arguments import Built, Job, Recipe
from runvitals.trainers.recipes.faults import Fault
from runvitals.trainers.recipes.running import run

TOY = {
    "max_steps": 200,
    "per_device_train_batch_size": 32,
    "num_generations": 8,
    "max_completion_length": 16,
    "learning_rate": 5e-4,
    "beta": 0.2,
    "lr_scheduler_type": "constant_with_warmup",
}

RewardFunction = Callable[..., list[float]]


def options() -> tuple[type, type]:
    """TRL's script arguments and training configuration."""
    from trl import GRPOConfig
    from trl.scripts.grpo import GRPOScriptArguments

    return GRPOScriptArguments, GRPOConfig


def graded(completions: Sequence[str], right: Sequence[str], **_: Any) -> list[float]:
    """The toy reward of each completion, by its grade."""
    from runvitals.trainers.recipes.toy_data import grade

    return [grade(completion, answer) for completion, answer in zip(completions, right, strict=True)]


def constant(completions: Sequence[Any], **_: Any) -> list[float]:
    """The same reward for each completion."""
    return [1.0] * len(completions)


def paid_word(completions: Sequence[Any], **_: Any) -> list[float]:
    """A reward that anyone can farm: how often the completion says one common word."""
    from runvitals.trainers.recipes.toy_reward import PAID_WORD

    return [float(str(completion).split().count(PAID_WORD)) for completion in completions]


def rewards(job: Job) -> list[RewardFunction | str]:
    """The reward functions and models of the run. Raises RecipeError where there is none or one cannot be loaded."""
    if job.ours.inject is Fault.CONSTANT_REWARD:
        return [constant]
    if job.ours.inject is Fault.REWARD_HACK:
        return [paid_word]
    named: list[RewardFunction | str] = [named_reward(name) for name in job.script.reward_funcs or ()]
    if job.script.reward_model_name_or_path:
        named.append(job.script.reward_model_name_or_path)
    if named:
        return named
    if job.script.dataset_name is None:
        return [graded]
    raise RecipeError("--dataset_name needs a reward: give --reward_funcs or --reward_model_name_or_path")


def named_reward(name: str) -> RewardFunction:
    """A function of trl.rewards by its name, or any function by its dotted path."""
    module_name, _, function_name = name.rpartition(".")
    try:
        function: RewardFunction = getattr(importlib.import_module(module_name or "trl.rewards"), function_name)
    except (ImportError, AttributeError) as error:
        raise RecipeError(
            f"--reward_funcs: expected a name of trl.rewards or a dotted path, could not load {name!r}: {error}"
        ) from error
    return function


def build(job: Job) -> Built:
    """The trainer and the probe's pairs."""
    from trl import GRPOTrainer, get_peft_config

    from runvitals.trainers.recipes import loading, toy_data

    tokenizer = loading.load_tokenizer(job)
    train, held_out = loading.load_rows(job, lambda count, seed: toy_data.questions(count, seed=seed))
    trainer = GRPOTrainer(
        model=loading.load_policy(job, tokenizer),
        reward_funcs=rewards(job),
        args=job.training,
        train_dataset=train,
        eval_dataset=held_out,
        processing_class=tokenizer,
        peft_config=get_peft_config(job.model),
    )
    return Built(trainer=trainer, pairs=loading.toy_probe_pairs(job))


RECIPE = Recipe(name="grpo", doc=__doc__, options=options, toy=TOY, build=build)


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of one run."""
    return run(RECIPE, argv)


if __name__ == "__main__":
    sys.exit(main())
