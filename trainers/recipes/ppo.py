"""Proximal policy optimisation.

    python -m runvitals.trainers.recipes.ppo                         # a toy model, on a CPU, in seconds
    python -m runvitals.trainers.recipes.ppo --inject reward_hack    # one word pays, no KL penalty: KL blows up
    python -m runvitals.trainers.recipes.ppo --kl_coef 0.2 --total_episodes 3200
    python -m runvitals.trainers.recipes.ppo \\
        --model_name_or_path Qwen/Qwen2.5-0.5B-Instruct --reward_model_path ./reward-out \\
        --dataset_name trl-lib/ultrafeedback-prompt --learning_rate 1e-6 --output_dir ppo-out --project assistants

PPO left TRL after 1.12.0: it needs `pip install trl==1.12.0`. The toy reward model was trained on pairs, as a real one is;
a reward model of your own is named with --reward_model_path, and the value model starts from it.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from typing import Any

from runvitals.errors import RecipeError
from runvitals.trainers.recipes.arguments import Built, Job, Recipe
from runvitals.trainers.recipes.faults import LOADER_FAULTS, Fault
from runvitals.trainers.recipes.running import run

TOY = {
    "total_episodes": 150 * 32,
    "per_device_train_batch_size": 32,
    "gradient_accumulation_steps": 1,
    "num_mini_batches": 1,
    "num_ppo_epochs": 2,
    "local_rollout_forward_batch_size": 32,
    "response_length": 14,
    "stop_token": "eos",
    "missing_eos_penalty": 1.0,
    "num_sample_generations": 0,
    "learning_rate": 5e-4,
    "kl_coef": 0.1,
    "reward_model_path": "",
}


def options() -> tuple[type, type]:
    """TRL's script arguments and training configuration. Raises RecipeError where this TRL has no PPO."""
    from trl import ScriptArguments

    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    try:
        from trl.experimental.ppo import PPOConfig
    except ImportError as error:
        raise RecipeError("PPO left TRL after 1.12.0; pip install trl==1.12.0") from error
    return ScriptArguments, PPOConfig


def reward_and_value(job: Job, tokenizer: Any) -> tuple[Any, Any]:
    """The reward model and the value model, which starts from it. Raises RecipeError where none is named."""
    from runvitals.trainers.recipes import loading, toy_model
    from runvitals.trainers.recipes.toy_reward import PAID_WORD, TokenReward

    path = job.training.reward_model_path
    if job.is_toy and not path:
        reward, value = (toy_model.reward_model(tokenizer, job.toy_cache) for _ in range(2))
    elif path:
        reward, value = (loading.load_classifier(job, tokenizer, path) for _ in range(2))
    else:
        raise RecipeError("PPO on a model of your own needs --reward_model_path; the recipe `reward` trains one")
    if job.ours.inject is Fault.REWARD_HACK:
        reward = TokenReward(paid_token=tokenizer.convert_tokens_to_ids(PAID_WORD))
    if job.ours.inject is Fault.CONSTANT_REWARD:
        reward = TokenReward(paid_token=None, constant=1.0)
    return reward, value


def tokenised(rows: Any, tokenizer: Any) -> Any:
    """The prompts as tokens; a chat prompt goes through the chat template. Raises RecipeError without a column `prompt`."""
    if "prompt" not in (rows.column_names or []):
        raise RecipeError(f"PPO needs a column 'prompt'; the dataset has {rows.column_names}")

    def one(row: dict[str, Any]) -> dict[str, list[int]]:
        if isinstance(row["prompt"], str):
            return {"input_ids": list(tokenizer(row["prompt"])["input_ids"])}
        encoded = tokenizer.apply_chat_template(
            row["prompt"], add_generation_prompt=True, tokenize=True, return_dict=True
        )
        return {"input_ids": list(encoded["input_ids"])}

    return rows.map(one, remove_columns=rows.column_names)


def build(job: Job) -> Built:
    """The trainer and the probe's pairs."""
    from transformers import DataCollatorWithPadding
    from trl import get_peft_config
    from trl.experimental.ppo import PPOTrainer

    from runvitals.trainers.recipes import loading, toy_data
    from runvitals.trainers.recipes.injection import FaultyCollator

    tokenizer = loading.load_tokenizer(job)
    tokenizer.padding_side = "left"  # replies follow the prompt without a gap
    train, _ = loading.load_rows(job, lambda count, seed: toy_data.questions(count, seed=seed))
    peft = get_peft_config(job.model)
    policy = loading.load_policy(job, tokenizer)
    reward, value = reward_and_value(job, tokenizer)
    collate: Any = DataCollatorWithPadding(tokenizer)
    if job.ours.inject in LOADER_FAULTS:
        collate = FaultyCollator(collate, job.clock)  # PPO makes its loader at once
    gc.freeze()  # PPO collects garbage twice an update: without this it walks over every imported module each time
    trainer = PPOTrainer(
        args=job.training,
        processing_class=tokenizer,
        model=policy,
        ref_model=None if peft else loading.load_policy(job, tokenizer),
        reward_model=reward,
        value_model=value,
        train_dataset=tokenised(train, tokenizer),
        eval_dataset=tokenised(train.take(job.training.per_device_eval_batch_size), tokenizer),
        data_collator=collate,
        peft_config=peft,
    )
    return Built(trainer=trainer, pairs=loading.toy_probe_pairs(job))


RECIPE = Recipe(name="ppo", doc=__doc__, options=options, toy=TOY, build=build)


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of one run."""
    return run(RECIPE, argv)


if __name__ == "__main__":
    sys.exit(main())
