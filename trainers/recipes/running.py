"""Runs a recipe: parses, builds, attaches runvitals and the fault, trains."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from runvitals.errors import RunvitalsError
from runvitals.settings import Settings
from runvitals.trainers.recipes import arguments
from runvitals.trainers.recipes.arguments import Built, Job, Recipe
from runvitals.trainers.recipes.faults import LOADER_FAULTS

BAD_SETTINGS = 2
"""The exit code where the command line cannot be followed, as argparse has it."""


def run(recipe: Recipe, argv: Sequence[str] | None = None) -> int:
    """The exit code of one run of the recipe; an exception of the training itself goes through."""
    argv = arguments.command_line() if argv is None else list(argv)
    if arguments.wants_help(argv):
        print(arguments.help_text(recipe))
        return 0
    return _run(recipe, argv)


def _run(recipe: Recipe, argv: Sequence[str]) -> int:
    try:
        job = arguments.parse(recipe, argv, Settings.from_environment())
        built = recipe.build(job)
    except RunvitalsError as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_SETTINGS
    attach(built, job)
    built.trainer.train()
    if not job.is_toy:
        built.trainer.save_model(job.training.output_dir)
    return 0


def attach(built: Built, job: Job) -> None:
    """Adds the pace, the fault and runvitals to the trainer.

    The pace comes before runvitals, so that the time it takes counts as part of the step.
    """
    from runvitals.trainers.callback import Callback
    from runvitals.trainers.recipes.injection import FaultyCollator, PaceCallback

    trainer = built.trainer
    if job.ours.inject in LOADER_FAULTS and not isinstance(trainer.data_collator, FaultyCollator):
        trainer.data_collator = FaultyCollator(trainer.data_collator, job.clock)
    if job.ours.pace_s:
        trainer.add_callback(PaceCallback(job.ours.pace_s))
    trainer.add_callback(job.clock)
    fault = job.ours.inject
    told = {"recipe": job.recipe, "toy": job.is_toy, "injected_fault": None if fault is None else fault.value}
    trainer.add_callback(
        Callback(job.training.run_name, project=job.training.project, config=told, pairs=built.pairs or None)
    )
