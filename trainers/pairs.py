"""Preference pairs for the margin probe: read, tokenised as TRL's DPOTrainer does it, and cut into batches of bounded size."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from runvitals.errors import SettingsError

FIELDS = ("prompt", "chosen", "rejected")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """One prompt with one completion. ids: all tokens; prompt: how many of them are the prompt."""

    ids: tuple[int, ...]
    prompt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenisedPairs:
    """Pairs as tokens: `sequences` holds all chosen, then all rejected ones, `count` each.

    truncated: sequences that lost the end of their completion to the length limit. dropped: pairs whose prompt alone fills it.
    """

    sequences: tuple[Tokens, ...]
    count: int
    truncated: int
    dropped: int

    @property
    def digest(self) -> str:
        """A fingerprint of the tokens; a cached reference belongs to exactly these."""
        listed = repr([(sequence.prompt, sequence.ids) for sequence in self.sequences])
        return hashlib.sha256(listed.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Some of the sequences, padded on the right.

    places: (b,) where they stand in TokenisedPairs.sequences. ids, attention: (b, t) int64. completion: (b, t-1) bool, true where
    the token after the position belongs to the completion.
    """

    places: torch.Tensor
    ids: torch.Tensor
    attention: torch.Tensor
    completion: torch.Tensor


def checked_pairs(pairs: Iterable[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """The pairs as a tuple. Raises SettingsError where there is none or one lacks a prompt, a chosen or a rejected completion."""
    kept = tuple(pairs)
    for number, pair in enumerate(kept):
        missing = [field for field in FIELDS if not pair.get(field)]
        if missing:
            raise SettingsError(
                f"pairs: expected {', '.join(FIELDS)} in each pair, but pair {number} has no {missing[0]!r}"
            )
    if not kept:
        raise SettingsError(
            "pairs: expected at least one preference pair, got none; leave `pairs` out to go without the probe"
        )
    return kept


def tokenise(pairs: Sequence[Mapping[str, Any]], processing_class: Any, limit: int | None) -> TokenisedPairs:
    """The pairs as tokens, at most `limit` a sequence.

    As TRL's DPOTrainer: plain text gets the end-of-sequence token, conversations go through the chat template, the start is kept where a
    sequence is too long, and a pair whose prompt alone fills the limit is left out.
    """
    tokenizer = getattr(processing_class, "tokenizer", processing_class)
    chosen: list[Tokens] = []
    rejected: list[Tokens] = []
    truncated = dropped = 0
    for pair in pairs:
        prompt = prompt_ids(tokenizer, pair["prompt"])
        if limit is not None and len(prompt) >= limit:
            dropped += 1
            continue
        for side, completion in ((chosen, pair["chosen"]), (rejected, pair["rejected"])):
            ids = [*prompt, *_full_ids(tokenizer, pair["prompt"], completion)[len(prompt) :]]
            truncated += limit is not None and len(ids) > limit
            side.append(Tokens(ids=tuple(ids[:limit]), prompt=len(prompt)))
    return TokenisedPairs(sequences=(*chosen, *rejected), count=len(chosen), truncated=truncated, dropped=dropped)


def prompt_ids(tokenizer: Any, prompt: Any) -> list[int]:
    """The tokens of a prompt: of plain text, or of messages up to where the answer begins."""
    if isinstance(prompt, str):
        return list(tokenizer(prompt)["input_ids"])
    return _chat_ids(tokenizer, prompt, add_generation_prompt=True)


def _full_ids(tokenizer: Any, prompt: Any, completion: Any) -> list[int]:
    if not isinstance(prompt, str):
        return _chat_ids(tokenizer, [*prompt, *completion], add_generation_prompt=False)
    end = tokenizer.eos_token or ""
    text = completion if completion.endswith(end) else completion + end
    return list(tokenizer(prompt + text)["input_ids"])


def _chat_ids(tokenizer: Any, messages: Sequence[Any], *, add_generation_prompt: bool) -> list[int]:
    encoded = tokenizer.apply_chat_template(
        list(messages), tokenize=True, return_dict=True, add_generation_prompt=add_generation_prompt
    )
    return list(encoded["input_ids"])


def batched(pairs: TokenisedPairs, *, tokens: int, padding: int) -> list[Batch]:
    """All sequences in batches of at most `tokens` padded tokens (but at least one sequence), alike in length to waste little padding."""
    order = sorted(range(len(pairs.sequences)), key=lambda place: len(pairs.sequences[place].ids))
    batches: list[Batch] = []
    group: list[int] = []
    for place in order:
        if group and (len(group) + 1) * len(pairs.sequences[place].ids) > tokens:
            batches.append(_batch(pairs, group, padding))
            group = []
        group.append(place)
    if group:
        batches.append(_batch(pairs, group, padding))
    return batches


def _batch(pairs: TokenisedPairs, places: Sequence[int], padding: int) -> Batch:
    chosen = [pairs.sequences[place] for place in places]
    length = max(len(sequence.ids) for sequence in chosen)
    ids = torch.full((len(chosen), length), padding, dtype=torch.int64)
    attention = torch.zeros_like(ids)
    completion = torch.zeros((len(chosen), length - 1), dtype=torch.bool)
    for row, sequence in enumerate(chosen):
        end = len(sequence.ids)
        ids[row, :end] = torch.tensor(sequence.ids)
        attention[row, :end] = 1
        completion[row, sequence.prompt - 1 : end - 1] = True
    return Batch(places=torch.tensor(places), ids=ids, attention=attention, completion=completion)
