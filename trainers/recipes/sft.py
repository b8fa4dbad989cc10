"""Supervised fine-tuning.

    python -m runvitals.trainers.recipes.sft                          # a toy model, on a CPU, in seconds
    python -m runvitals.trainers.recipes.sft --inject lr_ramp         # a run that diverges
    python -m runvitals.trainers.recipes.sft --use_peft --lora_r 8    # a LoRA adapter
    python -m runvitals.trainers.recipes.sft \\
        --model_name_or_path Qwen/Qwen2.5-0.5B --dataset_name trl-lib/Capybara \\
        --learning_rate 2e-5 --output_dir sft-out --run_name qwen-sft --project assistants

The toy model learns to answer rightly and kindly from demonstrations; the margin probe shows how the gap to wrong and
rude replies opens although no pair is trained on.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from runvitals.trainers.recipes.arguments import Built, Job, Recipe
from runvitals.trainers.recipes.running import run

TOY = {
    "max_steps": 300,
    "per_device_train_batch_size": 16,
    "learning_rate": 1e-3,
    "lr_scheduler_type": "cosine",
    "eval_strategy": "steps",
    "eval_steps": 50,
    "completion_only_loss": True,
}


def options() -> tuple[type, type]:
    """TRL's script arguments and training configuration."""
    from trl import ScriptArguments, SFTConfig

    return ScriptArguments, SFTConfig


def build(job: Job) -> Built:
    """The trainer and the probe's pairs."""
    from trl import SFTTrainer, get_peft_config

    from runvitals.trainers.recipes import loading, toy_data

    tokenizer = loading.load_tokenizer(job)
    train, held_out = loading.load_rows(job, lambda count, seed: toy_data.demonstrations(count, seed=seed))
    trainer = SFTTrainer(
        model=loading.load_policy(job, tokenizer, toy="base"),
        args=job.training,
        train_dataset=train,
        eval_dataset=held_out,
        processing_class=tokenizer,
        peft_config=get_peft_config(job.model),
    )
    return Built(trainer=trainer, pairs=loading.toy_probe_pairs(job))


RECIPE = Recipe(name="sft", doc=__doc__, options=options, toy=TOY, build=build)


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of one run."""
    return run(RECIPE, argv)


if __name__ == "__main__":
    sys.exit(main())
