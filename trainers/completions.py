"""What the policy says: its answers to held-out prompts over time, and the rollouts of trainers that keep them.

Both become `completions` events, which the Run page shows side by side: prompt, chosen, rejected, policy.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from weakref import ref

import torch
from transformers import GenerationConfig

from runvitals.trainers.pairs import prompt_ids
from runvitals.trainers.unwrap import untouched

PROMPTS = 4
"""Held-out prompts that are answered."""

NEW_TOKENS = 64
"""Tokens that an answer may have: enough to see what the policy is up to."""

LONGEST_S = 5.0
"""One reading generates no longer than this; what is there by then is shown."""

TEXT_CHARACTERS = 4000
"""A longer text is cut; the row says how many characters it had."""

ROLLOUTS_PER_RUN = 200
"""Rollouts are told at most this many times, evenly over the run."""

Row = dict[str, Any]


class Answers:
    """Greedy answers to the prompts of held-out pairs, when the time spent on them so far allows.

    spent_s: all time taken so far; a reading is due where, at the price of the last one, it stays within `budget` of the time trained.
    """

    def __init__(self, pairs: Sequence[Mapping[str, Any]], tokenizer: Any, *, budget: float, limit: int | None) -> None:
        self._tokenizer, self._budget = tokenizer, budget
        tokenised = [(pair, prompt_ids(tokenizer, pair["prompt"])) for pair in pairs]
        fitting = [(pair, ids) for pair, ids in tokenised if limit is None or len(ids) + NEW_TOKENS // 4 <= limit]
        self._asked = fitting[:PROMPTS]
        longest = max((len(ids) for _, ids in self._asked), default=0)
        self._new_tokens = NEW_TOKENS if limit is None else min(NEW_TOKENS, limit - longest)
        self.spent_s = 0.0
        self.last_step: int | None = None
        self._last_cost_s = 0.0

    @property
    def count(self) -> int:
        """Prompts that are answered; none where all fill the length limit."""
        return len(self._asked)

    def due(self, training_s: float) -> bool:
        """True where one more reading keeps the answers within their share of the time trained."""
        return self.spent_s + self._last_cost_s <= self._budget * training_s

    def read(self, policy: Any, step: int) -> list[Row]:
        """One row a prompt; training cannot tell that anyone asked."""
        started_s = time.perf_counter()
        ids, attention = self._padded(next(policy.parameters()).device)
        with untouched(policy):
            answered = policy.generate(input_ids=ids, attention_mask=attention, generation_config=self._settings())
        texts = self._tokenizer.batch_decode(answered[:, ids.shape[1] :].cpu(), skip_special_tokens=True)
        self._last_cost_s = time.perf_counter() - started_s  # reading the tokens has waited for the GPU
        self.spent_s += self._last_cost_s
        self.last_step = step
        return [told({**pair, "completion": text}) for (pair, _), text in zip(self._asked, texts, strict=True)]

    def _padded(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """(n, t) int64 each, padded on the left, so that answers begin in one column."""
        length = max(len(ids) for _, ids in self._asked)
        padding = self._tokenizer.pad_token_id
        ids = torch.full((self.count, length), padding if padding is not None else 0, dtype=torch.int64)
        attention = torch.zeros_like(ids)
        for row, (_, asked) in enumerate(self._asked):
            ids[row, length - len(asked) :] = torch.tensor(asked)
            attention[row, length - len(asked) :] = 1
        return ids.to(device), attention.to(device)

    def _settings(self) -> GenerationConfig:
        tokenizer = self._tokenizer
        padding = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
        return GenerationConfig(
            max_new_tokens=self._new_tokens,
            max_time=LONGEST_S,
            do_sample=False,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=padding,
        )


class Rollouts:
    """What a trainer that generates (GRPO, RLOO) keeps of its newest completions, with rewards: the best and the worst of two prompts.

    steps: of the whole training, which settle how often they are told.
    """

    def __init__(self, trainer: Any, *, steps: int) -> None:
        self._trainer = ref(trainer)
        self._every = max(1, steps // ROLLOUTS_PER_RUN)
        self._told_step: int | None = None

    def due(self, step: int) -> bool:
        """True where the last ones were told long enough ago."""
        return self._told_step is None or step >= self._told_step + self._every

    def read(self, step: int) -> list[Row]:
        """At most four rows, newest prompt first; none where the trainer has generated nothing yet."""
        kept = getattr(self._trainer(), "_logs", {})
        prompts, completions = list(kept.get("prompt", ())), list(kept.get("completion", ()))
        advantages = list(kept.get("advantages", ()))
        rewards = {name: list(values) for name, values in kept.get("rewards", {}).items()}
        if not prompts or not len(prompts) == len(completions) == len(advantages):
            return []
        self._told_step = step
        rows: list[Row] = []
        for places in _newest_groups(prompts):
            for place in _best_and_worst(places, advantages):
                named = {name: values[place] for name, values in rewards.items() if place < len(values)}
                told_row = {"prompt": prompts[place], "completion": completions[place], "rewards": named}
                rows.append(told({**told_row, "advantage": advantages[place]}))
        return rows


def keeps_rollouts(trainer: Any) -> bool:
    """True for a trainer whose completions can be read."""
    kept = getattr(trainer, "_logs", None)
    return isinstance(kept, Mapping) and {"prompt", "completion", "advantages"} <= kept.keys()


def told(row: Mapping[str, Any]) -> Row:
    """The row with every text as a string of bounded length; `cut` holds the characters of those that were longer."""
    kept: Row = {}
    cut: dict[str, int] = {}
    for name, value in row.items():
        if name in ("rewards", "advantage"):
            kept[name] = value
            continue
        text = plain_text(value)
        if len(text) > TEXT_CHARACTERS:
            cut[name] = len(text)
        kept[name] = text[:TEXT_CHARACTERS]
    return {**kept, "cut": cut} if cut else kept


def plain_text(value: Any) -> str:
    """A text, or messages one under the other, each with its role."""
    if isinstance(value, Iterable) and not isinstance(value, (str, Mapping)):
        return "\n".join(
            f"{message.get('role', '?')}: {message.get('content', '')}"
            if isinstance(message, Mapping)
            else str(message)
            for message in value
        )
    return str(value)


def _newest_groups(prompts: Sequence[Any]) -> list[list[int]]:
    """The places of the two newest runs of one prompt, newest first."""
    groups: list[list[int]] = []
    for place in reversed(range(len(prompts))):
        if groups and prompts[place] == prompts[groups[-1][0]]:
            groups[-1].append(place)
        elif len(groups) == 2:
            break
        else:
            groups.append([place])
    return groups


def _best_and_worst(places: Sequence[int], advantages: Sequence[float]) -> list[int]:
    ordered = sorted(places, key=lambda place: (advantages[place] == advantages[place], advantages[place]))
    return [ordered[-1]] if len(ordered) == 1 else [ordered[-1], ordered[0]]
