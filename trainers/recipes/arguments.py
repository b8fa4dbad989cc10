"""What a recipe is told: TRL's own options, three of ours, and the toy settings that make it run offline in seconds."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runvitals.errors import RecipeError
from runvitals.settings import Settings
from runvitals.trainers.recipes import faults
from runvitals.trainers.recipes.faults import Fault, RecipeName


@dataclass
class RecipeArguments:
    """Options of ours, next to TRL's.

    Not frozen, because TRL's parser builds it field by field like its own.
    """

    inject: Fault | None = field(default=None, metadata={"help": "Train with this fault on purpose."})
    pace_s: float = field(
        default=0.0, metadata={"help": "Least seconds a step takes, so that a toy run can be watched."}
    )
    probe_pairs: int = field(default=32, metadata={"help": "Held-out preference pairs for the margin probe; 0 is off."})

    def __post_init__(self) -> None:
        self.inject = None if self.inject is None else Fault(self.inject)
        if self.pace_s < 0:
            raise RecipeError(f"--pace_s: expected 0 or more seconds, got {self.pace_s}")
        if self.probe_pairs < 0:
            raise RecipeError(f"--probe_pairs: expected 0 or more, got {self.probe_pairs}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One recipe, before anything heavy is imported.

    doc: the module's docstring, the first thing `--help` prints. options: gives TRL's script arguments and training configuration.
    toy: the training settings of the toy run. build: makes the trainer and the held-out pairs for the probe.
    """

    name: RecipeName
    doc: str
    options: Callable[[], tuple[type, type]]
    toy: Mapping[str, Any]
    build: Callable[[Job], Built]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run to make: what the command line said. `script`, `training` and `model` are TRL's own objects.

    clock: the FaultCallback of the run, which knows whether the fault has begun.
    """

    recipe: RecipeName
    ours: RecipeArguments
    script: Any
    training: Any
    model: Any
    home: Path
    clock: Any

    @property
    def is_toy(self) -> bool:
        """True where the model is made in code."""
        return self.model.model_name_or_path is None

    @property
    def toy_cache(self) -> Path:
        """Where the toy models that take a second or two to train are kept."""
        return self.home / "toy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A trainer that is ready to train, and the held-out pairs for the margin probe, if there are any."""

    trainer: Any
    pairs: Sequence[Mapping[str, Any]] | None


COMMON_TOY: dict[str, Any] = {
    "use_cpu": True,
    "bf16": False,
    "gradient_checkpointing": False,
    "dataloader_pin_memory": False,
    "logging_steps": 1,
    "save_strategy": "no",
    "warmup_steps": 10,
}


def help_text(recipe: Recipe) -> str:
    """The short help: commands first, then our options and the faults. It needs no torch, so it is there at once."""
    return (
        f"{recipe.doc.strip()}\n\n"
        "Options of ours:\n"
        "  --inject FAULT      train with a fault on purpose (below)\n"
        "  --pace_s SECONDS    least seconds a step takes, so that a toy run can be watched\n"
        "  --probe_pairs N     held-out preference pairs for the margin probe; 0 is off (32)\n"
        "  --run_name NAME     the run's name; --project NAME its project (recipes)\n"
        "  --use_peft          train a LoRA adapter; --lora_r, --lora_alpha and the rest of trl.ModelConfig\n"
        "  --help_all          every option of TRL's own configurations, all of which work here\n\n"
        f"Faults that fit {recipe.name}:\n{faults.listing(recipe.name)}"
    )


def parse(recipe: Recipe, argv: Sequence[str], settings: Settings) -> Job:
    """The job that a command line asks for. Raises RecipeError where settings cannot work together."""
    from trl import ModelConfig, TrlParser  # lazily: torch and transformers take seconds

    from runvitals.trainers.recipes.injection import FaultCallback, spoil_settings

    script_type, training_type = recipe.options()
    program = f"python -m runvitals.trainers.recipes.{recipe.name}"
    parser = TrlParser((RecipeArguments, script_type, training_type, ModelConfig), prog=program)
    if "--help_all" in argv:
        parser.print_help()
        raise SystemExit(0)
    _set_defaults(parser, recipe, argv, settings)
    try:
        ours, script, training, model = parser.parse_args_and_config(list(argv))
    except ValueError as error:  # an option that nobody knows, or values that TRL's configurations refuse
        raise RecipeError(str(error)) from error
    faults.check_fits(ours.inject, recipe.name)
    _check_together(ours, script, training, model)
    training.run_name = training.run_name or _default_name(recipe.name, ours.inject)
    clock = FaultCallback(ours.inject)
    spoil_settings(training, ours.inject)
    return Job(
        recipe=recipe.name, ours=ours, script=script, training=training, model=model, home=settings.home, clock=clock
    )


def _set_defaults(parser: Any, recipe: Recipe, argv: Sequence[str], settings: Settings) -> None:
    defaults: dict[str, Any] = {"project": "recipes"}
    if not names_model(argv):
        output = settings.home / "toy" / "output" / recipe.name
        defaults |= {**COMMON_TOY, **recipe.toy, "output_dir": str(output)}
    unknown = parser.set_defaults_with_config(**defaults)
    if unknown:
        raise RecipeError(f"this TRL does not know {unknown[0]}; the recipe {recipe.name} needs trl>=1.12")


def names_model(argv: Sequence[str]) -> bool:
    """True where the command line, or the YAML file that it names, says which model to train."""
    scan = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    scan.add_argument("--model_name_or_path", "--model-name-or-path")
    scan.add_argument("--config")
    known, _ = scan.parse_known_args(list(argv))
    if known.model_name_or_path is not None:
        return True
    if known.config is None:
        return False
    import yaml  # type: ignore[import-untyped]  # comes with transformers

    try:
        written = yaml.safe_load(Path(known.config).read_text())
    except (OSError, yaml.YAMLError) as error:
        raise RecipeError(f"--config: expected a YAML file, could not read {known.config}: {error}") from error
    return isinstance(written, dict) and "model_name_or_path" in written


def _check_together(ours: RecipeArguments, script: Any, training: Any, model: Any) -> None:
    if script.dataset_name is not None and model.model_name_or_path is None:
        raise RecipeError(
            "--dataset_name needs --model_name_or_path: the toy model knows only the words of the toy data"
        )
    if ours.inject in faults.LOADER_FAULTS and training.dataloader_num_workers:
        raise RecipeError(
            f"--inject {ours.inject.value} sits in the loader of the training process: leave --dataloader_num_workers at 0"
        )


def _default_name(recipe: RecipeName, fault: Fault | None) -> str:
    return recipe if fault is None else f"{recipe}-{fault.value.replace('_', '-')}"


def wants_help(argv: Sequence[str]) -> bool:
    """True where the short help is asked for."""
    return any(argument in ("-h", "--help") for argument in argv)


def command_line() -> list[str]:
    """The arguments of this process."""
    return sys.argv[1:]
