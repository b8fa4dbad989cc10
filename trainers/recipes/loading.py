"""Models, tokenizers and datasets for the recipes: by name where one is given, else made in code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from datasets import Dataset, load_dataset
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from trl import get_quantization_config

from runvitals.errors import RecipeError
from runvitals.trainers.recipes import toy_data, toy_model
from runvitals.trainers.recipes.arguments import Job
from runvitals.trainers.recipes.faults import Fault
from runvitals.trainers.recipes.injection import spoil_pairs

TRAIN_ROWS = 4800
EVAL_ROWS = 128
EVAL_SEED = 1_000_003
"""The seed of held-out rows; a training seed is small, so that the two never meet."""
PROBE_SEED = 2_000_003

Row = Mapping[str, Any]


def load_tokenizer(job: Job) -> Any:
    """The tokenizer of the model; where it has no padding token, its end token pads."""
    if job.is_toy:
        return toy_model.make_tokenizer()
    tokenizer = AutoTokenizer.from_pretrained(
        job.model.model_name_or_path, revision=job.model.model_revision, **_trust(job)
    )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_policy(job: Job, tokenizer: Any, *, toy: Literal["new", "base", "policy"] = "policy") -> Any:
    """The language model to train. toy: how much the toy model has learnt before."""
    if not job.is_toy:
        return AutoModelForCausalLM.from_pretrained(job.model.model_name_or_path, **_model_options(job))
    if toy == "new":
        return toy_model.new_model(tokenizer, seed=job.training.seed)
    return (toy_model.base if toy == "base" else toy_model.policy)(tokenizer, job.toy_cache)


def load_classifier(job: Job, tokenizer: Any, path: str) -> Any:
    """A model from `path` that gives a text one number."""
    model = AutoModelForSequenceClassification.from_pretrained(path, num_labels=1, **_model_options(job))
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id
    return model


def _model_options(job: Job) -> dict[str, Any]:
    quantization = get_quantization_config(job.model)
    placed = {} if quantization is None else {"quantization_config": quantization, "device_map": "auto"}
    return {
        "revision": job.model.model_revision,
        "dtype": job.model.dtype,
        "attn_implementation": job.model.attn_implementation,
        **_trust(job),
        **placed,
    }


def _trust(job: Job) -> dict[str, bool]:
    """Where TRL keeps `trust_remote_code` has moved between its releases."""
    holders = (holder for holder in (job.model, job.training) if hasattr(holder, "trust_remote_code"))
    return {"trust_remote_code": any(holder.trust_remote_code for holder in holders)}


def load_rows(job: Job, make_toy: Callable[[int, int], Sequence[Row]]) -> tuple[Any, Any]:
    """The training set and, where the run evaluates, the held-out set. `make_toy(count, seed)` gives toy rows.

    Raises RecipeError where the dataset lacks a split that the options name.
    """
    evaluates = job.training.eval_strategy != "no"
    if job.script.dataset_name is None:
        train = Dataset.from_list(list(make_toy(TRAIN_ROWS, job.training.seed)))
        return train, Dataset.from_list(list(make_toy(EVAL_ROWS, EVAL_SEED))) if evaluates else None
    splits = load_dataset(job.script.dataset_name, job.script.dataset_config, streaming=job.script.dataset_streaming)
    train = _split(job, splits, job.script.dataset_train_split)
    return train, _split(job, splits, job.script.dataset_test_split) if evaluates else None


def _split(job: Job, splits: Any, name: str) -> Any:
    if name not in splits:
        raise RecipeError(f"dataset {job.script.dataset_name} has no split {name!r}; it has {', '.join(splits)}")
    return splits[name]


def toy_probe_pairs(job: Job) -> Sequence[Row] | None:
    """Held-out toy pairs with trusted labels, or None where the probe is off or the data is not the toy's."""
    if job.script.dataset_name is not None or not job.ours.probe_pairs:
        return None
    return toy_data.pairs(job.ours.probe_pairs, seed=PROBE_SEED, noise=0.0)


def held_out_pairs(job: Job, rows: Any) -> Sequence[Row] | None:
    """The first pairs of a held-out set of preference rows for the probe, or the toy's.

    None where the probe is off or the run holds nothing out.
    """
    if job.script.dataset_name is None:
        return toy_probe_pairs(job)
    if rows is None or not job.ours.probe_pairs:
        return None
    from trl.data_utils import maybe_extract_prompt

    return [maybe_extract_prompt(row) for row in rows.take(job.ours.probe_pairs)]


def load_pairs(job: Job, *, toy_noise: float = 0.0) -> tuple[Any, Any]:
    """Training and held-out preference rows; the fault that swaps labels swaps those that are trained on, and no others."""
    train, held_out = load_rows(job, lambda count, seed: toy_data.pairs(count, seed=seed, noise=toy_noise))
    if job.ours.inject in (Fault.SHUFFLED_LABELS, Fault.FLIPPED_LABELS):
        if job.script.dataset_streaming:
            raise RecipeError(
                f"--inject {job.ours.inject.value} needs the whole dataset: leave --dataset_streaming out"
            )
        train = Dataset.from_list(spoil_pairs(list(train), job.ours.inject, seed=job.training.seed))
    return train, held_out
