"""Pre-training with transformers' own Trainer.

    python -m runvitals.trainers.recipes.pretrain                     # a toy model, on a CPU, in seconds
    python -m runvitals.trainers.recipes.pretrain --inject nan        # NaN that the trainer's filter hides
    python -m runvitals.trainers.recipes.pretrain --inject slow_loader
    python -m runvitals.trainers.recipes.pretrain \\
        --model_name_or_path HuggingFaceTB/SmolLM2-135M --dataset_name roneneldan/TinyStories \\
        --learning_rate 3e-4 --output_dir pretrain-out --run_name stories --project small-models

Texts are taken from the dataset's column `text`, joined with end tokens and cut into blocks of 512 tokens (toy: 64).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from runvitals.errors import RecipeError
from runvitals.trainers.recipes.arguments import Built, Job, Recipe
from runvitals.trainers.recipes.running import run

BLOCK_TOKENS = 512
TOY_BLOCK_TOKENS = 64

TOY = {
    "max_steps": 300,
    "per_device_train_batch_size": 8,
    "learning_rate": 3e-3,
    "lr_scheduler_type": "cosine",
    "eval_strategy": "steps",
    "eval_steps": 50,
}


def options() -> tuple[type, type]:
    """TRL's script arguments and transformers' training arguments."""
    from transformers import TrainingArguments
    from trl import ScriptArguments

    return ScriptArguments, TrainingArguments


def blocks(rows: Any, tokenizer: Any, length: int) -> Any:
    """The rows' texts as blocks of `length` tokens; what is left over at the end of a batch of rows is dropped.

    Raises RecipeError where there is no column `text`.
    """
    if "text" not in (rows.column_names or []):
        raise RecipeError(f"pre-training needs a column 'text'; the dataset has {rows.column_names}")

    def join(batch: dict[str, list[str]]) -> dict[str, list[list[int]]]:
        joined = [token for text in batch["text"] for token in [*tokenizer(text)["input_ids"], tokenizer.eos_token_id]]
        whole = len(joined) - len(joined) % length
        return {"input_ids": [joined[start : start + length] for start in range(0, whole, length)]}

    return rows.map(join, batched=True, remove_columns=rows.column_names)


def build(job: Job) -> Built:
    """The trainer; what it learns has no preferences, so there is nothing to probe."""
    from transformers import DataCollatorForLanguageModeling, Trainer
    from trl import get_peft_config

    from runvitals.trainers.recipes import loading, toy_data

    tokenizer = loading.load_tokenizer(job)
    length = TOY_BLOCK_TOKENS if job.is_toy else BLOCK_TOKENS
    train, held_out = loading.load_rows(
        job, lambda count, seed: [{"text": text} for text in toy_data.texts(count, seed=seed)]
    )
    model = loading.load_policy(job, tokenizer, toy="new")
    peft = get_peft_config(job.model)
    if peft is not None:
        from peft import get_peft_model

        model = get_peft_model(model, peft)
    trainer = Trainer(
        model=model,
        args=job.training,
        train_dataset=blocks(train, tokenizer, length),
        eval_dataset=None if held_out is None else blocks(held_out, tokenizer, length),
        processing_class=tokenizer,
        data_collator=DataCollatorForLanguageModeling(tokenizer, mlm=False),
    )
    return Built(trainer=trainer, pairs=None)


RECIPE = Recipe(name="pretrain", doc=__doc__, options=options, toy=TOY, build=build)


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of one run."""
    return run(RECIPE, argv)


if __name__ == "__main__":
    sys.exit(main())
