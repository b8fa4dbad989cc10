"""Direct preference optimisation.

    python -m runvitals.trainers.recipes.dpo                             # a toy model, on a CPU, in seconds
    python -m runvitals.trainers.recipes.dpo --inject shuffled_labels    # a margin that never opens
    python -m runvitals.trainers.recipes.dpo --use_peft --learning_rate 5e-3
    python -m runvitals.trainers.recipes.dpo \\
        --model_name_or_path Qwen/Qwen2.5-0.5B-Instruct --dataset_name trl-lib/ultrafeedback_binarized \\
        --learning_rate 5e-7 --eval_strategy steps --eval_steps 50 --output_dir dpo-out --project assistants

The toy pairs are clean and the learning rate falls to zero, so the margin rises and levels off.
With a dataset of your own the probe takes its pairs from the held-out split, if the run evaluates.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from runvitals.trainers.recipes.arguments import Built, Job, Recipe
from runvitals.trainers.recipes.running import run

TOY = {
    "max_steps": 300,
    "per_device_train_batch_size": 32,
    "learning_rate": 3e-4,
    "lr_scheduler_type": "cosine",
    "eval_strategy": "steps",
    "eval_steps": 50,
}


def options() -> tuple[type, type]:
    """TRL's script arguments and training configuration."""
    from trl import DPOConfig, ScriptArguments

    return ScriptArguments, DPOConfig


def build(job: Job) -> Built:
    """The trainer and the probe's pairs."""
    from trl import DPOTrainer, get_peft_config

    from runvitals.trainers.recipes import loading

    tokenizer = loading.load_tokenizer(job)
    train, held_out = loading.load_pairs(job)
    trainer = DPOTrainer(
        model=loading.load_policy(job, tokenizer),
        args=job.training,
        train_dataset=train,
        eval_dataset=held_out,
        processing_class=tokenizer,
        peft_config=get_peft_config(job.model),
    )
    return Built(trainer=trainer, pairs=loading.held_out_pairs(job, held_out))


RECIPE = Recipe(name="dpo", doc=__doc__, options=options, toy=TOY, build=build)


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of one run."""
    return run(RECIPE, argv)


if __name__ == "__main__":
    sys.exit(main())
