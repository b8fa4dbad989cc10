"""Reward modelling on preference pairs.

    python -m runvitals.trainers.recipes.reward                            # a toy model, on a CPU, in seconds
    python -m runvitals.trainers.recipes.reward --inject flipped_labels    # it learns to prefer the worse reply
    python -m runvitals.trainers.recipes.reward --inject shuffled_labels   # it learns nothing
    python -m runvitals.trainers.recipes.reward \\
        --model_name_or_path Qwen/Qwen2.5-0.5B-Instruct --dataset_name trl-lib/ultrafeedback_binarized \\
        --learning_rate 1e-5 --output_dir reward-out --run_name qwen-reward --project assistants

The toy annotator errs in one pair of ten, so accuracy stops near 0.9 and the margin levels off.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from runvitals.trainers.recipes.arguments import Built, Job, Recipe
from runvitals.trainers.recipes.running import run

TOY = {
    "max_steps": 300,
    "per_device_train_batch_size": 16,
    "learning_rate": 5e-4,
    "lr_scheduler_type": "cosine",
    "eval_strategy": "steps",
    "eval_steps": 50,
}


def options() -> tuple[type, type]:
    """TRL's script arguments and training configuration."""
    from trl import RewardConfig, ScriptArguments

    return ScriptArguments, RewardConfig


def build(job: Job) -> Built:
    """The trainer; a reward model has no implicit margin, so there is nothing to probe."""
    from trl import RewardTrainer, get_peft_config

    from runvitals.trainers.recipes import loading, toy_data, toy_model

    tokenizer = loading.load_tokenizer(job)
    train, held_out = loading.load_pairs(job, toy_noise=toy_data.ANNOTATOR_NOISE)
    if job.is_toy:
        model = toy_model.new_classifier(tokenizer, job.toy_cache, seed=job.training.seed)
    else:
        model = loading.load_classifier(job, tokenizer, job.model.model_name_or_path)
    if job.model.use_peft:
        job.model.lora_task_type = "SEQ_CLS"
    trainer = RewardTrainer(
        model=model,
        args=job.training,
        train_dataset=train,
        eval_dataset=held_out,
        processing_class=tokenizer,
        peft_config=get_peft_config(job.model),
    )
    return Built(trainer=trainer, pairs=None)


RECIPE = Recipe(name="reward", doc=__doc__, options=options, toy=TOY, build=build)


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of one run."""
    return run(RECIPE, argv)


if __name__ == "__main__":
    sys.exit(main())
