"""Trains one run of the corpus: `python benchmarks/corpus/one_run.py RECIPE CAUSE [options of the recipe]`, CAUSE `-` for none."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

import torch

from causes import KillCallback, PauseCallback, SpoiledCollator, long_answers, spoil_rows_of  # isort: skip
from runvitals.settings import Settings
from runvitals.trainers.recipes import arguments, loading
from runvitals.trainers.recipes.arguments import Job
from runvitals.trainers.recipes.running import attach

IN_BATCHES = frozenset({"masked_labels", "corrupt_shard", "memory_leak"})
RESUMED = frozenset({"resumed", "repeated_on_resume"})


def main(recipe_name: str, cause: str, argv: list[str]) -> None:
    """Builds the recipe, breaks it, trains it."""
    torch.set_num_threads(1)
    module = importlib.import_module(f"runvitals.trainers.recipes.{recipe_name}")
    job = arguments.parse(module.RECIPE, argv, Settings.from_environment())
    spoil_rows_of(loading, cause, seed=job.training.seed)
    if cause == "length_reward":
        module.graded = long_answers  # type: ignore[attr-defined]
    if cause in RESUMED:
        trainer = trainer_of(module, job, cause)
        trainer.add_callback(PauseCallback())
        trainer.train()
        trainer_of(module, job, cause).train(resume_from_checkpoint=True)
    else:
        trainer_of(module, job, cause).train()


def trainer_of(module: ModuleType, job: Job, cause: str) -> Any:
    """The recipe's trainer, broken by the cause."""
    built = module.RECIPE.build(job)
    if cause in IN_BATCHES:
        built.trainer.data_collator = SpoiledCollator(built.trainer.data_collator, cause, job.clock)
    if (
        cause == "fp16"
    ):  # weights and optimiser states in half precision: squares of small gradients vanish, sums overflow
        built.trainer.model.half()
    attach(built, job)
    if cause == "kill":
        built.trainer.add_callback(KillCallback(job.clock))
    return built.trainer


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
