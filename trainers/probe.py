"""The margin probe: the implicit reward margin of any policy on the same held-out pairs, so that DPO and PPO stand on one chart.

The implicit reward of a completion is beta · (log π(completion | prompt) − log π_ref(completion | prompt)); the margin is that of the chosen
completion less that of the rejected one (Rafailov et al. 2023, "Direct Preference Optimization", section 4). It is what DPOTrainer logs
as `rewards/margins`, and it is defined for every policy that has a reference, however it is trained.
"""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch

from runvitals.trainers.pairs import Batch, TokenisedPairs, batched
from runvitals.trainers.unwrap import adapters_off, has_adapters, sharding, untouched, unwrap_model

DEFAULT_BUDGET = 0.01
"""Share of the training time that the probe may take."""

DEFAULT_BETA = 0.1
"""TRL's default for DPO, taken where the trainer has no beta of this meaning, so that runs stay comparable."""

LOGIT_BYTES = 256 * 2**20
"""Bound on the float32 logits that are held at once. It is 441 tokens at a vocabulary of 152,000: a long sequence is taken in slices."""

ReferenceKind = Literal["adapters off", "trainer's reference model", "weights at the start", "checkpoint"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """One reading over n pairs. A pair with no margin at all counts half in `accuracy`. margin_se: standard error, NaN for one pair."""

    margin: float
    margin_se: float
    chosen: float
    rejected: float
    accuracy: float
    cost_s: float

    def row(self) -> dict[str, float]:
        """The reading under the keys of the probe."""
        return {f"probe/{name}": getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The reference's log-probabilities, (2n,) chosen then rejected, and where they come from."""

    log_probabilities: torch.Tensor
    kind: ReferenceKind


class MarginProbe:
    """Reads the margin when the time spent on it so far allows.

    spent_s: all time taken so far. The rule: a reading is due where, at the price of the last one, everything spent stays within
    `budget` of the time trained. `reference` must be set before a reading.
    """

    def __init__(self, pairs: TokenisedPairs, *, beta: float, budget: float, vocabulary: int, padding: int) -> None:
        self.pairs, self.beta, self.budget = pairs, beta, budget
        self._tokens = max(1, LOGIT_BYTES // (4 * vocabulary))
        self._batches = batched(pairs, tokens=self._tokens, padding=padding)
        self.reference: Reference | None = None
        self.spent_s = 0.0
        self.last_step: int | None = None
        self._last_cost_s = 0.0

    def due(self, training_s: float) -> bool:
        """True where one more reading keeps the probe within its share of the time trained."""
        return self.spent_s + self._last_cost_s <= self.budget * training_s

    def take_reference(self, policy: Any, reference_model: Any | None) -> Reference:
        """The reference as it stands now: adapters off, else the trainer's own reference model, else the policy itself.

        The last is right only before the first step. The values are constant, so they are computed once.
        """
        started_s = _synchronised_s(policy)
        kind: ReferenceKind
        if has_adapters(policy):
            model, kind = policy, "adapters off"
        elif reference_model is not None:
            model, kind = unwrap_model(reference_model), "trainer's reference model"
        else:
            model, kind = policy, "weights at the start"
        with untouched(model), adapters_off(model) if has_adapters(model) else nullcontext():
            values = log_probabilities(model, self._batches, tokens=self._tokens)
        self.reference = Reference(log_probabilities=values, kind=kind)
        self._pay(_synchronised_s(policy) - started_s)
        return self.reference

    def read(self, policy: Any, step: int) -> Margin:
        """The policy's margin now; training cannot tell that it was read."""
        if self.reference is None:
            raise RuntimeError("the margin probe was read before it had a reference")
        started_s = _synchronised_s(policy)
        with untouched(policy):
            values = log_probabilities(policy, self._batches, tokens=self._tokens)
        cost_s = _synchronised_s(policy) - started_s
        self._pay(cost_s)
        self.last_step = step
        return margin_of(self.beta * (values - self.reference.log_probabilities), cost_s)

    def _pay(self, cost_s: float) -> None:
        self.spent_s += cost_s
        self._last_cost_s = cost_s

    def state(self) -> dict[str, Any]:
        """What a checkpoint must keep, so that a resumed run has the reference of its beginning; empty where it can be had anew."""
        if self.reference is None or self.reference.kind not in ("weights at the start", "checkpoint"):
            return {}
        return {"pairs": self.pairs.digest, "log_probabilities": self.reference.log_probabilities.tolist()}

    def restore(self, state: Mapping[str, Any]) -> bool:
        """True where `state` holds a reference for exactly these pairs, which is then taken over."""
        if state.get("pairs") != self.pairs.digest:
            return False
        values = torch.tensor(state["log_probabilities"], dtype=torch.float64)
        self.reference = Reference(log_probabilities=values, kind="checkpoint")
        return True


def margin_of(rewards: torch.Tensor, cost_s: float) -> Margin:
    """The reading from implicit rewards, (2n,) chosen then rejected. NaN goes through to every number it touches."""
    chosen, rejected = rewards.chunk(2)
    margins = chosen - rejected
    count = len(margins)
    wins = (margins > 0).double() + 0.5 * (margins == 0).double()
    return Margin(
        margin=margins.mean().item(),
        margin_se=margins.std().item() / math.sqrt(count) if count > 1 else math.nan,
        chosen=chosen.mean().item(),
        rejected=rejected.mean().item(),
        accuracy=math.nan if bool(margins.isnan().any()) else wins.mean().item(),
        cost_s=cost_s,
    )


def log_probabilities(model: Any, batches: Sequence[Batch], *, tokens: int) -> torch.Tensor:
    """Summed log-probability of each completion, (2n,) float64 on the CPU. To be called inside `untouched`.

    tokens: whose float32 logits may be held at once; what is longer is taken in slices of the sequence, which gives the same numbers.
    """
    values = torch.zeros(sum(len(batch.places) for batch in batches), dtype=torch.float64)
    device = next(model.parameters()).device
    for batch in batches:
        targets = batch.ids[:, 1:]
        for first, last, logits in _slices(model, batch, tokens, device):
            logits = logits.float()
            wanted = targets[:, first:last].to(logits.device)
            picked = logits.gather(-1, wanted.unsqueeze(-1)).squeeze(-1) - logits.logsumexp(-1)
            # `where` and not a product: an infinite value under the prompt must not become NaN.
            kept = torch.where(batch.completion[:, first:last].to(logits.device), picked, 0.0)
            values[batch.places] += kept.sum(1).double().cpu()
    return values


def _slices(model: Any, batch: Batch, tokens: int, device: torch.device) -> Iterator[tuple[int, int, torch.Tensor]]:
    """(first, last, logits of the positions from first to before last), in order, over all positions that predict a completion.

    Where one slice is not enough, the model runs once for each, and makes only the logits of that slice; a model that cannot (no
    `logits_to_keep`) runs once, and its logits are all there in its own precision.
    """
    named = {"input_ids": batch.ids.to(device), "attention_mask": batch.attention.to(device), "use_cache": False}
    rows, positions = batch.completion.shape
    if rows * positions <= tokens:
        yield 0, positions, model(**named).logits[:, :-1]
        return
    places = batch.completion.any(0).nonzero()
    whole = None if _takes_slices(model) else model(**named).logits
    begin, end, width = int(places[0]), int(places[-1]) + 1, max(1, tokens // rows)
    for first in range(begin, end, width):
        last = min(first + width, end)
        if whole is None:
            yield first, last, model(**named, logits_to_keep=torch.arange(first, last, device=device)).logits
        else:
            yield first, last, whole[:, first:last]


def _takes_slices(model: Any) -> bool:
    inner = model.get_base_model() if has_adapters(model) else model
    return "logits_to_keep" in inspect.signature(inner.forward).parameters


def why_not(policy: Any, kind: str) -> str | None:
    """The reason why this policy cannot be probed, or None."""
    if kind == "reward":
        return "a reward model has no policy; its own evaluation logs its margin"
    settings = getattr(policy, "config", None)
    if getattr(settings, "is_encoder_decoder", False):
        return "encoder-decoder models are not supported"
    sharded = sharding(policy)
    if sharded is not None:
        return f"the model is sharded ({sharded}): one process alone cannot run it"
    return None


def _synchronised_s(model: Any) -> float:
    """The time now; on a GPU once the work queued there is done, so that a cost is the probe's own and not the last step's."""
    if next(model.parameters()).device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()
