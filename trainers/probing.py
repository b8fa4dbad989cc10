"""How the margin probe is set up at the beginning of a training: which pairs, which beta, which reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runvitals.errors import SettingsError
from runvitals.trainers.pairs import tokenise
from runvitals.trainers.probe import DEFAULT_BETA, MarginProbe, why_not
from runvitals.trainers.unwrap import has_adapters

BETA_KINDS = ("dpo", "kto")
"""Trainers whose `beta` scales this very reward; GRPO's, RLOO's and ORPO's beta are weights of another term."""

CHECKPOINT_KEY = "runvitals"
"""Where a trainer's checkpoint keeps what we need of it, among `stateful_callbacks` in trainer_state.json."""


def length_limit(arguments: Any, policy: Any) -> int | None:
    """Tokens that a sequence of the probe may have: the trainer's `max_length`, never more than the model's positions."""
    positions = getattr(getattr(policy, "config", None), "max_position_embeddings", None)
    limits = [limit for limit in (getattr(arguments, "max_length", None), positions) if isinstance(limit, int)]
    return min(limits, default=None)


def probe_beta(arguments: Any, kind: str) -> float:
    """The trainer's beta where it means the same, else TRL's default for DPO."""
    beta = getattr(arguments, "beta", None) if kind in BETA_KINDS else None
    return float(beta) if isinstance(beta, (int, float)) and beta > 0 else DEFAULT_BETA


def build_probe(
    pairs: Sequence[Mapping[str, Any]], processing_class: Any, arguments: Any, *, policy: Any, kind: str, budget: float
) -> MarginProbe | str:
    """The probe, or the reason why there can be none here."""
    reason = why_not(policy, kind)
    if reason is not None:
        return reason
    if processing_class is None:
        return "the trainer has no tokenizer (processing_class)"
    limit = length_limit(arguments, policy)
    tokenised = tokenise(pairs, processing_class, limit)
    if not tokenised.count:
        return f"every prompt fills the length limit of {limit} tokens"
    tokenizer = getattr(processing_class, "tokenizer", processing_class)
    settings = policy.config.get_text_config() if hasattr(policy.config, "get_text_config") else policy.config
    return MarginProbe(
        tokenised,
        beta=probe_beta(arguments, kind),
        budget=budget,
        vocabulary=settings.vocab_size,
        padding=tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0,
    )


def find_reference(probe: MarginProbe, policy: Any, trainer: Any | None, state: Any) -> str | None:
    """None once the probe has its reference; else the reason why it cannot have the true one.

    A resumed full fine-tune is no longer its own reference, so that must come from the checkpoint or from the trainer's reference model.
    """
    reference_model = getattr(trainer, "ref_model", None)
    if probe.restore(kept_in_checkpoint(state).get("probe", {})):
        return None
    if state.global_step > 0 and reference_model is None and not has_adapters(policy):
        return "training was resumed from a checkpoint that holds no reference for these pairs"
    probe.take_reference(policy, reference_model)
    return None


def kept_in_checkpoint(state: Any) -> dict[str, Any]:
    """What `Session.keep_in_checkpoints` put into the checkpoint that training was resumed from; empty where there is none."""
    entry = (state.stateful_callbacks or {}).get(CHECKPOINT_KEY)
    kept = entry.get("attributes") if isinstance(entry, dict) else None
    return kept if isinstance(kept, dict) and state.global_step > 0 else {}


def describe_probe(probe: MarginProbe) -> dict[str, Any]:
    """What a reader of the margin must know."""
    return {
        "pairs": probe.pairs.count,
        "pairs_digest": probe.pairs.digest,
        "beta": probe.beta,
        "budget": probe.budget,
        "reference": probe.reference.kind if probe.reference else None,
        "truncated_sequences": probe.pairs.truncated,
        "dropped_pairs": probe.pairs.dropped,
    }


def checked_budget(budget: float) -> float:
    """The budget, where it is a share between 0 and 1; raises SettingsError else."""
    if not 0.0 < budget <= 1.0:
        raise SettingsError(f"probe_budget: expected a share of the training time above 0 and up to 1, got {budget!r}")
    return budget
