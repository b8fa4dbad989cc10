"""Trains one run of the corpus: `python benchmarks/corpus/one_run.py RECIPE CAUSE [options of the recipe]`, CAUSE `-` for none."""

from __future__ import annotations

import importlib
import sys

import torch

from causes import KillCallback, SpoiledCollator, long_answers, spoil_rows_of  # isort: skip
from runvitals.settings import Settings
from runvitals.trainers.recipes import arguments, loading
from runvitals.trainers.recipes.running import attach

IN_BATCHES = frozenset({"masked_labels", "corrupt_shard", "memory_leak"})


def main(recipe_name: str, cause: str, argv: list[str]) -> None:
    """Builds the recipe, breaks it, trains it."""
    torch.set_num_threads(1)
    module = importlib.import_module(f"runvitals.trainers.recipes.{recipe_name}")
    job = arguments.parse(module.RECIPE, argv, Settings.from_environment())
    spoil_rows_of(loading, cause, seed=job.training.seed)
    if cause == "length_reward":
        module.graded = long_answers
    built = module.RECIPE.build(job)
    if cause in IN_BATCHES:
        built.trainer.data_collator = SpoiledCollator(built.trainer.data_collator, cause, job.clock)
    attach(built, job)
    if cause == "kill":
        built.trainer.add_callback(KillCallback(job.clock))
    built.trainer.train()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
